"""Requests that are under way while the session ends or is replaced."""

import itertools
import json
import os
import pickle
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from email.utils import formatdate
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import jwt
import pytest
import requests

from local_tenant import LocalTenant
from tests.app.conftest import Visit
from tests.helpers.app import RunningApp, ServeApp, failures, import_app
from tests.helpers.browser import (
    Browser, Document, assert_page, greeted, parameters, send_lines, set_cookies, with_query,
)
from tests.helpers.engine import APP_LOGGERS, LEASE_SECONDS, wait_at_most, wait_for_locks_at_most
from tests.helpers.processes import ROOT, Redis, free_port, program
from tests.helpers.stores import Instances, SqliteFile, StoreInspector, User, home_with, visit
from tests.helpers.tenant import Fault, Held, Tenant, register_redirect_uri
from tests.helpers.waiting import clock_at, wait_until



def late_api_call(browser: Browser, tenant: object, app: RunningApp) -> Late:
    return Late(tenant, "api", lambda: visit(app, browser, "/call_downstream_api"))


def late_refresh(browser: Browser, tenant: object, app: RunningApp) -> Late:
    return Late(tenant, "token", lambda: visit(app, browser, "/call_downstream_api"))


def late_profile_edit(browser: Browser, tenant: object, app: RunningApp) -> Late:
    browser.get("/edit_profile")
    callback = browser.submit("continue", follow=False, displayName="Ada King").headers["Location"]
    return Late(tenant, "token", lambda: visit(app, browser, callback))


def late_sign_in(browser: Browser, tenant: object, app: RunningApp) -> Late:
    callback = browser.callback_url()
    return Late(tenant, "token", lambda: visit(app, browser, callback))


LATE = pytest.mark.parametrize(
    "late",
    [late_api_call, late_refresh, late_profile_edit, late_sign_in],
    ids=["API call", "refresh", "profile edit", "sign-in"],
)


@LATE
@pytest.mark.parametrize("where", ["at the same instance", "at another instance"])
def test_a_request_that_ends_after_sign_out_brings_nobody_back(instances: Instances, tenant: Tenant, late: SendLate, where: str) -> None:
    names = instances.store.names()
    with Browser(instances.first.url, tenant) as browser:
        tenant.option(access_token_lifetime=300 if late is late_refresh else 3600)
        before = browser.sign_in().cookie(SESSION)
        request = late(browser, tenant, instances.first)
        elsewhere = instances.first if where == "at the same instance" else instances.second
        visit(elsewhere, browser, "/logout", "post")
        answer = request.release()

        assert SESSION not in answer.cookies
        assert answer.status_code < 500
        assert browser.signed_in_as() is None
        assert greeted(home_with(instances.first, before)) is None
        assert instances.store.names() <= names


@LATE
def test_a_request_that_ends_after_the_next_sign_in_leaves_the_new_session_alone(instances: Instances, tenant: Tenant, late: SendLate) -> None:
    bob = tenant.add_account("Bob")
    with Browser(instances.first.url, tenant) as browser:
        tenant.option(access_token_lifetime=300 if late is late_refresh else 3600)
        browser.sign_in()
        request = late(browser, tenant, instances.first)
        browser.post("/logout")
        browser.sign_in(email=bob["email"])
        mine = browser.session_id
        answer = request.release()

        assert SESSION not in answer.headers.get("Set-Cookie", "")
        assert browser.session_id == mine
        assert browser.signed_in_as() == "Bob"


def test_a_refresh_that_ends_after_sign_out_does_not_lead_back_into_a_sign_in(instances: Instances, tenant: Tenant) -> None:
    """The tenant may still know the user at that moment, and would sign them in again unasked."""
    tenant.option(access_token_lifetime=300)
    with Browser(instances.first.url, tenant) as browser:
        browser.sign_in()
        request = late_refresh(browser, tenant, instances.first)
        visit(instances.second, browser, "/logout", "post")
        answer = request.release()

        assert "Location" not in answer.headers
        assert answer.status_code == 409


def test_two_tabs_of_a_signed_in_user_can_finish_a_sign_in_at_the_same_moment(instances: Instances, user: User, tenant: Tenant) -> None:
    """As when a browser brings back tabs whose session needs a new sign-in."""
    callbacks = [user.callback_url(), user.callback_url()]
    request = Late(tenant, "token", lambda: visit(instances.first, user, callbacks[0]))
    answers = [user.get(callbacks[1], follow=False), request.release()]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert user.signed_in_as() == "Ada Lovelace"


