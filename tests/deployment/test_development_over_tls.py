"""Development over TLS: `flask run --cert=adhoc`, with a redirect URI on https://127.0.0.1."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_tenant import LocalTenant
from tests.helpers.browser import Browser
from tests.helpers.processes import Program, free_port, listens
from tests.helpers.tenant import Tenant, register_redirect_uri

# Nobody vouches for the certificate, which the server makes itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def visitor(running_tenant: LocalTenant, tenant: Tenant, tmp_path: Path) -> Iterator[Browser]:
    """A visitor of the app over TLS, as during development."""
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    settings = {"REDIRECT_URI": f"{url}/auth/redirect", "SESSION_DIR": str(tmp_path / "sessions")}
    register_redirect_uri(running_tenant, settings["REDIRECT_URI"])
    register_redirect_uri(running_tenant, f"{url}/")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | running_tenant.settings | settings
    command = [sys.executable, "-m", "flask", "run", "--cert=adhoc", "--port", str(port)]
    with Program(command, tmp_path, environ) as server:
        server.wait_until_ready(lambda: listens(port))
        with Browser(url, tenant) as visitor:
            visitor.http.verify = False
            yield visitor


def test_the_whole_journey_works_over_tls(visitor: Browser) -> None:
    visitor.sign_in()
    assert visitor.signed_in_as() == "Ada Lovelace"
    assert visitor.get("/call_downstream_api").status_code == 200

    visitor.post("/logout")

    assert visitor.page.url.startswith(visitor.app_url)
    assert visitor.signed_in_as() is None


def test_the_cookies_belong_to_this_host_and_to_https(visitor: Browser) -> None:
    visitor.sign_in()

    [session] = [cookie for cookie in visitor.http.cookies if cookie.name.endswith("_session")]
    assert session.name.startswith("__Host-")
    assert session.secure


def test_browsers_are_not_told_to_use_https_for_all_ports_of_this_machine(visitor: Browser) -> None:
    assert "Strict-Transport-Security" not in visitor.get("/").headers
