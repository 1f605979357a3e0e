"""Several apps on one machine: ports and cookie names. And settings whose names are misspelt."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app_config
from tests.app.test_settings import GOOD
from tests.helpers.app import RunningApp, ServeApp, import_app
from tests.helpers.browser import Browser, send_lines
from tests.helpers.processes import ROOT
from tests.helpers.tenant import Tenant


def settings(**changes: str) -> app_config.Settings:
    return app_config.read(GOOD | changes)


def flask(tenant: Tenant, folder: Path, *arguments: str, **changes: str) -> tuple[str, str]:
    """What a flask command prints to stdout and to stderr."""
    environ = tenant.settings | {"PATH": os.environ["PATH"], "SESSION_DIR": str(folder)} | changes
    command = [sys.executable, "-m", "flask", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30)
    return done.stdout, done.stderr


def check(tenant: Tenant, folder: Path, **changes: str) -> dict[str, str]:
    """The findings of `flask check` that are not ok: what, and all that is said about it."""
    environ = tenant.settings | {"SESSION_DIR": str(folder)} | changes
    findings = json.loads(import_app(environ).test_cli_runner().invoke(args=["check", "--json"]).output)
    return {f["what"]: f["detail"] + " " + f["advice"] for f in findings if not f["ok"]}


# --- Cookie names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "prefix"),
    [
        ({}, "signin_5000_"),
        ({"REDIRECT_URI": "http://127.0.0.1:8080/back"}, "signin_8080_"),
        ({"REDIRECT_URI": "https://localhost:5000/back"}, "__Host-signin_5000_"),
        ({"REDIRECT_URI": "https://app.example/back"}, "__Host-signin_"),
        ({"REDIRECT_URI": "https://app.example/back", "COOKIE_PREFIX": "portal"}, "__Host-portal_"),
        ({"COOKIE_PREFIX": "portal"}, "portal_"),
    ],
)
def test_cookie_names(changes: dict[str, str], prefix: str) -> None:
    assert settings(**changes).cookie_name_prefix == prefix


@pytest.mark.parametrize("prefix", ["a b", "a;b", "a=b", "ü", "a" * 33])
def test_a_malformed_cookie_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(app_config.ConfigError, match="COOKIE_PREFIX is malformed"):
        settings(COOKIE_PREFIX=prefix)


def test_two_apps_on_localhost_do_not_sign_each_other_out(serve_app: ServeApp, tenant: Tenant) -> None:
    one, two = serve_app(COOKIE_PREFIX=""), serve_app(COOKIE_PREFIX="")
    with Browser(one.url, tenant) as browser:
        browser.sign_in()
        browser.get(f"{two.url}/login")
        assert "Sign out" in browser.get(two.url).text
        assert browser.signed_in_as() == "Ada Lovelace"

        browser.post("/logout")
        assert browser.signed_in_as() is None
        assert "Sign out" in browser.get(two.url).text


# --- Ports --------------------------------------------------------------------------------------------------


@pytest.fixture
def other_port() -> Iterator[int]:
    """A port on which something else than the app listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_another_port_is_explained_and_not_redirected_from(
    shared_app: RunningApp, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = (f"Host: {host}:5630", "Accept: text/html")
    status, headers, body = send_lines(shared_app.port, "GET /token_details HTTP/1.1", *asked)
    page = body.decode()

    assert status == 421
    assert "Location" not in headers
    assert f'href="{shared_app.url}/"' in page
    assert "REDIRECT_URI=http://localhost:5630/getAToken" in page
    assert f"serve the app on port {shared_app.port}" in page
    assert "reached on port 5630" in caplog.text


def test_a_deployed_app_explains_no_port(https_app: RunningApp) -> None:
    status, headers, _ = send_lines(https_app.port, "GET / HTTP/1.1", "Host: app.example:8443")

    assert status == 302
    assert headers["Location"] == "https://app.example/"


def test_flask_run_says_at_once_that_its_port_is_another(
    tenant: Tenant, tmp_path: Path, other_port: int
) -> None:
    # The port is taken, so flask ends by itself.
    printed = flask(tenant, tmp_path, "run", "--port", str(other_port))[1]

    assert f"listens on port {other_port}, and REDIRECT_URI says 5000" in printed
    assert f"REDIRECT_URI=http://localhost:{other_port}/getAToken" in printed


def test_flask_run_says_which_file_to_edit_and_which_decorator_to_use(
    tenant: Tenant, tmp_path: Path, other_port: int
) -> None:
    uri = f"http://localhost:{other_port}/getAToken"
    printed = flask(tenant, tmp_path, "run", "--port", str(other_port), REDIRECT_URI=uri)[1]

    assert "write a route in app.py" in printed
    assert "@sign_in_required" in printed
    assert "Warning: flask run listens" not in printed


def test_the_check_compares_the_port_of_flask_run(tenant: Tenant, tmp_path: Path) -> None:
    faults = check(tenant, tmp_path, FLASK_RUN_PORT="5630")

    assert "FLASK_RUN_PORT is 5630, and REDIRECT_URI says 5000" in faults["port"]
    assert "REDIRECT_URI=http://localhost:5630/getAToken" in faults["port"]


def test_the_check_notices_another_program_on_the_port(tenant: Tenant, tmp_path: Path) -> None:
    uri = tenant.settings["ENDPOINT"].removesuffix("/tasks") + "/getAToken"  # the local tenant's web API
    faults = check(tenant, tmp_path, REDIRECT_URI=uri.replace("127.0.0.1", "localhost"))

    assert "another program listens" in faults["port"]


def test_the_development_server_does_not_log_static_files(
    serve_app: ServeApp, caplog: pytest.LogCaptureFixture
) -> None:
    serve_app()  # which sets up logging
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    for path, status in (("/static/style.css", 200), ("/static/missing.css", 404), ("/login", 302)):
        log.info('x - - [now] "%s" %s %s', f"GET {path} HTTP/1.1", status, "-")

    assert "style.css" not in caplog.text
    assert "missing.css" in caplog.text
    assert "/login" in caplog.text


# --- Misspelt settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("EDIT_PROFILE_USER_FLOW", "EDITPROFILE_USER_FLOW"),
        ("PROFILE_USER_FLOW", "EDITPROFILE_USER_FLOW"),
        ("SCOPES", "SCOPE"),
        ("REDIRECT_URL", "REDIRECT_URI"),
        ("REDIS_URI", "REDIS_URL"),
        ("SECRETKEY", "SECRET_KEY"),
        ("SESSION_IDLE_MINUTE", "SESSION_IDLE_MINUTES"),
        ("ENDPIONT", "ENDPOINT"),
        ("B2C_TENANT", "B2C_TENANT_NAME"),
        ("TENANT_NAME", "B2C_TENANT_NAME"),
        ("CLIENT_CERTIFICATE", "CLIENT_CERTIFICATE_PATH"),
    ],
)
def test_a_misspelt_setting_is_recognized(name: str, meant: str) -> None:
    assert app_config.misspelt({name: "x"} | GOOD) == {name: meant}


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "SSH_CLIENT",
        "XDG_SESSION_ID",
        "IDENTITY_ENDPOINT",
        "FLASK_DEBUG",
        "scope",
        "PORT",
        "TENANT_ID",
    ],
)
def test_other_programs_variables_are_none(name: str) -> None:
    assert app_config.misspelt({name: "x"}) == {}


def test_the_check_names_a_misspelt_setting(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDIT_PROFILE_USER_FLOW", "B2C_1_edit")  # the check looks at all of the environment
    faults = check(tenant, tmp_path)

    assert "Did you mean EDITPROFILE_USER_FLOW?" in faults["EDIT_PROFILE_USER_FLOW"]


def test_the_check_ends_with_a_summary(tenant: Tenant, tmp_path: Path) -> None:
    printed, warned = flask(tenant, tmp_path, "check", SCOPES="x", FLASK_RUN_PORT="1")

    assert printed.splitlines()[-1].startswith("2 of ")
    assert (printed + warned).count("SCOPES is not a setting") + printed.count(
        "SCOPES: is not a setting"
    ) == 1
