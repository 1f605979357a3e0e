"""The app as it is started in a deployment: each test starts a server of its own."""

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from local_tenant import LocalTenant
from tests.deployment.test_gunicorn import fetch, port_of
from tests.helpers.browser import Browser, parameters
from tests.helpers.engine import LEASE_SECONDS, MOST_API_CALLS_OF_A_SESSION, PATIENCE_SECONDS, longest_call
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
from tests.helpers.tenant import Tenant, register_redirect_uri
from tests.helpers.waiting import wait_until

SITE = Path(__file__).resolve().parents[1] / "nginx.conf"


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


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
            under_way = 2 * MOST_API_CALLS_OF_A_SESSION
            wait_until(lambda: sum(call.done() for call in slow) >= 40 - under_way, "both workers are full")
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


def test_a_folder_that_cannot_be_used_ends_gunicorn_with_a_clear_line(
    running_tenant: LocalTenant, tmp_path: Path
) -> None:
    folder = tmp_path / "sessions"
    folder.write_text("not a folder")
    settings = running_tenant.settings | {"SESSION_DIR": str(folder), "PATH": os.environ["PATH"]}
    command = [program("gunicorn", "gunicorn"), "--bind", f"127.0.0.1:{free_port()}", "app:app"]
    with Program(command, tmp_path, settings) as gunicorn:
        status = gunicorn.process.wait(30)

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


def test_a_worker_told_to_end_before_it_is_ready_ends(
    as_deployed: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    """gunicorn replaces a worker that ends. A worker that missed the signal would stay."""
    settings, [gunicorn, app] = as_deployed
    configuration = tmp_path / "gunicorn.conf.py"
    configuration.write_text(
        (ROOT / "gunicorn.conf.py").read_text().replace("__file__", repr(str(ROOT / "gunicorn.conf.py")))
        + """
def post_fork(server, worker):
    import os, signal
    if worker.age == 1:
        os.kill(os.getpid(), signal.SIGTERM)
"""
    )
    command = [gunicorn, "--config", str(configuration), "--chdir", str(ROOT), app]
    with Program(command, tmp_path, settings) as running:
        running.wait_until_ready(lambda: running.output().count("Booting worker") == 3)


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
        status = running.process.wait(30)

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
