"""What people and operators read when Entra ID or External ID refuses something."""

import re

import pytest

from local_tenant import LocalTenant
from tests.helpers.browser import Browser, Document, with_query
from tests.helpers.tenant import Tenant
from tests.kinds.conftest import ENTRA_ID, EXTERNAL_ID, MANY_TENANTS, ServeKind
from tests.kinds.test_tenants import OTHER, PERSONAL, add_account

GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def text_of(browser: Browser) -> str:
    return " ".join(Document(browser.page.text).text.split())


# --- In the authorization response


@pytest.mark.parametrize("kind", [ENTRA_ID])
@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("AADSTS50105", 403, "Assign the user to the application"),
        ("AADSTS53003", 403, "Your organization's rules do not allow this sign-in."),
        ("AADSTS50057", 403, "This account is disabled."),
        ("AADSTS500208", 403, "The tenant does not accept this type of account."),
        ("AADSTS90033", 503, "temporary fault"),
        ("AADSTS70011", 502, "SCOPE is malformed: User.Read"),
    ],
)
def test_error_page_knows_the_code(
    browser: Browser, tenant: Tenant, code: str, status: int, words: str
) -> None:
    tenant.misbehave(authorize={"error": {"code": code}})
    browser.get("/login")
    assert browser.page.status_code == status
    assert words in text_of(browser)
    assert f"code {code}" in text_of(browser)


def test_reference_is_the_providers_correlation_id(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(authorize={"error": {"code": "AADSTS53003"}})
    browser.get("/login", follow=False)
    browser.follow()
    correlation_id = re.search(rf"Correlation\+ID%3a\+({GUID})", browser.location)
    browser.follow()
    assert correlation_id
    assert f"Reference: {correlation_id[1]}" in text_of(browser)


def test_cancelled_sign_in(browser: Browser) -> None:
    browser.get("/login")
    browser.submit("cancel")
    assert browser.page.status_code == 200
    assert "Cancelled. Nothing has changed." in text_of(browser)


# --- At the token endpoint


def test_wrong_client_secret(kind: str, serve_kind: ServeKind, tenant: Tenant) -> None:
    app = serve_kind(kind, CLIENT_SECRET="the-id-of-the-secret")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        assert browser.page.status_code == 502
        assert "code AADSTS7000215" in text_of(browser)
        assert "It must be the secret's Value, not its ID." in text_of(browser)


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_expired_client_secret(browser: Browser, tenant: Tenant) -> None:
    body = {"error": "invalid_client", "error_description": "AADSTS7000222: ...", "error_codes": [7000222]}
    tenant.misbehave(token={"status": 401, "body": body, "content_type": "application/json"})
    browser.sign_in()
    assert "CLIENT_SECRET has expired." in text_of(browser)


# --- On the provider's own pages, which do not send the browser back


def test_unassigned_user(browser: Browser, tenant: Tenant) -> None:
    tenant.control("PATCH", f"accounts/{tenant.account['email']}", assigned=False)
    browser.sign_in()
    assert browser.page.url.startswith(tenant.url)
    assert "AADSTS50105: " in text_of(browser)
    assert re.search(rf"Trace ID: {GUID} ?Correlation ID: {GUID} ?Timestamp: \d{{4}}-", text_of(browser))


@pytest.mark.parametrize(
    ("kind", "home"), [(ENTRA_ID, OTHER), (EXTERNAL_ID, OTHER), (MANY_TENANTS, PERSONAL)]
)
def test_account_of_another_tenant(browser: Browser, tenant: Tenant, home: str) -> None:
    browser.sign_in(email=add_account(tenant, home))
    assert "AADSTS50020: " in text_of(browser)
    assert browser.signed_in_as() is None


def test_unregistered_redirect_uri(browser: Browser) -> None:
    browser.get("/login", follow=False)
    browser.get(with_query(browser.location, redirect_uri="http://localhost:1/elsewhere"))
    assert browser.page.status_code == 400
    assert "AADSTS50011: " in text_of(browser)


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_app_of_one_tenant_at_organizations(
    kind: str, serve_kind: ServeKind, local: LocalTenant, tenant: Tenant
) -> None:
    app = serve_kind(kind, AUTHORITY=f"{local.tls_url}/organizations", ALLOWED_TENANTS="*")
    with Browser(app.url, tenant) as browser:
        browser.get("/login")
        assert "AADSTS50194: " in text_of(browser)
