"""A session store that cannot be used, is full, or fails."""

import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from tests.helpers.app import ServeApp, import_app
from tests.helpers.browser import Browser, Document, greeted
from tests.helpers.processes import Redis
from tests.helpers.stores import RedisKeys, SqliteFile, home_with
from tests.helpers.tenant import Tenant
from tests.helpers.waiting import wait_until


def refused_start(settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines with which the start of an app with these settings ends."""
    with pytest.raises(SystemExit) as ended:
        import_app(settings)
    assert ended.value.code == 1
    return capsys.readouterr().err.strip().splitlines()


def a_file(folder: Path) -> Path:
    folder.write_text("not a folder")
    return folder


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "sessions"


def garbage(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "sessions.sqlite3").write_bytes(b"garbage, " * 1000)
    return folder


def not_writable(_: Path) -> Path:
    return Path("/proc/sessions")


@pytest.mark.parametrize("prepare", [a_file, below_a_file, garbage, not_writable])
def test_a_folder_that_cannot_be_used_is_one_clear_line_at_the_start(
    tenant: Tenant, tmp_path: Path, prepare: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepare(tmp_path / "sessions")
    [line] = refused_start(tenant.settings | {"SESSION_DIR": str(folder)}, capsys)

    assert line.startswith(f"SESSION_DIR {folder} cannot be used: ")


def test_a_redis_url_that_makes_no_sense_is_one_clear_line_at_the_start(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    [line] = refused_start(tenant.settings | {"REDIS_URL": "redis://localhost:abc/0"}, capsys)

    assert line.startswith("REDIS_URL cannot be used: ")


def test_a_store_that_has_lost_its_table_makes_a_new_one(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    store = SqliteFile(tmp_path / "sessions")
    app = serve_app(**store.settings)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        store.run("DROP TABLE records")

        assert browser.get("/").status_code == 200
        assert browser.get("/token_details").status_code == 401
        assert browser.sign_in().signed_in_as() == "Ada Lovelace"


def test_a_folder_that_vanishes_breaks_no_page(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    """The sessions are lost, and the store makes its folder again. Users sign in once more."""
    folder = tmp_path / "sessions"
    app = serve_app(SESSION_DIR=str(folder))
    with Browser(app.url, tenant) as browser:
        headers = browser.sign_in().cookie_header
        shutil.rmtree(folder)

        def status(path: str) -> int:
            page = requests.get(app.url + path, headers=headers, allow_redirects=False, timeout=10)
            return page.status_code

        with ThreadPoolExecutor(8) as pool:
            homes = list(pool.map(status, ["/"] * 8))
            details = list(pool.map(status, ["/token_details"] * 8))

        assert set(homes) == {200}
        assert set(details) == {401}
        assert browser.sign_in().signed_in_as() == "Ada Lovelace"
        assert (folder / "sessions.sqlite3").exists()


class Outage:
    """A Redis server, how it fails and how it comes back."""

    def __init__(self, server: Redis, kind: str):
        self.server, self._kind = server, kind

    def begin(self) -> None:
        if self._kind == "down":
            self.server.stop(signal.SIGKILL)
        else:
            self.server.send(signal.SIGSTOP)

    def end(self) -> None:
        if self._kind == "down":
            self.server.start()
        else:
            self.server.send(signal.SIGCONT)


@pytest.fixture(params=["down", "hanging"])
def outage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outage]:
    with Redis(tmp_path) as server:
        yield Outage(server, request.param)


def test_without_redis_pages_answer_soon_and_afterwards_all_is_as_before(
    serve_app: ServeApp, tenant: Tenant, outage: Outage
) -> None:
    app = serve_app(REDIS_URL=outage.server.url)
    with Browser(app.url, tenant) as browser, Browser(app.url, tenant) as stranger:
        browser.sign_in()
        asked = {
            "home": (browser, "get", "/", {}),
            "home, for a stranger": (stranger, "get", "/", {}),
            "claims": (browser, "get", "/token_details", {}),
            "API": (browser, "get", "/call_downstream_api", {}),
            "script": (browser, "get", "/call_downstream_api", {"Accept": "application/json"}),
        }
        outage.begin()
        with ThreadPoolExecutor(8) as pool:
            sent = {
                what: pool.submit(getattr(person, method), path, follow=False, **headers)
                for what, (person, method, path, headers) in asked.items()
            }
            answers = {what: answer.result() for what, answer in sent.items()}
        outage.end()

        assert {what: answer.status_code for what, answer in answers.items()} == {
            "home": 503,
            "home, for a stranger": 200,
            "claims": 503,
            "API": 503,
            "script": 503,
        }
        assert max(answer.elapsed for answer in answers.values()) < timedelta(seconds=2.5)
        assert answers["API"].headers["Retry-After"]
        wait_until(lambda: browser.signed_in_as() == "Ada Lovelace", "the app asks the store again")
        assert browser.get("/call_downstream_api").status_code == 200


def test_sign_out_without_redis_ends_what_it_can_and_says_what_is_left(
    serve_app: ServeApp, tenant: Tenant, outage: Outage
) -> None:
    app = serve_app(REDIS_URL=outage.server.url)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        outage.begin()
        browser.post("/logout", follow=False)
        assert browser.page.status_code == 303
        assert browser.page.elapsed < timedelta(seconds=5)
        browser.follow()  # the sign-in service ends its session
        browser.follow()
        outage.end()

        assert len(tenant.seen("logout")) == 1
        assert browser.page.url.rstrip("/") == app.url
        assert "The site could not delete its record of your session" in browser.text
        assert browser.session_id is None
        assert browser.signed_in_as() is None


def test_a_sign_in_that_returns_without_redis_says_so_and_can_be_finished_later(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            former = browser.sign_in().session_id
            callback = browser.callback_url()
            server.stop(signal.SIGKILL)
            page = browser.get(callback, follow=False)
            server.start()

            assert page.status_code == 503
            wait_until(lambda: browser.get(callback).status_code == 200, "the app asks the store again")
            assert browser.signed_in_as() == "Ada Lovelace"
            assert browser.session_id != former
            assert greeted(home_with(app, former)) is None


def test_a_profile_edit_that_returns_without_redis_says_so_and_can_be_finished_later(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            callback = browser.sign_in().edited_profile_url("Ada King")
            server.stop(signal.SIGKILL)
            page = browser.get(callback, follow=False)
            server.start()

            assert page.status_code == 503
            wait_until(lambda: browser.get(callback).status_code == 200, "the app asks the store again")
            assert browser.signed_in_as() == "Ada King"


def test_after_one_timeout_the_next_requests_do_not_wait_for_the_store(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in()
            server.send(signal.SIGSTOP)
            browser.get("/token_details")
            again = [browser.get(path) for path in ("/token_details", "/call_downstream_api", "/")]
            server.send(signal.SIGCONT)

        assert [page.status_code for page in again] == [503, 503, 503]
        assert max(page.elapsed for page in again) < timedelta(seconds=0.5)


def test_a_stranger_can_begin_to_sign_in_while_the_store_is_down(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser, Browser(app.url, tenant) as stranger:
            browser.sign_in()
            server.stop(signal.SIGKILL)
            assert browser.get("/token_details").status_code == 503

            assert stranger.get("/login", follow=False).status_code == 302


def test_a_full_redis_refuses_new_sign_ins_and_keeps_the_others(
    serve_app: ServeApp, tenant: Tenant, redis_server: Redis
) -> None:
    store = RedisKeys(redis_server)
    app = serve_app(**store.settings)
    with Browser(app.url, tenant) as user, Browser(app.url, tenant) as newcomer:
        user.sign_in()
        callback = newcomer.callback_url()
        with store.full():
            refused = newcomer.get(callback, follow=False)
            assert refused.status_code == 503
            assert "Location" not in refused.headers
            assert user.signed_in_as() == "Ada Lovelace"
            assert user.get("/call_downstream_api").status_code == 200

        assert newcomer.sign_in().signed_in_as() == "Ada Lovelace"


def test_redis_is_not_needed_for_starting(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    app = serve_app(REDIS_URL=f"unix://{tmp_path}/nobody-listens")
    with Browser(app.url, tenant) as visitor:
        assert visitor.get("/").status_code == 200
        assert visitor.get("/login").status_code == 200


@pytest.fixture
def forgetful_browser(serve_app: ServeApp, tenant: Tenant, dead_port: int) -> Iterator[Browser]:
    """The browser of somebody whose session cannot be looked up: the store does not answer."""
    app = serve_app(REDIS_URL=f"redis://127.0.0.1:{dead_port}/0")
    with Browser(app.url, tenant) as browser:
        browser.set_session_id("x" * 43)
        yield browser


@pytest.mark.parametrize("path", ["/", "/token_details", "/call_downstream_api"])
def test_while_sessions_cannot_be_looked_up_a_page_offers_to_try_again(
    forgetful_browser: Browser, path: str
) -> None:
    forgetful_browser.get(path)
    assert "We cannot reach our sign-in records" in forgetful_browser.text
    links = Document(forgetful_browser.page.text).links
    assert links["Try again"] == path
    assert "Sign in" not in links
