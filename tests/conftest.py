"""The app and the tenant as real servers, and a browser to drive them with."""

import importlib.util
import json
import os
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import requests
from werkzeug.serving import WSGIRequestHandler, make_server

from local_tenant import LocalTenant
from tests.browser import Browser
from tests.processes import Redis

ROOT = Path(__file__).resolve().parent.parent


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything must be there (REQUIRE_EVERYTHING), a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REQUIRE_EVERYTHING") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Tenant:
    """The local tenant, and shorthands for its control endpoints."""

    def __init__(self, running: LocalTenant):
        self.url, self.tls_url, self.api_url = running.url, running.tls_url, running.api_url
        self.settings = running.settings
        self._options = self.control("GET", "options")
        self.account = self.add_account("Ada Lovelace")

    def control(self, method: str, path: str, **body: object) -> object:
        headers, data = {"Content-Type": "application/json"}, json.dumps(body)  # requests' own: no infinity
        url = f"{self.url}/control/{path}"
        answer = requests.request(method, url, data=data, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def add_account(self, display_name: str, password: str = "Try-it-0ut") -> dict:
        """Somebody new, known to the tenant."""
        email = f"{secrets.token_hex(4)}@example.com"
        account = self.control("POST", "accounts", email=email, password=password, display_name=display_name)
        return account | {"password": password}

    def option(self, **options: object) -> None:
        self.control("PATCH", "options", **options)

    def behave(self) -> None:
        """Undo what a test has set."""
        self.control("DELETE", "faults")
        self.control("PUT", "clock", offset=0)
        self.control("PATCH", "options", **self._options)
        self.control("DELETE", "requests")

    def last_mail(self, email: str) -> str:
        """The code in the last message to this address."""
        return next(mail["code"] for mail in reversed(self.control("GET", "mail")) if mail["to"] == email)

    def misbehave(self, **faults: dict) -> None:
        self.control("PATCH", "faults", **faults)

    def seen(self, *endpoints: str) -> list[dict]:
        """The requests that these endpoints have seen."""
        return [seen for seen in self.control("GET", "requests") if seen["endpoint"] in endpoints]

    def forget_requests(self) -> None:
        self.control("DELETE", "requests")


@pytest.fixture(scope="session")
def running_tenant():
    """One local tenant for the whole run."""
    with LocalTenant(port=0, redirect_uris=["http://localhost:5000/getAToken"]) as running:
        yield running


@pytest.fixture
def tenant(running_tenant):
    """The local tenant, well-behaved, with nothing on record and one account of the test's own."""
    tenant = Tenant(running_tenant)
    tenant.forget_requests()
    yield tenant
    tenant.behave()


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: object) -> None:
        pass


class RunningApp:
    """One instance of app.py, served on a port of its own."""

    def __init__(self, environ: dict[str, str], module: ModuleType, port: int):
        self.environ, self.module, self.port = environ, module, port
        self.url = f"http://localhost:{port}"


def import_app(environ: dict[str, str]) -> ModuleType:
    """app.py as a fresh module that has read these settings and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({"PATH": before["PATH"], "HOME": before.get("HOME", "/")} | environ)
    try:
        spec = importlib.util.spec_from_file_location("app", ROOT / "app.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def serve_app(running_tenant, tmp_path_factory):
    """A function that serves app.py with the settings of a tenant (`on`), and those given on top."""
    servers = []

    def serve(on: LocalTenant = running_tenant, **settings: str) -> RunningApp:
        port = free_port()
        environ = on.settings | {
            "REDIRECT_URI": f"http://localhost:{port}/getAToken",
            "SESSION_DIR": str(tmp_path_factory.mktemp("sessions")),
        }
        environ |= settings
        requests.post(
            f"{on.url}/control/redirect-uris",
            json={"redirect_uri": environ["REDIRECT_URI"]},
            timeout=10,
        ).raise_for_status()
        module = import_app(environ)
        server = make_server("127.0.0.1", port, module.app, threaded=True, request_handler=QuietHandler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        servers.append((server, thread))
        return RunningApp(environ, module, port)

    yield serve
    with ThreadPoolExecutor(16) as pool:  # each takes up to a tenth of a second to notice
        list(pool.map(lambda running: running[0].shutdown(), servers))
    for server, thread in servers:
        thread.join(5)
        server.server_close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A redis-server for the whole run. Skips where there is none."""
    with Redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="session")
def shared_app(serve_app):
    """The app with its usual settings."""
    return serve_app()


@pytest.fixture
def browser(shared_app, tenant):
    """A browser that has been nowhere yet."""
    with Browser(shared_app.url, tenant) as browser:
        yield browser
