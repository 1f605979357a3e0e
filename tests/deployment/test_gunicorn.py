"""The app under gunicorn with two workers, through everything that happens to workers."""

import os
import re
import resource
import signal
import subprocess
import sys
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
from tests.helpers.browser import Browser, Document, parameters
from tests.helpers.engine import LEASE_SECONDS, PATIENCE_SECONDS, longest_call
from tests.helpers.processes import (
    ROOT,
    Gunicorn,
    Program,
    answers,
    free_port,
    is_alive,
    program,
)
from tests.helpers.stores import SqliteFile
from tests.helpers.tenant import Held, Tenant, register_redirect_uri
from tests.helpers.waiting import wait_until

SITE = Path(__file__).resolve().parents[1] / "nginx.conf"


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


def port_of(settings: dict[str, str]) -> int:
    """The port that the settings' REDIRECT_URI names."""
    port = urlsplit(settings["REDIRECT_URI"]).port
    assert port
    return port


@pytest.fixture(scope="module", params=["embedded", "redis"])
def settings(
    request: pytest.FixtureRequest, running_tenant: LocalTenant, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The settings of an app on a port of its own, with its store."""
    redirect_uri = f"http://localhost:{free_port()}/getAToken"
    register_redirect_uri(running_tenant, redirect_uri)
    settings: dict[str, str] = running_tenant.settings | {
        "REDIRECT_URI": redirect_uri,
        "COOKIE_PREFIX": "signin",
    }
    if request.param == "redis":
        return settings | {"REDIS_URL": request.getfixturevalue("redis_server").url}
    return settings | {"SESSION_DIR": str(tmp_path_factory.mktemp("workers") / "sessions")}


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


@pytest.fixture
def as_deployed(running_tenant: LocalTenant, tmp_path: Path) -> tuple[dict[str, str], list[str]]:
    """The settings and the command of gunicorn for an app on a port of its own, nothing of it changed."""
    redirect_uri = f"http://localhost:{free_port()}/getAToken"
    register_redirect_uri(running_tenant, redirect_uri)
    settings: dict[str, str] = running_tenant.settings | {
        "REDIRECT_URI": redirect_uri,
        "COOKIE_PREFIX": "signin",
        "SESSION_DIR": str(tmp_path / "sessions"),
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
    }
    return settings, [program("gunicorn", "gunicorn"), "app:app"]


def test_a_lock_lasts_longer_than_anybody_waits_for_it_and_that_longer_than_a_call() -> None:
    assert longest_call() < PATIENCE_SECONDS < LEASE_SECONDS


def test_a_worker_that_is_to_end_has_time_for_the_longest_request(
    as_deployed: tuple[dict[str, str], list[str]],
) -> None:
    settings, command = as_deployed
    shown = subprocess.run(
        [*command, "--print-config"], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=30
    )
    [graceful_timeout] = map(int, re.findall(r"^graceful_timeout\s*=\s*(\d+)$", shown.stdout, re.MULTILINE))
    [read_timeout] = map(int, re.findall(r"proxy_read_timeout (\d+)s;", SITE.read_text()))

    calls = 4  # metadata, keys, token, API
    assert calls * longest_call() + PATIENCE_SECONDS < graceful_timeout < read_timeout


def test_slow_api_calls_hold_up_nobody_else(
    as_deployed: tuple[dict[str, str], list[str]], tmp_path: Path, tenant: Tenant
) -> None:
    settings, command = as_deployed
    url = f"http://localhost:{port_of(settings)}"
    with Program(command, tmp_path, settings) as gunicorn, Browser(url, tenant) as browser:
        gunicorn.wait_until_ready(lambda: len(gunicorn.children()) == 2 and answers(url))
        session_id = browser.sign_in().session_id
        tenant.misbehave(api={"hold": "slow"})
        tenant.forget_requests()
        with ThreadPoolExecutor(40) as pool:
            slow = [pool.submit(fetch, url, session_id, "/call_downstream_api") for _ in range(40)]
            wait_until(lambda: sum(call.done() for call in slow) >= 40 - 24, "both workers are full")
            others = [fetch(url, session_id, path) for path in ("/healthz", "/") for _ in range(4)]
            still_slow = [call for call in slow if not call.done()]
            refused = [call.result() for call in slow if call.done()]
            tenant.recover()

        assert still_slow
        assert {call.result().status_code for call in still_slow} == {200}
        assert {page.status_code for page in refused} == {503}
        assert "Too many requests at once" in refused[0].text
        assert [page.status_code for page in others] == [200] * 8
        assert max(page.elapsed.total_seconds() for page in others) < 1


START_TOGETHER = """
import multiprocessing, os, sys, tempfile
from tests.helpers.app import import_app

def start(folders, barrier, failures):
    for folder in folders:
        barrier.wait()
        try:
            import_app(dict(os.environ) | {"SESSION_DIR": folder + "/sessions"})
        except BaseException as error:
            failures.put(repr(error))

fork = multiprocessing.get_context("fork")
folders = [tempfile.mkdtemp(dir=sys.argv[1]) for _ in range(30)]
barrier, failures = fork.Barrier(6), fork.SimpleQueue()
workers = [fork.Process(target=start, args=(folders, barrier, failures)) for _ in range(6)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
while not failures.empty():
    print(failures.get())
"""


def test_workers_that_start_together_on_an_empty_folder_all_start(
    running_tenant: LocalTenant, tmp_path: Path
) -> None:
    """Many times over, for it is a matter of moments."""
    command = [sys.executable, "-c", START_TOGETHER, str(tmp_path)]
    environ = running_tenant.settings | {"PATH": os.environ["PATH"]}
    started = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)

    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    assert len(list(tmp_path.glob("*/sessions/*.sqlite3"))) == 30


def test_a_folder_that_cannot_be_used_ends_gunicorn_with_a_clear_line(
    running_tenant: LocalTenant, tmp_path: Path
) -> None:
    folder = tmp_path / "sessions"
    folder.write_text("not a folder")
    settings = running_tenant.settings | {"SESSION_DIR": str(folder), "PATH": os.environ["PATH"]}
    command = [program("gunicorn", "gunicorn"), "--bind", f"127.0.0.1:{free_port()}", "app:app"]
    with Program(command, tmp_path, settings) as gunicorn:
        status = gunicorn.process.wait(10)

    assert status != 0
    assert f"SESSION_DIR {folder} cannot be used: " in gunicorn.output()
    assert "Traceback" not in gunicorn.output()


def test_gunicorn_started_in_another_folder_ends_with_the_command_to_type(
    as_deployed: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    """It looks for gunicorn.conf.py where it is started."""
    settings, [gunicorn, app] = as_deployed
    command = [gunicorn, "--bind", f"127.0.0.1:{free_port()}", "--chdir", str(ROOT), app]
    ended = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=30)

    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    [line] = [line for line in ended.stderr.splitlines() if "gunicorn.conf.py" in line]
    assert line.endswith(f"Type: gunicorn --config {ROOT}/gunicorn.conf.py --chdir {ROOT} app:app")


def test_the_command_to_type_serves_the_app_from_another_folder(
    as_deployed: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    settings, [gunicorn, app] = as_deployed
    command = [gunicorn, "--config", f"{ROOT}/gunicorn.conf.py", "--chdir", str(ROOT), app]
    url = f"http://localhost:{port_of(settings)}"
    with Program(command, tmp_path, settings, cwd=tmp_path) as running:
        running.wait_until_ready(lambda: answers(url))


def test_python_app_py_serves_at_the_address_of_the_redirect_uri(
    as_deployed: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    settings, _ = as_deployed
    url = f"http://localhost:{port_of(settings)}"
    with Program([sys.executable, str(ROOT / "app.py")], tmp_path, settings, cwd=tmp_path) as running:
        running.wait_until_ready(lambda: answers(url))
        login = requests.get(f"{url}/login", timeout=5, allow_redirects=False)

    assert login.status_code == 302
    assert parameters(login.headers["Location"])["redirect_uri"] == settings["REDIRECT_URI"]


def test_python_app_py_serves_no_address_of_another_machine(
    as_deployed: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    settings, _ = as_deployed
    settings = settings | {"REDIRECT_URI": "https://app.example.com/getAToken"}
    command = [sys.executable, str(ROOT / "app.py")]
    ended = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=30)

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "To serve https://app.example.com: gunicorn app:app" in line


def test_gunicorn_beside_the_local_tenant_starts_works_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "local_tenant", "--port", "0", "gunicorn", "app:app"]
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environ |= {"REDIRECT_URI": f"http://localhost:{port}/getAToken", "SESSION_DIR": str(tmp_path / "s")}
    url = f"http://localhost:{port}"
    with Program(command, tmp_path, environ) as running:
        wait_until(lambda: answers(url), "the app answers")
        [gunicorn] = running.children()
        workers = [int(pid) for pid in Path(f"/proc/{gunicorn}/task/{gunicorn}/children").read_text().split()]
        home = requests.get(url, timeout=5)
        login = requests.get(f"{url}/login", timeout=5, allow_redirects=False)
        running.send(signal.SIGINT)
        status = running.process.wait(10)

        assert (home.status_code, login.status_code) == (200, 302)
        assert status == 0
        assert not any(is_alive(pid) for pid in (gunicorn, *workers))
        assert "Traceback" not in running.output()


@contextmanager
def full_disk(gunicorn: Gunicorn, store: SqliteFile) -> Iterator[None]:
    """Let no file that the workers write grow beyond the present size of the store's largest."""
    largest = max(file.stat().st_size for file in store.file.parent.iterdir())
    for worker in gunicorn.children():
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for worker in gunicorn.children():
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def sign_in_until_refused(browser: Browser) -> requests.Response:
    """The first answer that is no success. The store's smaller files may have room for a few sessions."""
    for _ in range(20):
        answer = browser.get(browser.callback_url(), follow=False)
        if answer.status_code != 303:
            return answer
    raise AssertionError("no sign-in was refused")


def test_a_full_disk_is_said_on_sign_in_and_hurts_nobody_who_is_signed_in(
    as_deployed: tuple[dict[str, str], list[str]], tmp_path: Path, tenant: Tenant
) -> None:
    settings, _ = as_deployed
    with (
        Gunicorn(tmp_path, settings, port_of(settings)) as gunicorn,
        Browser(gunicorn.url, tenant) as user,
        Browser(gunicorn.url, tenant) as newcomer,
    ):
        user.sign_in()
        newcomer.callback_url()
        with full_disk(gunicorn, SqliteFile(Path(settings["SESSION_DIR"]))):
            refused = sign_in_until_refused(newcomer)
            assert refused.status_code == 503
            assert "Location" not in refused.headers
            assert user.signed_in_as() == "Ada Lovelace"
            assert user.get("/call_downstream_api").status_code == 200

        assert newcomer.sign_in().signed_in_as() == "Ada Lovelace"
