"""Consent and Conditional Access: what a token needs from the user leads through the provider, once."""

import json
from urllib.parse import urlsplit

import pytest

from local_tenant import LocalTenant
from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Tenant
from tests.kinds.conftest import ENTRA_ID, EXTERNAL_ID, MANY_TENANTS, ServeKind

API = "/call_downstream_api"


def heading(browser: Browser) -> str:
    return Document(browser.page.text).heading


def requested_contexts(tenant: Tenant) -> list[set[str]]:
    """What the `claims` of each authorization request asks of the access token."""
    requests = [seen["query"].get("claims", ["{}"])[0] for seen in tenant.seen("authorize")]
    return [set(json.loads(claims).get("access_token", {})) - {"xms_cc"} for claims in requests]


# --- Conditional Access


def test_challenge_at_the_refresh_leads_through_the_provider_once(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=60)
    browser.sign_in()
    tenant.option(token_challenge=True)
    tenant.forget_requests()
    browser.get(API)
    assert browser.page.status_code == 200
    assert urlsplit(browser.page.url).path == API
    assert requested_contexts(tenant) == [{"capolids"}]


def test_challenge_at_the_sign_in_leads_through_the_provider_again(browser: Browser, tenant: Tenant) -> None:
    tenant.option(token_challenge=True)
    browser.sign_in(start=API)
    assert browser.page.status_code == 200
    assert urlsplit(browser.page.url).path == API
    assert requested_contexts(tenant) == [set(), {"capolids"}]


def test_challenge_of_the_api_leads_through_the_provider_once(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    tenant.option(api_challenge=True)
    tenant.forget_requests()
    browser.get(API)
    assert browser.page.status_code == 200
    assert requested_contexts(tenant) == [{"acrs"}]
    assert [seen["status"] for seen in tenant.seen("api")] == [401, 200]


def test_challenge_of_an_own_api(
    kind: str, serve_kind: ServeKind, local: LocalTenant, tenant: Tenant
) -> None:
    app = serve_kind(kind, ENDPOINT=local.api_url, SCOPE=local.tasks_scope)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        tenant.option(api_challenge=True)
        browser.get(API)
        assert browser.page.status_code == 200


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_challenge_that_is_never_satisfied_ends_on_a_page(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=60)
    browser.sign_in()
    challenge = {
        "error": "invalid_grant",
        "error_description": "AADSTS50076: MFA",
        "error_codes": [50076],
        "claims": '{"access_token":{"capolids":{"essential":true,"values":["x"]}}}',
    }
    tenant.misbehave(token={"status": 400, "body": challenge, "content_type": "application/json"})
    tenant.forget_requests()
    browser.get(API)
    assert browser.page.status_code == 403
    assert heading(browser) == "The sign-in service does not allow this"
    assert len(tenant.seen("authorize")) == 1


# --- Consent


@pytest.mark.parametrize("kind", [ENTRA_ID, MANY_TENANTS])
def test_user_consents_to_a_new_scope(kind: str, serve_kind: ServeKind, tenant: Tenant) -> None:
    app = serve_kind(kind, SCOPE="User.ReadWrite")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        assert heading(browser) == "Permissions requested"
        browser.submit("accept")
        assert browser.signed_in_as() == "Ada Lovelace"
        assert browser.get(API).status_code == 200


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_user_declines(kind: str, serve_kind: ServeKind, tenant: Tenant) -> None:
    app = serve_kind(kind, SCOPE="User.ReadWrite")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        browser.submit("cancel")
        assert "Cancelled. Nothing has changed." in browser.page.text
        assert browser.signed_in_as() is None


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_consent_withdrawn_since_is_asked_for_again(kind: str, serve_kind: ServeKind, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=60)
    app = serve_kind(kind, SCOPE="User.ReadWrite")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        browser.submit("accept")
        tenant.control("PATCH", f"accounts/{tenant.account['email']}", consents=[])
        browser.get(API)
        assert heading(browser) == "Permissions requested"
        browser.submit("accept")
        assert browser.page.status_code == 200
        assert urlsplit(browser.page.url).path == API


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_external_id_asks_for_no_consent(kind: str, serve_kind: ServeKind, tenant: Tenant) -> None:
    app = serve_kind(kind, SCOPE="User.ReadWrite")
    with Browser(app.url, tenant) as browser:
        assert browser.sign_in().signed_in_as() == "Ada Lovelace"


def test_scope_that_needs_an_administrator(kind: str, serve_kind: ServeKind, tenant: Tenant) -> None:
    app = serve_kind(kind, SCOPE="Directory.Read.All")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        assert browser.page.url.startswith(tenant.url)
        assert "AADSTS90094: " in browser.page.text


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_same_challenge_is_met_again_at_the_next_sign_in(browser: Browser, tenant: Tenant) -> None:
    tenant.option(token_challenge=True)
    browser.sign_in(start=API).post("/logout")
    browser.sign_in(start=API)
    assert browser.page.status_code == 200
    assert requested_contexts(tenant) == [set(), {"capolids"}] * 2
