"""Requests that no person made: scripts, prefetching, link scanners, other sites."""

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



SCRIPTS = [
    pytest.param({"Sec-Fetch-Mode": "cors"}, id="fetch"),
    pytest.param({"Sec-Fetch-Mode": "same-origin"}, id="fetch, same-origin"),
    pytest.param({"X-Requested-With": "XMLHttpRequest"}, id="XMLHttpRequest"),
    pytest.param({"Accept": "application/json"}, id="asks for JSON"),
]


@pytest.mark.parametrize("headers", SCRIPTS)
@pytest.mark.parametrize("path", ["/call_downstream_api", "/token_details", "/edit_profile"])
def test_a_script_that_needs_a_sign_in_gets_its_address_in_json(browser: Browser, path: str, headers: dict[str, str]) -> None:
    answer = browser.get(path, follow=False, **headers)

    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["WWW-Authenticate"]
    sign_in = urlsplit(answer.json()["sign_in_uri"])
    assert f"{sign_in.scheme}://{sign_in.netloc}{sign_in.path}" == f"{browser.app_url}/login"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("headers", SCRIPTS)
def test_a_script_gets_errors_in_json(browser: Browser, headers: dict[str, str]) -> None:
    answer = browser.get("/nowhere", **headers)

    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "method, headers, status",
    [
        pytest.param("HEAD", {}, 405, id="HEAD"),
        pytest.param("POST", {}, 405, id="POST"),
        pytest.param("OPTIONS", {}, 200, id="OPTIONS"),
        pytest.param("GET", {"Sec-Purpose": "prefetch"}, 503, id="prefetch"),
        pytest.param("GET", {"Sec-Purpose": "prefetch;prerender"}, 503, id="prerender"),
        pytest.param("GET", {"Purpose": "prefetch"}, 503, id="prefetch, older browsers"),
        pytest.param("GET", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 400, id="image"),
        pytest.param("GET", {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 400, id="fetch"),
    ],
)
@pytest.mark.parametrize("page", ["callback", "/login", "/reset_password"])
def test_whoever_is_not_a_person_visiting_spends_and_begins_no_flow(browser: Browser, tenant: Tenant, page: Page, method: str, headers: dict[str, str], status: int) -> None:
    url = browser.callback_url()
    path = url if page == "callback" else browser.app_url + page
    if method == "POST" and page != "callback":
        headers = headers | {"Origin": "https://evil.example"}

    answer = browser.http.request(method, path, headers=headers, allow_redirects=False)

    assert answer.status_code == status
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("token") == []
    assert browser.get(url).status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize(
    "method, headers, status",
    [
        pytest.param("HEAD", {}, 405, id="HEAD"),
        pytest.param("GET", {"Sec-Purpose": "prefetch"}, 503, id="prefetch"),
        pytest.param("GET", {"Sec-Purpose": "prefetch;prerender"}, 503, id="prerender"),
        pytest.param("GET", {"Purpose": "prefetch"}, 503, id="prefetch, older browsers"),
    ],
)
@pytest.mark.parametrize("page", ["/call_downstream_api", "/edit_profile"])
def test_a_page_that_needs_a_sign_in_begins_none_for_machines(browser: Browser, page: Page, method: str, headers: dict[str, str], status: int) -> None:
    answer = browser.http.request(method, browser.app_url + page, headers=headers, allow_redirects=False)

    assert answer.status_code == status
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/login", "/call_downstream_api", "/edit_profile"])
@pytest.mark.parametrize("dest", ["document", "iframe"])
def test_another_site_starts_no_sign_in(browser: Browser, tenant: Tenant, path: str, dest: str) -> None:
    answer = browser.get(
        path, follow=False, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=dest
    )

    assert answer.status_code in (200, 401)
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("authorize") == []
    assert Document(answer.text).links["Sign in"].startswith("/login")


def test_a_sign_in_page_shown_for_another_site_keeps_the_way_back_on_this_site(browser: Browser) -> None:
    answer = browser.get("/login?next=//evil.example", follow=False, Sec_Fetch_Site="cross-site")

    assert "evil" not in answer.text
