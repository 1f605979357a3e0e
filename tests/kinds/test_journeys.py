"""What a user does, at each kind of authority: sign in, call the API, stay signed in, sign out."""

import json
import re
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp, import_app
from tests.helpers.browser import Browser, Document, greeted, parameters
from tests.helpers.tenant import Tenant
from tests.kinds.conftest import ENTRA_ID, EXTERNAL_ID, MANY_TENANTS, ServeKind

GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PROVIDER_NAMES = {
    ENTRA_ID: "Microsoft Entra ID",
    MANY_TENANTS: "Microsoft Entra ID",
    EXTERNAL_ID: "Microsoft Entra External ID",
}
HOUR = 3600


def text_of(browser: Browser) -> str:
    return " ".join(Document(browser.page.text).text.split())


def test_sign_in(browser: Browser) -> None:
    assert browser.sign_in().signed_in_as() == "Ada Lovelace"


def test_pages_name_the_provider(browser: Browser, kind: str) -> None:
    browser.get("/")
    assert f"You sign in at {PROVIDER_NAMES[kind]}." in text_of(browser)


def test_single_sign_on_needs_no_page(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    browser.forget_session_id()
    tenant.forget_requests()
    browser.get("/login")
    assert greeted(browser.page) == "Ada Lovelace"
    assert not tenant.seen("page")


def test_token_details_show_the_stable_ids(browser: Browser, local: LocalTenant, tenant: Tenant) -> None:
    browser.sign_in().get("/token_details")
    shown = text_of(browser)
    assert f"oid {tenant.account['sub']}" in shown
    assert f"tid {local.tenant_id}" in shown
    # Pairwise: not the account's own id
    assert f"sub {tenant.account['sub']}" not in shown


def test_api_is_microsoft_graph(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().get("/call_downstream_api")
    assert browser.page.status_code == 200
    assert f'"userPrincipalName": "{tenant.account["email"]}"' in text_of(browser)


def test_own_api_gets_a_token_of_its_own(
    kind: str, serve_kind: ServeKind, local: LocalTenant, tenant: Tenant
) -> None:
    app = serve_kind(kind, ENDPOINT=local.api_url, SCOPE=local.tasks_scope)
    with Browser(app.url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")
        assert browser.page.status_code == 200
        assert '"owner": "Ada Lovelace"' in text_of(browser)


def test_expired_token_is_refreshed(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=60)
    browser.sign_in()
    tenant.forget_requests()
    browser.get("/call_downstream_api")
    assert browser.page.status_code == 200
    grants = [seen["form"]["grant_type"] for seen in tenant.seen("token")]
    assert grants == [["refresh_token"]]


def test_revoked_refresh_token_leads_through_the_sign_in(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=60)
    browser.sign_in()
    tenant.revoke_tokens()
    browser.leave_tenant()
    browser.get("/call_downstream_api")
    tenant.option(access_token_lifetime=HOUR)
    browser.enter_password()
    assert browser.page.status_code == 200
    assert urlsplit(browser.page.url).path == "/call_downstream_api"


# --- Sign-out


@pytest.mark.parametrize("kind", [ENTRA_ID, MANY_TENANTS])
def test_sign_out_with_a_hint_asks_nothing(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().post("/logout")
    assert urlsplit(browser.page.url).netloc == urlsplit(browser.app_url).netloc
    assert "You are signed out." in text_of(browser)
    assert tenant.seen("logout")[0]["query"].keys() == {"logout_hint", "post_logout_redirect_uri"}


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_sign_out_without_a_hint_asks_for_the_account(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().post("/logout")
    assert Document(browser.page.text).heading == "Sign out"
    browser.submit("account")
    assert urlsplit(browser.page.url).netloc == urlsplit(browser.app_url).netloc
    assert browser.signed_in_as() is None


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_sign_out_without_the_optional_claim_asks_for_the_account(browser: Browser, tenant: Tenant) -> None:
    tenant.option(login_hint=False)
    browser.sign_in().post("/logout")
    assert Document(browser.page.text).heading == "Sign out"
    assert browser.signed_in_as() is None


def test_after_sign_out_the_tenant_asks_for_the_password(browser: Browser) -> None:
    browser.sign_in().post("/logout")
    if "account" in str(Document(browser.page.text).forms):
        browser.submit("account")
    browser.get("/login")
    assert Document(browser.page.text).heading == "Sign in"


# --- Names


def add_account(tenant: Tenant, **attributes: object) -> str:
    """Make an account with these attributes. Returns its e-mail address."""
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    tenant.control("POST", "accounts", email=email, password="Try-it-0ut", **attributes)
    return email


def test_name_is_the_user_name_when_there_is_no_other(browser: Browser, tenant: Tenant) -> None:
    email = add_account(tenant)
    assert browser.sign_in(email=email).signed_in_as() == email


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_name_is_never_the_id_in_a_federated_user_name(browser: Browser, tenant: Tenant) -> None:
    email = add_account(tenant, federated=True)
    name = browser.sign_in(email=email).signed_in_as()
    assert name
    assert not re.search(GUID, name)
    browser.get("/token_details")
    assert re.search(rf"preferred_username {GUID}@localtenant\.onmicrosoft\.com", text_of(browser))


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_federated_user_has_the_name_from_the_other_provider(browser: Browser, tenant: Tenant) -> None:
    email = add_account(tenant, federated=True, display_name="Grace Hopper")
    assert browser.sign_in(email=email).signed_in_as() == "Grace Hopper"


# --- What an authority cannot do


def test_there_is_no_password_reset(browser: Browser) -> None:
    browser.sign_in()
    assert "/reset_password" not in browser.get("/").text
    assert browser.get("/reset_password").status_code == 404


# --- flask check


@pytest.fixture
def check_environ(app: RunningApp, tmp_path: Path) -> dict[str, str]:
    return app.environ | {"SESSION_DIR": str(tmp_path)}


def findings(environ: dict[str, str]) -> dict[str, tuple[bool, str]]:
    result = import_app(environ).test_cli_runner().invoke(args=["check", "--json"])
    return {
        found["what"]: (found["ok"], f"{found['detail']} {found['advice']}")
        for found in json.loads(result.output)
    }


@pytest.mark.parametrize("kind", [ENTRA_ID, EXTERNAL_ID])
@pytest.mark.usefixtures("tenant")
def test_check_finds_a_good_set_up_good(check_environ: dict[str, str]) -> None:
    found = findings(check_environ)
    assert {what: words for what, (ok, words) in found.items() if not ok} == {}
    assert "client credential" in found


@pytest.mark.parametrize("kind", [ENTRA_ID, EXTERNAL_ID])
@pytest.mark.usefixtures("tenant")
def test_check_names_a_wrong_secret(check_environ: dict[str, str]) -> None:
    ok, words = findings(check_environ | {"CLIENT_SECRET": "wrong"})["client credential"]
    assert not ok
    assert "AADSTS7000215" in words
    assert "Value, not its ID" in words


@pytest.mark.parametrize("kind", [ENTRA_ID, EXTERNAL_ID])
@pytest.mark.usefixtures("tenant")
def test_check_names_an_unregistered_redirect_uri(check_environ: dict[str, str]) -> None:
    found = findings(check_environ | {"REDIRECT_URI": "http://localhost:5000/elsewhere"})
    ok, words = found["sign-in request"]
    assert not ok
    assert "redirect URI" in words


@pytest.mark.parametrize("kind", [ENTRA_ID, EXTERNAL_ID])
@pytest.mark.usefixtures("tenant")
def test_check_names_a_tenant_that_is_not_there(check_environ: dict[str, str], local: LocalTenant) -> None:
    unknown = check_environ["AUTHORITY"].replace(local.tenant_id, str(uuid.uuid4()))
    ok, words = findings(check_environ | {"AUTHORITY": unknown})["provider metadata"]
    assert not ok
    assert "tenant" in words


# --- Requests


def test_authorization_request_has_one_prompt_at_most(browser: Browser) -> None:
    browser.get("/login", follow=False)
    assert "prompt" not in parameters(browser.location)
