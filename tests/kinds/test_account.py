"""What Entra ID and External ID do with an account besides signing in: sign-up, and sign-out elsewhere."""

import html
import re
import uuid
from collections.abc import Iterator

import pytest
import requests

from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, Document, parameters
from tests.helpers.tenant import Tenant
from tests.kinds.conftest import ENTRA_ID, EXTERNAL_ID, MANY_TENANTS


def heading(browser: Browser) -> str:
    return Document(browser.page.text).heading


# --- Sign-up


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_sign_up(browser: Browser, tenant: Tenant) -> None:
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    browser.get("/signup")
    assert heading(browser) == "Sign up"
    browser.submit("sendCode", email=email)
    browser.submit("verifyCode", code=tenant.last_mail(email))
    browser.submit(
        "create", newPassword="Own-pass-1", reenterPassword="Own-pass-1", displayName="Grace Hopper"
    )
    assert browser.signed_in_as() == "Grace Hopper"
    assert browser.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_sign_up_is_offered(browser: Browser) -> None:
    assert 'href="/signup"' in browser.get("/").text


@pytest.mark.parametrize("kind", [ENTRA_ID, MANY_TENANTS])
def test_sign_up_is_not_there(browser: Browser) -> None:
    assert "/signup" not in browser.get("/").text
    assert browser.get("/signup").status_code == 404


# --- Front-channel sign-out


@pytest.fixture
def app(app: RunningApp, tenant: Tenant) -> Iterator[RunningApp]:
    """The app, whose logout URL is registered."""
    tenant.control("PUT", "logout-url", logout_url=f"{app.url}/frontchannel_logout")
    yield app
    tenant.control("PUT", "logout-url", logout_url="")


def sign_out_at_the_tenant(browser: Browser) -> str:
    """Sign out on the tenant's own page, not the app's. Returns the address in the page's frame."""
    browser.get("/login", follow=False)
    browser.get(browser.location.partition("?")[0].replace("/authorize", "/logout"))
    browser.submit("account")
    frame = re.search('<iframe class="app" src="(.*?)"', browser.page.text)
    assert frame
    return html.unescape(frame[1])


def load_in_frame(address: str) -> requests.Response:
    """What a frame of another site sends: no cookies."""
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
    return requests.get(address, headers=headers, timeout=20)


def test_sign_out_at_the_tenant_ends_the_session_here(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    answer = load_in_frame(sign_out_at_the_tenant(browser))
    assert answer.status_code == 200
    assert tenant.url in answer.headers["Content-Security-Policy"]
    assert browser.signed_in_as() is None


def test_sign_out_of_somebody_else_ends_no_session_here(
    browser: Browser, app: RunningApp, tenant: Tenant
) -> None:
    browser.sign_in()
    with Browser(app.url, tenant) as other:
        other.sign_in()
        address = sign_out_at_the_tenant(other)
        load_in_frame(address)
        assert other.signed_in_as() is None
    assert browser.signed_in_as() == "Ada Lovelace"
    assert parameters(address).keys() == {"sid", "iss"}
