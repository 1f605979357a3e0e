"""A session store that cannot be used, is full, or fails."""

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



def start_app(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess:
    code = "import app"
    command = [sys.executable, "-c", code]
    environ = settings | {"SESSION_DIR": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=20)


def a_file(folder: Path) -> Path:
    folder.write_text("not a folder")
    return folder


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "sessions"


def garbage(folder: Path) -> Path:
    folder.mkdir()
    (folder / "sessions.sqlite3").write_bytes(b"garbage, " * 1000)
    return folder


def not_writable(_: Path) -> Path:
    return Path("/proc/sessions")


@pytest.mark.parametrize("prepare", [a_file, below_a_file, garbage, not_writable])
def test_a_folder_that_cannot_be_used_is_one_clear_line_at_the_start(tenant: Tenant, tmp_path: Path, prepare: Callable[[Path], Path]) -> None:
    folder = prepare(tmp_path / "sessions")
    started = start_app(folder, tenant.settings)

    assert started.returncode == 1
    [line] = started.stderr.splitlines()
    assert line.startswith(f"SESSION_DIR {folder} cannot be used: ")


def test_a_full_store_is_said_on_sign_in_and_hurts_nobody_who_is_signed_in(instances: Instances, user: User, tenant: Tenant) -> None:
    with Browser(instances.first.url, tenant) as newcomer:
        callback = newcomer.callback_url()
        with instances.store.full(instances.first):
            refused = newcomer.get(callback, follow=False)
            assert refused.status_code == 503
            assert "Location" not in refused.headers
            assert user.signed_in_as() == "Ada Lovelace"
            assert user.get("/call_downstream_api").status_code == 200

        assert newcomer.sign_in().signed_in_as() == "Ada Lovelace"


def test_a_store_without_its_table_is_a_clear_503(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    store = SqliteFile(tmp_path / "sessions")
    app = serve_app(**store.settings)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        store.run("DROP TABLE records")

        assert browser.get("/").status_code == 200
        assert browser.get("/token_details").status_code == 503
        assert browser.get("/call_downstream_api", follow=False).status_code == 503


def test_a_folder_that_vanishes_is_a_clear_503_until_the_app_is_started_again(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    app = serve_app(SESSION_DIR=str(folder))
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        shutil.rmtree(folder)
        while app.module.records._store._idle:  # as threads without a connection of their own find it
            app.module.records._store._idle.pop().close()

        assert browser.get("/").status_code == 200
        assert browser.get("/token_details").status_code == 503


@pytest.fixture(params=["down", "hanging"])
def outage(request: pytest.FixtureRequest, tmp_path: Path) -> FIXME:
    """A Redis server, how it fails and how it comes back."""
    with Redis(tmp_path) as server:
        if request.param == "down":
            yield server, lambda: server.stop(signal.SIGKILL), server.start
        else:
            yield server, lambda: server.send(signal.SIGSTOP), lambda: server.send(signal.SIGCONT)


def test_without_redis_pages_answer_soon_and_afterwards_all_is_as_before(serve_app: ServeApp, tenant: Tenant, outage: Outage) -> None:
    server, fail, come_back = outage
    app = serve_app(REDIS_URL=server.url)
    with Browser(app.url, tenant) as browser, Browser(app.url, tenant) as stranger:
        browser.sign_in()
        asked = {
            "home": (browser, "get", "/", {}),
            "home, for a stranger": (stranger, "get", "/", {}),
            "claims": (browser, "get", "/token_details", {}),
            "API": (browser, "get", "/call_downstream_api", {}),
            "sign-out": (browser, "post", "/logout", {}),
            "script": (browser, "get", "/call_downstream_api", {"Accept": "application/json"}),
        }
        fail()
        with ThreadPoolExecutor(8) as pool:
            sent = {
                what: pool.submit(getattr(person, method), path, follow=False, **headers)
                for what, (person, method, path, headers) in asked.items()
            }
            answers = {what: answer.result() for what, answer in sent.items()}
        come_back()

        assert {what: answer.status_code for what, answer in answers.items()} == {
            "home": 200,
            "home, for a stranger": 200,
            "claims": 503,
            "API": 503,
            "sign-out": 503,
            "script": 503,
        }
        assert max(answer.elapsed for answer in answers.values()) < timedelta(seconds=2.5)
        assert answers["API"].headers["Retry-After"]
        wait_until(lambda: browser.signed_in_as() == "Ada Lovelace", "the app asks the store again")
        assert browser.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("path", ["/login", "/edit_profile"])
def test_a_user_flow_that_returns_without_redis_says_so_and_can_be_finished_later(serve_app: ServeApp, tenant: Tenant, tmp_path: Path, path: str) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in().get(path, follow=False)
            browser.follow()
            if path == "/edit_profile":
                browser.submit("continue", follow=False, displayName="Ada King")
            callback = browser.location
            server.stop(signal.SIGKILL)
            page = browser.get(callback, follow=False)
            server.start()

            assert page.status_code == 503
            wait_until(lambda: browser.get(callback).status_code == 200, "the app asks the store again")
            assert browser.signed_in_as() == ("Ada King" if path == "/edit_profile" else "Ada Lovelace")


def test_a_sign_in_during_which_redis_fails_and_returns_ends_the_former_session(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            before = browser.sign_in().cookie(SESSION)
            callback = browser.callback_url()
            server.send(signal.SIGSTOP)
            tenant.misbehave(token={"hold": "late", "times": 1})
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(browser.get, callback)
                wait_until(lambda: tenant.control("GET", "holds") or answer.done(), "the store timed out")
                server.send(signal.SIGCONT)
                tenant.control("POST", "release", hold="late")
            answer.result()

            wait_until(lambda: browser.signed_in_as() == "Ada Lovelace", "the app asks the store again")
            if browser.session_id != before:
                assert greeted(home_with(app, before)) is None


def test_a_store_that_hangs_is_not_waited_for_by_everybody_in_turn(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in()
            server.send(signal.SIGSTOP)
            browser.get("/token_details")
            again = [browser.get(path) for path in ("/token_details", "/call_downstream_api", "/")]
            server.send(signal.SIGCONT)

        assert [page.status_code for page in again] == [503, 503, 200]
        assert max(page.elapsed for page in again) < timedelta(seconds=0.5)


def test_a_stranger_can_begin_to_sign_in_while_the_store_is_down(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser, Browser(app.url, tenant) as stranger:
            browser.sign_in()
            server.stop(signal.SIGKILL)
            assert browser.get("/token_details").status_code == 503

            assert stranger.get("/login", follow=False).status_code == 302


def test_a_profile_edit_whose_saving_fails_is_503(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in()
            request = late_profile_edit(browser, tenant, app)
            server.stop(signal.SIGKILL)
            answer = request.release()
            server.start()

            assert answer.status_code == 503
            assert browser.signed_in_as() == "Ada Lovelace"


def test_redis_is_not_needed_for_starting(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    app = serve_app(REDIS_URL=f"unix://{tmp_path}/nobody-listens")
    with Browser(app.url, tenant) as visitor:
        assert visitor.get("/").status_code == 200
        assert visitor.get("/login").status_code == 200


@pytest.fixture
def forgetful_browser(serve_app: ServeApp, tenant: Tenant) -> FIXME:
    """The browser of somebody whose session cannot be looked up: the store does not answer."""
    app = serve_app(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    with Browser(app.url, tenant) as browser:
        browser.http.cookies.set("b2c_session", "x" * 43, domain="localhost.local")
        yield browser


@pytest.mark.parametrize("path", ["/", "/token_details", "/call_downstream_api"])
def test_while_sessions_cannot_be_looked_up_a_page_offers_to_try_again(forgetful_browser: Browser, path: str) -> None:
    forgetful_browser.get(path)
    again = next(
        link for link in Page(forgetful_browser.page.text).all("a") if "main" in link.get("class", "")
    )

    assert "We cannot reach our sign-in records" in forgetful_browser.text
    assert again["href"] == path
    assert "Sign in" not in actions(forgetful_browser)
