"""Front-channel sign-out as the local tenant does it: its sign-out page has the app's address in a frame."""

import html
import re
from collections.abc import Iterator

import pytest
import requests

from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Tenant


@pytest.fixture(autouse=True)
def leave_no_logout_url(tenant: Tenant) -> Iterator[None]:
    """The tenant serves other tests too."""
    yield
    tenant.control("PUT", "logout-url", logout_url="")


def sign_out_address(app: RunningApp, tenant: Tenant) -> str:
    """The tenant's sign-out address, as the app knows it."""
    with Browser(app.url, tenant) as somebody:
        answer = somebody.sign_in().post("/logout", follow=False)
    return answer.headers["Location"].partition("?")[0]


def test_sign_out_at_the_tenant_ends_the_session_here(
    app: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    address = sign_out_address(app, tenant)
    tenant.control("PUT", "logout-url", logout_url=f"{app.url}/frontchannel_logout")
    browser.sign_in()
    browser.get(address)
    browser.submit("account")
    [frame] = re.findall(r'<iframe[^>]* src="([^"]+)"', browser.page.text)
    assert browser.signed_in_as() == "Ada Lovelace"

    answer = requests.get(html.unescape(frame), timeout=10)  # a frame on another site has no cookies
    assert answer.status_code == 200
    assert tenant.url in answer.headers["Content-Security-Policy"].partition("frame-ancestors")[2]
    assert browser.signed_in_as() is None


def test_external_id_alone_has_a_link_to_sign_up(kind: str, app: RunningApp, browser: Browser) -> None:
    links = Document(browser.get("/").text).links

    assert links["Sign in"] == "/login"
    assert links.get("Sign up") == ("/signup" if kind == "external-id" else None)
    assert browser.get("/signup", follow=False).status_code == (302 if kind == "external-id" else 404)
    if kind == "external-id":
        assert "prompt=create" in browser.location


def test_my_sessions_for_each_kind(app: RunningApp, browser: Browser, tenant: Tenant) -> None:
    with Browser(app.url, tenant) as other:
        other.sign_in()
        browser.sign_in().post("/sessions", fields={"end": "others"})

        assert browser.signed_in_as() == "Ada Lovelace"
        assert other.signed_in_as() is None
