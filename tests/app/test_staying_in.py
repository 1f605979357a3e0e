"""Ways to stay signed in after a sign-out. None of them works. `tests/signin` tries every order of calls."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
import requests

from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, Document, greeted, set_cookies
from tests.helpers.processes import Redis
from tests.helpers.stores import Instances, RedisKeys, SqliteFile, User, home_with
from tests.helpers.tenant import Tenant
from tests.helpers.waiting import clock_at

MINUTES = 60


def send_with(cookies: dict[str, str], app: RunningApp, url: str, method: str = "GET") -> requests.Response:
    """Send a request with these cookies, whatever the browser has by now."""
    headers = cookies | {"Origin": app.url, "Sec-Fetch-Site": "same-origin"}
    return requests.request(method, url, headers=headers, allow_redirects=False, timeout=20)


# --- Requests that were under way --------------------------------------------------------------------------


@pytest.mark.parametrize("added", ["", "; signin_session=x", "; signin_session=" + 43 * "A"])
def test_a_callback_after_sign_out_with_the_same_cookies_signs_nobody_in(
    shared_app: RunningApp, browser: Browser, added: str
) -> None:
    callback = browser.sign_in().callback_url()
    cookies = browser.cookie_header
    assert send_with(cookies, shared_app, f"{shared_app.url}/logout", "POST").status_code == 303

    answer = send_with(cookies | {"Cookie": cookies["Cookie"] + added}, shared_app, callback)

    assert answer.status_code >= 400
    assert not [cookie for cookie in set_cookies(answer) if cookie.startswith("signin_session=")]


@pytest.mark.parametrize("added", ["", "; signin_session=x"])
def test_a_sign_out_after_two_callbacks_with_the_same_cookies_ends_all_three_sessions(
    shared_app: RunningApp, browser: Browser, added: str
) -> None:
    first, second = browser.sign_in().callback_url(), browser.callback_url()
    cookies = browser.cookie_header
    with_added = cookies | {"Cookie": cookies["Cookie"] + added}
    answers = [send_with(cookies, shared_app, first), send_with(with_added, shared_app, second)]
    signed_in = [answer.cookies["signin_session"] for answer in answers]
    assert greeted(home_with(shared_app, signed_in[1])) == "Ada Lovelace"

    send_with(cookies, shared_app, f"{shared_app.url}/logout", "POST")

    sessions = [browser.session_id, *signed_in]
    assert [greeted(home_with(shared_app, session_id)) for session_id in sessions] == [None] * 3


# --- A store that fails ------------------------------------------------------------------------------------


def assert_signed_out_all_the_same(browser: Browser, tenant: Tenant) -> str:
    """The browser has no cookies, the tenant's session is over. Returns what the next page says."""
    answer = browser.post("/logout", follow=False)
    assert answer.status_code == 303
    assert browser.session_id is None
    browser.follow()
    assert len(tenant.seen("logout")) == 1
    return Document(browser.get("/").text).text


Outage = Callable[[Redis], AbstractContextManager[None]]


@contextmanager
def away(server: Redis) -> Iterator[None]:
    server.stop(signal.SIGKILL)
    yield
    server.start()


@contextmanager
def hanging(server: Redis) -> Iterator[None]:
    server.send(signal.SIGSTOP)
    yield
    server.send(signal.SIGCONT)


@pytest.mark.parametrize("outage", [away, hanging])
def test_sign_out_without_redis_takes_the_cookies_and_ends_the_session_at_the_tenant(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path, outage: Outage
) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in()
            with outage(server):
                assert "record could not be deleted" in assert_signed_out_all_the_same(browser, tenant)


