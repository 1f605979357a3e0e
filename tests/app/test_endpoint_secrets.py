"""ENDPOINT may hold a key, in its query or before its host. Nobody gets to see it."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local_tenant import LocalTenant
from tests.app.test_check import run_check
from tests.helpers.app import ServeApp, import_app
from tests.helpers.browser import Browser
from tests.helpers.tenant import Fault, Tenant, register_redirect_uri

SECRETS = ("a-user", "a-password", "a-function-key")


def with_secrets(endpoint: str, port: int | None = None) -> str:
    url = urlsplit(endpoint)
    netloc = f"a-user:a-password@{url.hostname}:{port or url.port}"
    return url._replace(netloc=netloc, query="code=a-function-key").geturl()


def test_the_api_gets_the_key(serve_app: ServeApp, tenant: Tenant) -> None:
    app = serve_app(ENDPOINT=with_secrets(tenant.settings["ENDPOINT"]))
    with Browser(app.url, tenant) as browser:
        assert browser.sign_in(start="/call_downstream_api").page.status_code == 200

    [call] = tenant.seen("api")
    assert call["query"] == {"code": ["a-function-key"]}
    assert call["headers"]["Authorization"].startswith("Bearer ")


REDIRECT = {"status": 307, "headers": {"Location": "/tasks/?code=a-function-key"}}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({}, id="answers"),
        pytest.param({"status": 500}, id="fails"),
        pytest.param({"reset": True}, id="breaks"),
        pytest.param(REDIRECT, id="repeats the key in a redirect"),
        pytest.param({"status": 307, "headers": {"Location": "http://[?code=a-function-key"}}, id="junk"),
    ],
)
def test_page_and_log_do_not_show_it(
    serve_app: ServeApp, tenant: Tenant, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    app = serve_app(ENDPOINT=with_secrets(tenant.settings["ENDPOINT"]))
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        tenant.misbehave(api=fault)
        page = browser.get("/call_downstream_api")

    assert urlsplit(tenant.settings["ENDPOINT"]).path in page.text
    assert [secret for secret in SECRETS if secret in page.text or secret in caplog.text] == []


def test_page_and_log_do_not_show_it_when_nothing_listens(
    serve_app: ServeApp, tenant: Tenant, caplog: pytest.LogCaptureFixture, dead_port: int
) -> None:
    app = serve_app(ENDPOINT=with_secrets(tenant.settings["ENDPOINT"], dead_port))
    with Browser(app.url, tenant) as browser:
        page = browser.sign_in().get("/call_downstream_api")

    assert page.status_code == 502
    assert "no answer from" in caplog.text
    assert [secret for secret in SECRETS if secret in page.text or secret in caplog.text] == []


@pytest.mark.parametrize("up", [True, False])
def test_the_check_does_not_show_it(
    running_tenant: LocalTenant, tenant: Tenant, tmp_path: Path, dead_port: int, up: bool
) -> None:
    register_redirect_uri(running_tenant, "http://localhost:5000/getAToken")
    endpoint = with_secrets(tenant.settings["ENDPOINT"], None if up else dead_port)

    checked = run_check(tenant, tmp_path, ENDPOINT=endpoint)

    assert checked.returncode == (0 if up else 1)
    assert "web API: " in checked.stdout
    output = checked.stdout + checked.stderr
    assert [secret for secret in SECRETS if secret in output] == []


@pytest.mark.parametrize(
    "endpoint", ["http://a-user:a-password@api.example/", "ftp://api.example/?code=a-password"]
)
def test_an_endpoint_that_is_refused_is_not_repeated(
    tenant: Tenant, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        import_app(tenant.settings | {"ENDPOINT": endpoint})
    said = capsys.readouterr().err

    assert "ENDPOINT is malformed" in said
    assert "a-password" not in said
