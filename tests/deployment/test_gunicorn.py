"""The app under gunicorn with two workers, through everything that happens to workers."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from local_tenant import LocalTenant
from tests.helpers.browser import Browser, Document
from tests.helpers.processes import (
    Gunicorn,
    free_port,
)
from tests.helpers.tenant import Held, Tenant, register_redirect_uri
from tests.helpers.waiting import wait_until

SITE = Path(__file__).resolve().parents[1] / "nginx.conf"


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


def port_of(settings: dict[str, str]) -> int:
    """The port that the settings' REDIRECT_URI names."""
    port = urlsplit(settings["REDIRECT_URI"]).port
    assert port
    return port


@pytest.fixture(scope="module")
def settings(running_tenant: LocalTenant, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of an app on a port of its own, with the embedded store. Behind nginx it is Redis."""
    redirect_uri = f"http://localhost:{free_port()}/getAToken"
    register_redirect_uri(running_tenant, redirect_uri)
    settings: dict[str, str] = running_tenant.settings | {
        "REDIRECT_URI": redirect_uri,
        "COOKIE_PREFIX": "signin",
        "SESSION_DIR": str(tmp_path_factory.mktemp("workers") / "sessions"),
    }
    return settings


@pytest.fixture(scope="module")
def gunicorn(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    with Gunicorn(tmp_path_factory.mktemp("gunicorn"), settings, port_of(settings)) as running:
        yield running


@pytest.fixture
def user(gunicorn: Gunicorn, tenant: Tenant) -> Iterator[Browser]:
    """Somebody who has signed in."""
    with Browser(gunicorn.url, tenant) as browser:
        yield browser.sign_in()


def fetch(url: str, session_id: str | None, path: str = "/") -> requests.Response:
    """A page, over a connection of its own and so from any of the workers."""
    headers = {"Cookie": f"signin_session={session_id}", "Accept": "text/html", "Connection": "close"}
    return requests.get(url + path, headers=headers, timeout=30, allow_redirects=False)


def is_signed_in(page: requests.Response) -> bool:
    return page.status_code == 200 and "Sign out" in Document(page.text).text


class Load:
    """What four impatient users see while the block runs, counted."""

    def __init__(self, url: str, session_id: str | None):
        self._url, self._session_id = url, session_id
        self.seen: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        done = threading.Event()
        with ThreadPoolExecutor(4) as pool:
            users = [pool.submit(self._browse, done) for _ in range(4)]
            try:
                yield
            finally:
                done.set()
        for user in users:
            user.result()

    def go_on(self) -> None:
        """Wait until the users have seen twenty more pages."""
        before = self.seen["signed in"]
        wait_until(lambda: self.seen["signed in"] >= before + 20, "the users see pages")

    def _browse(self, done: threading.Event) -> None:
        while not done.is_set():
            try:
                page = fetch(self._url, self._session_id)
                self.seen["signed in" if is_signed_in(page) else f"{page.status_code} {page.text}"] += 1
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                self.seen["no answer"] += 1


def new_workers(gunicorn: Gunicorn, before: list[int]) -> bool:
    return len(gunicorn.children()) == 2 and not set(gunicorn.children()) & set(before)


def test_a_killed_worker_loses_its_own_requests_and_nothing_else(gunicorn: Gunicorn, user: Browser) -> None:
    load = Load(gunicorn.url, user.session_id)
    kills = 2
    with load.running():
        for _ in range(kills):
            load.go_on()
            before = gunicorn.children()
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: before[0] not in gunicorn.children(), "the worker is gone")  # noqa: B023
            wait_until(lambda: len(gunicorn.children()) == 2, "a new worker is there")
        load.go_on()

    assert load.seen.pop("no answer", 0) <= 4 * kills
    assert set(load.seen) == {"signed in"}


def test_a_reload_under_load_loses_nothing(gunicorn: Gunicorn, user: Browser) -> None:
    load = Load(gunicorn.url, user.session_id)
    before = gunicorn.children()
    with load.running():
        load.go_on()
        gunicorn.send(signal.SIGHUP)
        wait_until(lambda: new_workers(gunicorn, before), "both workers are new")
        load.go_on()

    assert set(load.seen) == {"signed in"}
    assert user.get("/call_downstream_api").status_code == 200


def test_parallel_requests_at_all_workers_cause_one_refresh(gunicorn: Gunicorn, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300, refresh_token_reuse=False)
    with Browser(gunicorn.url, tenant) as browser:
        session_id = browser.sign_in().session_id
        tenant.option(access_token_lifetime=3600)
        tenant.forget_requests()
        refreshing = Held(tenant, "token", lambda: fetch(gunicorn.url, session_id, "/call_downstream_api"))
        with ThreadPoolExecutor(3) as pool:  # as many as may wait, whichever worker they come to
            others = [pool.submit(fetch, gunicorn.url, session_id, "/call_downstream_api") for _ in range(3)]
            first = refreshing.release()
            statuses = [first.status_code, *(other.result().status_code for other in others)]

        assert statuses == [200] * 4
        assert len(tenant.seen("token")) == 1
        assert browser.signed_in_as() == "Ada Lovelace"


def test_who_signs_out_is_signed_out_at_every_worker(gunicorn: Gunicorn, user: Browser) -> None:
    session_id = user.session_id
    assert all(is_signed_in(fetch(gunicorn.url, session_id)) for _ in range(6))
    user.post("/logout")

    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: fetch(gunicorn.url, session_id), range(16)))
    assert {page.status_code for page in pages} == {200}
    assert not any(is_signed_in(page) for page in pages)


def test_a_refresh_in_one_worker_during_sign_out_brings_nobody_back(
    gunicorn: Gunicorn, tenant: Tenant
) -> None:
    tenant.option(access_token_lifetime=300)
    with Browser(gunicorn.url, tenant) as browser:
        session_id = browser.sign_in().session_id
        call = Held(tenant, "token", lambda: fetch(gunicorn.url, session_id, "/call_downstream_api"))
        browser.post("/logout")
        answer = call.release()

        assert "signin_session" not in answer.headers.get("Set-Cookie", "")
        assert not any(is_signed_in(fetch(gunicorn.url, session_id)) for _ in range(6))


def test_eight_pending_sign_ins_with_long_return_paths_fit_into_a_request(
    gunicorn: Gunicorn, tenant: Tenant
) -> None:
    """As when a browser brings back many tabs whose session has ended."""
    with Browser(gunicorn.url, tenant) as browser:
        for tab in range(10):
            path = f"/call_downstream_api?tab={tab}&" + "x" * 450
            browser.get(path, follow=False)
            browser.http.cookies.pop("signin_tries", None)  # the tabs come more slowly than here
            assert browser.page.status_code == 302, browser.text

        assert browser.get("/").status_code == 200
        assert browser.sign_in().signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("length", [5_000, 7_500])
def test_a_long_authorization_code_reaches_the_app(gunicorn: Gunicorn, length: int) -> None:
    page = requests.get(f"{gunicorn.url}/getAToken?state=unknown&code={'A' * length}", timeout=10)

    assert page.status_code == 400
    assert "This sign-in cannot be completed" in page.text


@pytest.mark.parametrize("host", ["localhost", "10.0.0.7:8080", "evil.example"])
def test_health_is_answered_whatever_the_host(gunicorn: Gunicorn, host: str) -> None:
    page = requests.get(f"{gunicorn.url}/healthz", headers={"Host": host}, timeout=10)

    assert (page.status_code, page.text) == (200, "ok\n")
    assert "Set-Cookie" not in page.headers


def test_the_log_holds_no_code_token_cookie_or_secret(
    gunicorn: Gunicorn, user: Browser, tenant: Tenant
) -> None:
    user.get("/call_downstream_api")
    [redeemed] = [seen["form"] for seen in tenant.seen("token")]
    [call] = tenant.seen("api")
    [authorized] = [seen for seen in tenant.seen("authorize") if seen["method"] == "GET"]
    log = gunicorn.output()

    assert '"GET /getAToken HTTP/1.1" 303' in log
    secrets = {
        "code": redeemed["code"][0],
        "state": authorized["query"]["state"][0],
        "client secret": tenant.settings["CLIENT_SECRET"],
        "access token": call["headers"]["Authorization"].removeprefix("Bearer "),
        "session id": user.session_id,
        "query": "getAToken?",
    }
    assert [what for what, secret in secrets.items() if secret in log] == []


def test_sessions_and_pending_sign_ins_survive_a_restart(
    gunicorn: Gunicorn, user: Browser, tenant: Tenant
) -> None:
    with Browser(gunicorn.url, tenant) as pending:
        callback = pending.callback_url()
        assert gunicorn.stop() == 0
        gunicorn.start()

        assert user.signed_in_as() == "Ada Lovelace"
        assert pending.get(callback).status_code == 200
        assert pending.signed_in_as() == "Ada Lovelace"