def test_sign_out_everywhere_without_redis_takes_the_cookies_and_says_what_is_left(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in()
            with away(server):
                browser.post("/sessions", fields={"end": "all"}, follow=False)
                assert browser.page.status_code == 303
                assert browser.session_id is None
                browser.follow()
                page = Document(browser.get("/").text)

            assert "Your other sessions could not all be ended" in page.text


def test_sign_out_with_a_full_redis_deletes_the_session(
    serve_app: ServeApp, tenant: Tenant, redis_server: Redis
) -> None:
    store = RedisKeys(redis_server)
    app = serve_app(**store.settings)
    with Browser(app.url, tenant) as browser:
        callback = browser.sign_in().callback_url()
        session_id, cookies = browser.session_id, browser.cookie_header
        with store.full():
            assert "You are signed out." in assert_signed_out_all_the_same(browser, tenant)

        assert greeted(home_with(app, session_id)) is None
        assert send_with(cookies, app, callback).status_code == 409


def test_sign_out_with_a_locked_database_takes_the_cookies_and_says_what_is_left(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    store = SqliteFile(tmp_path / "sessions")
    app = serve_app(**store.settings)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert "record could not be deleted" in assert_signed_out_all_the_same(browser, tenant)


def test_a_redis_that_crashes_after_a_snapshot_brings_no_session_back(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    """With the recipe's settings: `appendonly yes` and `appendfsync always`."""
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser, Browser(app.url, tenant) as other:
            session_id = browser.sign_in().session_id
            other.sign_in()
            server.client.save()
            browser.post("/logout")
            server.stop(signal.SIGKILL)
            server.start()

            assert greeted(home_with(app, session_id)) is None
            assert other.signed_in_as() == "Ada Lovelace"


# --- Clocks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lifetime", ["SESSION_IDLE_MINUTES", "SESSION_ABSOLUTE_MINUTES"])
def test_a_clock_that_steps_back_brings_no_expired_session_back(
    serve_app: ServeApp, tenant: Tenant, lifetime: str
) -> None:
    app = serve_app(**{lifetime: "10"})
    with Browser(app.url, tenant) as browser:
        session_id = browser.sign_in().session_id
        with clock_at(time.time() + 11 * MINUTES):
            assert greeted(home_with(app, session_id)) is None

        assert greeted(home_with(app, session_id)) is None


@pytest.mark.parametrize("minutes, finished", [(4, True), (-4, True), (6, False)])
def test_a_flow_may_have_begun_on_a_machine_whose_clock_is_up_to_five_minutes_off(
    browser: Browser, minutes: int, finished: bool
) -> None:
    with clock_at(time.time() + minutes * MINUTES):
        browser.get("/login", follow=False)
    browser.follow()
    if browser.page.status_code == 200:
        browser.enter_password(follow=False)

    browser.get(browser.location)

    assert (browser.signed_in_as() == "Ada Lovelace") is finished


# --- The database ------------------------------------------------------------------------------------------


def delete_file(folder: Path) -> None:
    (folder / "sessions.sqlite3").unlink()


def replace_file(folder: Path) -> None:
    """Put an older copy in its place, as from a backup."""
    copy = folder.parent / "copy.sqlite3"
    with closing(sqlite3.connect(folder / "sessions.sqlite3")) as store, closing(sqlite3.connect(copy)) as to:
        store.backup(to)
    copy.replace(folder / "sessions.sqlite3")


@pytest.mark.parametrize("destroy", [delete_file, replace_file, shutil.rmtree])
def test_instances_whose_database_is_deleted_or_replaced_meet_again_in_one_store(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path, destroy: Callable[[Path], None]
) -> None:
    folder = tmp_path / "sessions"
    instances = Instances(serve_app, SqliteFile(folder))
    with User(instances, tenant) as user:
        assert greeted(home_with(instances.second, user.session_id)) == "Ada Lovelace"
        destroy(folder)
        with Browser(instances.first.url, tenant) as later:
            session_id = later.sign_in().session_id
            apps = (instances.first, instances.second, instances.another())
            assert [greeted(home_with(app, session_id)) for app in apps] == ["Ada Lovelace"] * 3
            later.post("/logout")
            assert [greeted(home_with(app, session_id)) for app in apps] == [None] * 3


# --- Asking, and the log -----------------------------------------------------------------------------------


def test_a_link_in_a_mail_does_not_sign_out_without_asking(browser: Browser) -> None:
    page = browser.sign_in().get("/logout", Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate")

    assert page.status_code == 200
    assert "Sign out?" in page.text
    assert browser.signed_in_as() == "Ada Lovelace"


def test_a_sign_out_is_one_line_of_the_log(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    browser.sign_in().post("/logout")

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("signin")]
    user = repr(tenant.account["sub"])
    assert lines == [f"signed in: user={user}", f"signed out: user={user}"]
