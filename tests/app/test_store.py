"""What the session store holds, and what is made of records that are damaged."""

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



def test_nothing_in_the_store_can_be_read(instances: Instances, user: User, tenant: Tenant) -> None:
    user.get("/call_downstream_api")
    [call] = tenant.seen("api")
    [redeemed] = [seen["form"] for seen in tenant.seen("token")]
    email = tenant.account["email"]
    raw = instances.store.send_lines()

    assert len(raw) > 2000
    secrets = {
        "access token": call["headers"]["Authorization"].removeprefix("Bearer "),
        "head of any token": call["headers"]["Authorization"].removeprefix("Bearer ").partition(".")[0],
        "code": redeemed["code"][0],
        "client secret": tenant.settings["CLIENT_SECRET"],
        "name": "Lovelace",
        "sub": tenant.account["sub"],
        "e-mail": email,
        "refresh token": "refresh_token",
    }
    assert [what for what, secret in secrets.items() if secret.encode() in raw] == []


def test_the_store_does_not_hold_the_cookies_that_open_its_sessions(instances: Instances, user: User) -> None:
    held = user.session_id.encode() in instances.store.send_lines()

    assert not held


class Exploit:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> tuple:
        return Path.touch, (self.file,)


def test_nothing_from_the_store_is_unpickled(instances: Instances, user: User, tmp_path: Path) -> None:
    for name in user.records:
        instances.store.put(name, pickle.dumps(Exploit(tmp_path / "unpickled"), protocol=0))
    user.get("/")
    user.get("/call_downstream_api", follow=False)

    assert not (tmp_path / "unpickled").exists()


def with_another_end(name: str, sealed: bytes) -> bytes:
    return sealed[:-10] + (b"A" if sealed[-10:-9] != b"A" else b"B") + sealed[-9:]


DAMAGE = {
    "one bit": lambda name, sealed: sealed[:100] + bytes([sealed[100] ^ 1]) + sealed[101:],
    "other end": with_another_end,
    "truncated": lambda name, sealed: sealed[:60],
    "empty": lambda name, sealed: b"",
    "no UTF-8": lambda name, sealed: sealed[:50] + b"\xff\xfe" + sealed[52:],
    "not ASCII": lambda name, sealed: "é".encode() + sealed[2:],
    "in clear": lambda name, sealed: b'["' + name.encode() + b'", {"started": 9999999999}]',
    "foreign key": under_another_key,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_session_record_means_signed_out(instances: Instances, user: User, damage: Damage) -> None:
    name, _ = user.records
    instances.store.put(name, damage(name, instances.store.get(name)))
    home, details = user.get("/"), user.get("/token_details")

    assert (home.status_code, greeted(home)) == (200, None)
    assert details.status_code == 401
    assert user.get("/call_downstream_api", follow=False).status_code == 302
    assert user.sign_in().signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_tokens_mean_signing_in_again(instances: Instances, user: User, damage: Damage) -> None:
    _, name = user.records
    instances.store.put(name, damage(name, instances.store.get(name)))
    page = user.get("/call_downstream_api", follow=False)

    assert page.status_code == 302
    assert "oauth2/v2.0/authorize" in page.headers["Location"]
    assert user.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("which", [0, 1], ids=["session", "tokens"])
def test_a_record_copied_from_another_session_is_not_believed(instances: Instances, user: User, tenant: Tenant, which: int) -> None:
    mallory = tenant.add_account("Mallory")
    with User(instances, tenant, email=mallory["email"], ) as attacker:
        instances.store.put(attacker.records[which], instances.store.get(user.records[which]))

        page = attacker.get("/call_downstream_api", follow=False)

        assert page.status_code == 302
        assert "Ada" not in attacker.get("/").text


def test_reading_does_not_write(instances: Instances, user: User) -> None:
    user.get("/")  # moves the idle limit, once for a while
    with instances.store.writes() as writes:
        for path in ("/", "/token_details", "/call_downstream_api") * 5:
            assert user.get(path).status_code == 200

    assert writes == [0]


def test_visitors_write_nothing(instances: Instances, tenant: Tenant) -> None:
    with instances.store.writes() as writes, Browser(instances.first.url, tenant) as visitor:
        for path in ("/", "/login", "/token_details", "/call_downstream_api", "/nowhere", "/healthz"):
            visitor.get(path, follow=False)
        visitor.callback_url()
        visitor.post("/logout", follow=False)
        home_with(instances.first, "A" * 43)

    assert writes == [0]


def test_many_visitors_and_users_sign_nobody_out(instances: Instances, user: User) -> None:
    """More than the 500 that file stores of Flask-Session keep; straight at the app, to save time."""
    app = instances.first.module.app
    client = app.test_client()
    for _ in range(300):  # visitors write nothing (above), so that more of them would not show more
        client.get("/", headers={"Host": instances.first.url.removeprefix("http://")})
    for _ in range(700):
        instances.first.module.records.start({"started": int(time.time())}, "{}")

    assert user.signed_in_as() == "Ada Lovelace"
    assert user.get("/call_downstream_api").status_code == 200


def test_expired_records_go_away_at_a_bounded_cost(serve_app: ServeApp, tmp_path: Path) -> None:
    store = SqliteFile(tmp_path / "sessions")
    sessions = serve_app(**store.settings).module.records
    now, expired = int(time.time()), 1_000
    store.run(
        "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?)"
        " INSERT INTO records SELECT 'session:' || i, 'value', ? FROM numbers",
        expired,
        now - 60,
    )
    left = [expired]
    while left[-1] and len(left) < 200:
        sessions.start({"started": now}, "{}")
        left.append(store.run("SELECT count(*) FROM records WHERE expires < ?", now)[0][0])

    removed = [earlier - later for earlier, later in itertools.pairwise(left)]
    assert left[-1] == 0
    assert max(removed) <= 250


def test_files_and_folder_are_the_owners_alone(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "sessions"
    app = serve_app(SESSION_DIR=str(folder))
    with Browser(app.url, tenant) as browser:
        browser.sign_in()

        files = {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}
        assert files
        assert set(files.values()) == {"0o600"}
        assert oct(folder.stat().st_mode & 0o777) == "0o700"