def test_a_sign_in_of_another_user_never_takes_over_what_the_first_has_begun(instances: Instances, tenant: Tenant) -> None:
    """Two tabs, two users: the later answer must not come back with the other's session."""
    bob = tenant.add_account("Bob")
    with Browser(instances.first.url, tenant) as browser, Browser(instances.first.url, tenant) as clean:
        adas = browser.sign_in().callback_url()
        clean.get(browser.get("/login", follow=False).headers["Location"])
        clean.enter_password(follow=False, email=bob["email"])
        bobs = clean.location
        request = Late(tenant, "token", lambda: visit(instances.first, browser, adas))
        assert visit(instances.second, browser, bobs).status_code == 303
        answer = request.release()

        assert answer.status_code == 409
        assert SESSION not in answer.headers.get("Set-Cookie", "")
        assert browser.signed_in_as() == "Bob"


def sent_by_hand(app: RunningApp, instances: Instances, path: str, method: str, cookies: dict) -> Callable:
    """A request with these cookies, whatever the browser's are by now."""
    headers = {
        "Host": instances.first.url.removeprefix("http://"),
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Accept": "text/html",
        "Sec-Fetch-Site": "same-origin",
    }
    url = app.url + path.removeprefix(instances.first.url)
    return lambda: requests.request(method, url, headers=headers, allow_redirects=False, timeout=30)


def test_sign_out_ends_the_session_of_a_sign_in_whose_answer_is_still_on_its_way(instances: Instances, tenant: Tenant, elsewhere: RunningApp) -> None:
    names = instances.store.names()
    with Browser(instances.first.url, tenant) as browser:
        callback = browser.sign_in().callback_url()
        before = browser.cookies
        signed_in = sent_by_hand(instances.first, instances, callback, "GET", before)()
        assert greeted(home_with(instances.first, signed_in.cookies[SESSION])) == "Ada Lovelace"
        signed_out = sent_by_hand(elsewhere, instances, "/logout", "POST", before)()

    assert signed_out.status_code == 303
    assert greeted(home_with(instances.first, signed_in.cookies[SESSION])) is None
    assert not {name for name in instances.store.names() - names if name.startswith(("session", "tokens"))}


def test_sign_out_ends_every_session_that_has_followed(instances: Instances, tenant: Tenant, elsewhere: RunningApp) -> None:
    with Browser(instances.first.url, tenant) as browser:
        first = browser.sign_in().cookies
        last = [browser.sign_in().cookie(SESSION) for _ in range(3)][-1]
        sent_by_hand(elsewhere, instances, "/logout", "POST", first)()

    assert greeted(home_with(instances.first, last)) is None


def test_a_sign_in_that_ends_while_sign_out_is_under_way_signs_nobody_in(instances: Instances, tenant: Tenant, elsewhere: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    with Browser(instances.first.url, tenant) as browser, ThreadPoolExecutor(1) as pool:
        callback = browser.sign_in().callback_url()
        before = browser.cookies
        gate = Gate(monkeypatch, elsewhere.module.records, "sign_out")
        signed_out = pool.submit(sent_by_hand(elsewhere, instances, "/logout", "POST", before))
        gate.reached()
        signed_in = sent_by_hand(instances.first, instances, callback, "GET", before)()
        gate.open()

        assert signed_out.result().status_code == 303
        assert SESSION in signed_in.cookies
        assert greeted(home_with(instances.first, signed_in.cookies[SESSION])) is None


def test_sign_out_waits_for_a_sign_in_that_is_just_replacing_the_session(instances: Instances, tenant: Tenant, elsewhere: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old session has ended already, and nothing tells yet which one follows."""
    with Browser(instances.first.url, tenant) as browser, ThreadPoolExecutor(2) as pool:
        callback = browser.sign_in().callback_url()
        before = browser.cookies
        gate = Gate(monkeypatch, instances.first.module.records, "_make")
        signed_in = pool.submit(sent_by_hand(instances.first, instances, callback, "GET", before))
        gate.reached()
        signed_out = pool.submit(sent_by_hand(elsewhere, instances, "/logout", "POST", before))
        time.sleep(0.1)
        gate.open()

        assert signed_out.result().status_code == 303
        assert greeted(home_with(instances.first, signed_in.result().cookies[SESSION])) is None
