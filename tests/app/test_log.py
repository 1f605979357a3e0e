"""What the log holds, and what it never does."""

import logging
import os
import re
import sys
from pathlib import Path

import pytest
import requests

from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, Document, parameters, send_lines, with_query
from tests.helpers.engine import is_in_the_log
from tests.helpers.processes import Program, answers, free_port
from tests.helpers.tenant import Tenant


def test_no_code_token_or_secret_is_ever_logged_or_shown(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    url = browser.callback_url()
    pages = [browser.get(url)]
    pages += [browser.get(path) for path in ("/", "/token_details", "/call_downstream_api")]
    pages.append(browser.get(url, follow=False))
    browser.get("/login", follow=False)
    state = parameters(browser.location)["state"]
    pages.append(browser.get(with_query(url, state=state), follow=False))

    app_log = "\n".join(r.getMessage() for r in caplog.records if is_in_the_log(r))
    shown = "".join(page.text for page in pages)
    assert browser.session_id
    for secret in (
        parameters(url)["code"],
        tenant.settings["CLIENT_SECRET"],
        tenant.settings["SECRET_KEY"],
        browser.session_id,
        "eyJ",
    ):
        assert secret not in app_log
        assert secret not in shown


def test_the_development_servers_log_has_no_query(tenant: Tenant, tmp_path: Path) -> None:
    port = free_port()
    environ = tenant.settings | {"PATH": os.environ["PATH"], "SESSION_DIR": str(tmp_path / "sessions")}
    command = [sys.executable, "-m", "flask", "run", "--port", str(port)]
    with Program(command, tmp_path, environ) as server:
        server.wait_until_ready(lambda: answers(f"http://127.0.0.1:{port}"))
        for path in ("/getAToken?code=a-secret&state=x", "/login?login_hint=a-secret"):
            requests.get(f"http://localhost:{port}{path}", allow_redirects=False, timeout=10)
        log = server.output()

    assert "GET /getAToken" in log
    assert "GET /login" in log
    assert "a-secret" not in log


def test_a_sign_in_and_a_refused_one_are_each_one_line_of_the_log(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    browser.sign_in()
    tenant.misbehave(id_token={"key": "other"})
    browser.sign_in()

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("signin")]
    assert lines[0] == f"signed in: user={tenant.account['sub']!r}"
    assert lines[1].startswith("TokenRefused: status=502")
    assert len(lines) == 2


def test_a_path_cannot_forge_a_line_of_the_log(
    shared_app: RunningApp, caplog: pytest.LogCaptureFixture
) -> None:
    for host in ("evil.example", f"localhost:{shared_app.port}"):
        for path in ("/x%0d%0aWARNING%20forged", "/getAToken%0aforged?state=x", "/static/%0aforged"):
            send_lines(shared_app.port, f"GET {path} HTTP/1.1", f"Host: {host}", "Accept: text/html")

    assert not [message for message in caplog.messages if "\n" in message or "\r" in message]


def test_a_crash_is_one_entry_of_the_log_with_the_reference_on_the_page(
    serve_app: ServeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = serve_app()

    @app.flask.get("/reports/<name>")
    def report(name: str) -> str:
        raise LookupError(f"no report {name}")

    answer = requests.get(f"{app.url}/reports/x%0aFORGED%1b[2J", headers={"Accept": "text/html"}, timeout=10)
    [reference] = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", Document(answer.text).text)
    [crash] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    first, *rest = logging.Formatter().format(crash).split("\n")

    assert answer.status_code == 500
    assert first == f"crashed: reference={reference} method='GET' path='/reports/x\\nFORGED\\x1b[2J'"
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_a_sub_cannot_forge_a_line_of_the_log(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    tenant.misbehave(id_token={"set": {"sub": "x\r\nsigned in: user=admin"}})

    browser.sign_in()

    assert [message for message in caplog.messages if "user=" in message]
    assert not [message for message in caplog.messages if "\n" in message or "\r" in message]
