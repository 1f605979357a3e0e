"""The protocol of the local tenant's other kinds: Entra ID for one tenant and for many, External ID."""

import html
import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import msal
import pytest
import requests

from local_tenant import LocalTenant
from tests.local_tenant.conftest import REDIRECT_URI
from tests.local_tenant.visitor import SECONDS, SIGN_IN, Visitor, claims, error_code, found, parameters

ENTRA_ID, MANY_TENANTS, EXTERNAL_ID = KINDS = ("entra-id", "entra-id-many-tenants", "external-id")
ROOT = Path(__file__).resolve().parent.parent.parent
AFTER_SIGN_OUT = "http://localhost:1234/"
OTHER = "0aaaaaaa-1111-4111-8111-111111111111"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TRACE = rf"Trace ID: {GUID} Correlation ID: {GUID} Timestamp: \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ"


class MicrosoftVisitor(Visitor):
    """Uses the tenant's ID in the path, or another `segment`."""

    def __init__(self, tenant: LocalTenant):
        super().__init__(tenant)
        self.segment = tenant.tenant_id

    def page_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.url}/{self.segment}/{path}"

    def back_channel_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.tls_url}/{self.segment}/{path}"

    def metadata(self) -> dict[str, Any]:
        url = self.back_channel_url("v2.0/.well-known/openid-configuration")
        document: dict[str, Any] = self.http.get(url, timeout=SECONDS).json()
        return document

    def add_account(self, **attributes: object) -> str:
        email = f"grace-{len(self.control('GET', 'accounts'))}@example.com"
        self.control("POST", "accounts", {"email": email, "password": "Own-pass-1", **attributes})
        return email

    def sign_in_as(self, email: str, **changes: Any) -> requests.Response:
        return self.sign_in(email=email, password="Own-pass-1", **changes)

    def id_token_of(self, email: str, **changes: Any) -> dict[str, Any]:
        code = parameters(self.sign_in_as(email, **changes))["code"]
        return claims(self.redeem(code).json()["id_token"])

    def press(self, page: requests.Response, button: str) -> requests.Response:
        """Press a button of the page's form, which may be sent elsewhere than the page itself."""
        action = re.search('<form method="post" action="(.*?)"', page.text)
        url = urljoin(page.url, html.unescape(action[1])) if action else page.url
        return self.http.post(url, data={button: "1"}, allow_redirects=False, timeout=SECONDS)

    def log_out(self, **query: str | None) -> requests.Response:
        return self.get(self.page_url("oauth2/v2.0/logout"), **query)

    def graph(self, token: str, method: str = "GET", **body: object) -> requests.Response:
        return self.http.request(
            method,
            f"{self.tenant.graph_url}/v1.0/me",
            headers={"Authorization": f"Bearer {token}"},
            json=body or None,
            timeout=SECONDS,
        )


@pytest.fixture(scope="session")
def running() -> Iterator[dict[str, LocalTenant]]:
    """A local tenant of each kind, started when first asked for."""
    with ExitStack() as stack:

        class Running(dict[str, LocalTenant]):
            def __missing__(self, kind: str) -> LocalTenant:
                uris = [REDIRECT_URI, AFTER_SIGN_OUT]
                self[kind] = stack.enter_context(LocalTenant(kind=kind, redirect_uris=uris))
                return self[kind]

        yield Running()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tenant(kind: str, running: dict[str, LocalTenant]) -> LocalTenant:
    return running[kind]


@pytest.fixture
def visitor(tenant: LocalTenant) -> Iterator[MicrosoftVisitor]:
    """Somebody who has not been at the tenant yet. Undoes faults, options and the logout URL afterwards."""
    visitor = MicrosoftVisitor(tenant)
    options = visitor.control("GET", "options")
    yield visitor
    visitor.control("DELETE", "faults")
    visitor.control("PATCH", "options", options)
    visitor.control("PUT", "logout-url", {"logout_url": ""})
    visitor.close()


# --- Metadata and keys


def test_metadata(visitor: MicrosoftVisitor, tenant: LocalTenant, kind: str) -> None:
    issuers = {
        ENTRA_ID: f"{tenant.tls_url}/{tenant.tenant_id}/v2.0",
        MANY_TENANTS: f"{tenant.tls_url}/{tenant.tenant_id}/v2.0",
        EXTERNAL_ID: f"https://{tenant.tenant_id}.ciamlogin.com/{tenant.tenant_id}/v2.0",
    }
    document = visitor.metadata()
    assert document["issuer"] == issuers[kind]
    assert document["authorization_endpoint"] == visitor.page_url("oauth2/v2.0/authorize")
    assert document["token_endpoint"] == visitor.back_channel_url("oauth2/v2.0/token")
    assert document["end_session_endpoint"] == visitor.page_url("oauth2/v2.0/logout")
    assert document["jwks_uri"] == visitor.back_channel_url("discovery/v2.0/keys")
    assert document["frontchannel_logout_supported"] is True


@pytest.mark.parametrize("kind", [ENTRA_ID, MANY_TENANTS])
@pytest.mark.parametrize(
    ("segment", "tenant_in_issuer"),
    [("organizations", "{tenantid}"), ("common", "{tenantid}"), ("consumers", PERSONAL)],
)
def test_metadata_for_many_tenants(
    visitor: MicrosoftVisitor, tenant: LocalTenant, segment: str, tenant_in_issuer: str
) -> None:
    visitor.segment = segment
    assert visitor.metadata()["issuer"] == f"{tenant.tls_url}/{tenant_in_issuer}/v2.0"


def test_metadata_of_an_unknown_tenant(visitor: MicrosoftVisitor) -> None:
    visitor.segment = OTHER
    document = visitor.metadata()
    assert (document["error"], document["error_codes"]) == ("invalid_tenant", [90002])


@pytest.mark.parametrize("kind", [MANY_TENANTS])
def test_keys_say_whose_they_are(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    visitor.segment = "organizations"
    assert [key["issuer"] for key in visitor.keys().json()["keys"]] == [
        f"{tenant.tls_url}/{{tenantid}}/v2.0",
        f"{tenant.tls_url}/{PERSONAL}/v2.0",
    ]


# --- Tokens


def test_msal_accepts_the_sign_in(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    app = msal.ConfidentialClientApplication(
        tenant.settings["CLIENT_ID"],
        client_credential=tenant.settings["CLIENT_SECRET"],
        authority=f"{tenant.tls_url}/{tenant.tenant_id}",
        http_client=visitor.http,
        instance_discovery=False,
    )
    flow = app.initiate_auth_code_flow(["User.Read"], redirect_uri=REDIRECT_URI)
    page = visitor.get(flow["auth_uri"])
    answer = visitor.submit(
        page, email=tenant.account["email"], password=tenant.account["password"], next="1"
    )
    result = app.acquire_token_by_auth_code_flow(flow, parameters(answer))
    assert "error" not in result
    [account] = app.get_accounts()
    assert account["home_account_id"] == f"{tenant.account['sub']}.{tenant.tenant_id}"
    assert account["username"] == tenant.account["email"]
    assert app.acquire_token_silent(["User.Read"], account, force_refresh=True)["token_source"]


def test_id_token(visitor: MicrosoftVisitor, tenant: LocalTenant, kind: str) -> None:
    id_token = claims(visitor.tokens()["id_token"])
    assert id_token["tid"] == tenant.tenant_id
    assert id_token["oid"] == tenant.account["sub"]
    assert id_token["sub"] != id_token["oid"]
    assert id_token["preferred_username"] == tenant.account["email"]
    assert id_token["iss"] == visitor.metadata()["issuer"]
    assert id_token["exp"] - id_token["iat"] == 3900
    assert re.fullmatch(GUID, id_token["sid"])
    assert ("login_hint" in id_token) == (kind != EXTERNAL_ID)
    assert "email" not in id_token
    assert "at_hash" not in id_token


def test_sub_is_pairwise(visitor: MicrosoftVisitor) -> None:
    tokens = visitor.tokens(scope=f"openid {visitor.tenant.tasks_scope}")
    id_token, access_token = claims(tokens["id_token"]), claims(tokens["access_token"])
    assert id_token["sub"] != access_token["sub"]
    assert id_token["oid"] == access_token["oid"]


def test_roles_and_email_are_sent_when_there_are_any(visitor: MicrosoftVisitor) -> None:
    email = visitor.add_account(roles=["Reader"])
    id_token = visitor.id_token_of(email, scope="openid email")
    assert (id_token["roles"], id_token["email"]) == (["Reader"], email)


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_federated_user_name_is_made_from_the_object_id(visitor: MicrosoftVisitor) -> None:
    id_token = visitor.id_token_of(visitor.add_account(federated=True))
    assert id_token["preferred_username"] == f"{id_token['oid']}@localtenant.onmicrosoft.com"
    assert id_token["idp"] == "google.com"


@pytest.mark.parametrize("kind", [MANY_TENANTS])
def test_token_is_of_the_home_tenant(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    visitor.segment = "organizations"
    id_token = visitor.id_token_of(visitor.add_account(tenant=OTHER))
    assert (id_token["tid"], id_token["iss"]) == (OTHER, f"{tenant.tls_url}/{OTHER}/v2.0")


@pytest.mark.parametrize("kind", [MANY_TENANTS])
def test_personal_account_has_its_own_key(visitor: MicrosoftVisitor) -> None:
    visitor.segment = "common"
    email = visitor.add_account(tenant=PERSONAL)
    code = parameters(visitor.sign_in_as(email))["code"]
    header = visitor.redeem(code).json()["id_token"].partition(".")[0]
    keys = {key["kid"]: key["issuer"] for key in visitor.keys().json()["keys"]}
    assert PERSONAL in keys[json.loads(b64decode(header + "=="))["kid"]]


@pytest.mark.parametrize("kind", [MANY_TENANTS])
def test_forged_token_can_have_the_personal_key(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    visitor.segment = "organizations"
    visitor.set_fault(id_token={"key": "personal"})
    token = visitor.tokens()["id_token"]
    kid = json.loads(b64decode(token.partition(".")[0] + "=="))["kid"]
    assert kid == visitor.keys().json()["keys"][1]["kid"]
    assert claims(token)["tid"] == tenant.tenant_id


def test_response_lists_the_scopes_as_they_were_asked_for(visitor: MicrosoftVisitor) -> None:
    tokens = visitor.tokens(scope="openid offline_access User.Read")
    assert set(tokens["scope"].split()) >= {"openid", "User.Read"}
    assert "offline_access" not in tokens["scope"]
    full = visitor.refresh(tokens["refresh_token"], scope="https://graph.microsoft.com/User.Read").json()
    assert "https://graph.microsoft.com/User.Read" in full["scope"].split()


def test_refresh_token_is_good_for_any_api(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    tokens = visitor.tokens(scope="openid offline_access User.Read")
    refreshed = visitor.refresh(tokens["refresh_token"], scope=tenant.tasks_scope).json()
    assert visitor.call_api(refreshed["access_token"]).status_code == 200
    assert visitor.call_api(tokens["access_token"]).status_code == 401


def test_token_is_for_one_api(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    scope = f"openid User.Read {tenant.tasks_scope}"
    answer = visitor.redeem(visitor.code(scope=scope), scope=scope)
    assert error_code(answer) == ("invalid_scope", "AADSTS700022")


# --- Errors


@pytest.mark.parametrize("kind", [ENTRA_ID])
@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, ("invalid_client", 7000215)),
        ({"client_secret": None}, 401, ("invalid_client", 7000218)),
        ({"client_id": "unknown"}, 400, ("unauthorized_client", 700016)),
        ({}, 400, ("invalid_grant", 9002313)),
        ({"grant_type": "password"}, 400, ("unsupported_grant_type", 70003)),
    ],
)
def test_token_error(
    visitor: MicrosoftVisitor, changes: dict[str, Any], status: int, error: tuple[str, int]
) -> None:
    answer = visitor.redeem("some-code", **changes)
    members = answer.json()
    assert (answer.status_code, members["error"], members["error_codes"]) == (status, error[0], [error[1]])
    assert re.fullmatch(rf"AADSTS{error[1]}: .*[.]? {TRACE}", members["error_description"])
    for name in ("trace_id", "correlation_id", "timestamp"):
        assert members[name] in members["error_description"]


def test_code_works_once(visitor: MicrosoftVisitor) -> None:
    code = visitor.code()
    visitor.redeem(code)
    assert error_code(visitor.redeem(code)) == ("invalid_grant", "AADSTS54005")


@pytest.mark.parametrize("kind", [ENTRA_ID])
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none"}, ("login_required", "AADSTS50058")),
        ({"prompt": "login consent"}, ("invalid_request", "AADSTS90023")),
        ({"scope": "openid User.Unknown"}, ("invalid_scope", "AADSTS70011")),
        ({"scope": "openid api://unknown/read"}, ("invalid_resource", "AADSTS500011")),
    ],
)
def test_error_that_goes_back_to_the_app(
    visitor: MicrosoftVisitor, changes: dict[str, str], error: tuple[str, str]
) -> None:
    answer = visitor.authorize(**changes)
    assert error_code(answer) == error
    assert re.search(TRACE, parameters(answer)["error_description"])


@pytest.mark.parametrize("kind", [ENTRA_ID])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uri": "http://localhost:1/elsewhere"}, "AADSTS50011"),
        ({"client_id": "unknown"}, "AADSTS700016"),
    ],
)
def test_error_that_stays_on_a_page(visitor: MicrosoftVisitor, changes: dict[str, str], code: str) -> None:
    page = visitor.authorize(**changes)
    assert page.status_code == 400
    assert f"{code}: " in page.text


def test_scope_that_needs_an_administrator(visitor: MicrosoftVisitor) -> None:
    page = visitor.sign_in(scope="openid Directory.Read.All")
    assert page.status_code == 400
    assert "AADSTS90094: " in page.text


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_app_of_one_tenant_is_refused_at_common(visitor: MicrosoftVisitor) -> None:
    visitor.segment = "common"
    assert "AADSTS50194: " in visitor.authorize().text


@pytest.mark.parametrize("kind", [ENTRA_ID, MANY_TENANTS])
def test_prompt_create_is_refused(visitor: MicrosoftVisitor) -> None:
    assert error_code(visitor.authorize(prompt="create")) == ("invalid_request", "AADSTS90023")


# --- Pages


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_prompt_create_begins_with_the_sign_up(visitor: MicrosoftVisitor) -> None:
    page = visitor.authorize(prompt="create", login_hint="new@example.com")
    assert found("<h1>(.*)</h1>", page) == "Sign up"
    page = visitor.submit(page, email="new@example.com", sendCode="1")
    page = visitor.submit(page, code=visitor.mailed_code("new@example.com"), verifyCode="1")
    answer = visitor.submit(
        page, newPassword="Own-pass-1", reenterPassword="Own-pass-1", displayName="New", create="1"
    )
    id_token = claims(visitor.redeem(parameters(answer)["code"]).json()["id_token"])
    assert id_token["name"] == "New"


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_forgotten_password_is_reset_on_the_spot(visitor: MicrosoftVisitor) -> None:
    email = visitor.add_account()
    page = visitor.click(visitor.authorize(), "forgotPassword")
    page = visitor.submit(page, email=email, sendCode="1")
    page = visitor.submit(page, code=visitor.mailed_code(email), verifyCode="1")
    answer = visitor.submit(page, newPassword="New-pass-2", reenterPassword="New-pass-2", **{"continue": "1"})
    assert "code" in parameters(answer)


@pytest.mark.parametrize("kind", [ENTRA_ID, MANY_TENANTS])
def test_entra_id_has_no_sign_up(visitor: MicrosoftVisitor) -> None:
    page = visitor.authorize()
    assert "createAccount" not in page.text
    assert "forgotPassword" not in page.text


def test_prompt_select_account(visitor: MicrosoftVisitor) -> None:
    visitor.sign_in()
    page = visitor.authorize(prompt="select_account")
    assert found("<h1>(.*)</h1>", page) == "Pick an account"
    assert "next" in visitor.click(page, "otherAccount").text
    assert "code" in parameters(visitor.press(page, "account"))


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_consent_is_asked_for_once(visitor: MicrosoftVisitor) -> None:
    email, scope = visitor.add_account(), "openid User.ReadWrite"
    page = visitor.sign_in_as(email, scope=scope)
    assert "https://graph.microsoft.com/User.ReadWrite" in page.text
    assert "code" in parameters(visitor.press(page, "accept"))
    assert "code" in parameters(visitor.authorize(scope=scope))


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_consent_is_missing_for_a_silent_request(visitor: MicrosoftVisitor) -> None:
    email = visitor.add_account()
    tokens = visitor.redeem(parameters(visitor.sign_in_as(email))["code"]).json()
    answer = visitor.authorize(scope="openid User.ReadWrite", prompt="none")
    assert error_code(answer) == ("consent_required", "AADSTS65001")
    refused = visitor.refresh(tokens["refresh_token"], scope="User.ReadWrite").json()
    assert (refused["error"], refused["suberror"]) == ("invalid_grant", "consent_required")


# --- Sign-out


@pytest.mark.parametrize("kind", [ENTRA_ID, MANY_TENANTS])
def test_sign_out_with_a_hint(visitor: MicrosoftVisitor) -> None:
    hint = claims(visitor.tokens()["id_token"])["login_hint"]
    answer = visitor.log_out(logout_hint=hint, post_logout_redirect_uri=AFTER_SIGN_OUT, state="s")
    assert answer.headers["Location"] == f"{AFTER_SIGN_OUT}?state=s"
    assert error_code(visitor.authorize(prompt="none"))[0] == "login_required"


@pytest.mark.parametrize("hint", [None, "somebody-else"])
def test_sign_out_without_the_right_hint_asks_for_the_account(
    visitor: MicrosoftVisitor, hint: str | None
) -> None:
    visitor.sign_in()
    page = visitor.log_out(logout_hint=hint, post_logout_redirect_uri=AFTER_SIGN_OUT)
    assert found("<h1>(.*)</h1>", page) == "Sign out"
    assert "code" in parameters(visitor.authorize(prompt="none"))
    answer = visitor.press(page, "account")
    assert answer.headers["Location"] == AFTER_SIGN_OUT
    assert error_code(visitor.authorize(prompt="none"))[0] == "login_required"


def test_sign_out_leads_only_to_registered_addresses(visitor: MicrosoftVisitor) -> None:
    page = visitor.log_out(post_logout_redirect_uri="https://evil.example/")
    assert page.status_code == 200
    assert "You are signed out" in page.text


def test_sign_out_tells_the_app_in_a_frame(visitor: MicrosoftVisitor) -> None:
    visitor.control("PUT", "logout-url", {"logout_url": "http://localhost:1234/signed-out"})
    id_token = claims(visitor.tokens()["id_token"])
    page = visitor.log_out(post_logout_redirect_uri=AFTER_SIGN_OUT)
    page = visitor.press(page, "account")
    frame = urlsplit(found('<iframe class="app" src="(.*?)"', page).replace("&amp;", "&"))
    assert f"{frame.scheme}://{frame.netloc}{frame.path}" == "http://localhost:1234/signed-out"
    assert parse_qs(frame.query) == {"sid": [id_token["sid"]], "iss": [id_token["iss"]]}
    assert found('id="back" [^>]*href="(.*?)"', page) == AFTER_SIGN_OUT
    assert "frame-src http://localhost:1234" in page.headers["Content-Security-Policy"]


# --- Conditional Access


def test_token_challenge_until_the_authorization_request_carries_it(visitor: MicrosoftVisitor) -> None:
    refresh_token = visitor.tokens()["refresh_token"]
    visitor.set_option(token_challenge=True)
    refused = visitor.refresh(refresh_token).json()
    assert (refused["error"], refused["error_codes"]) == ("interaction_required", [50076])
    tokens = visitor.tokens(claims=refused["claims"])
    assert "access_token" in visitor.refresh(tokens["refresh_token"]).json()


def test_api_challenge_until_the_token_has_the_context(visitor: MicrosoftVisitor) -> None:
    tokens = visitor.tokens()
    visitor.set_option(api_challenge=True)
    challenge = visitor.graph(tokens["access_token"]).headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in challenge
    encoded = re.search('claims="(.*?)"', challenge)
    assert encoded
    wanted = b64decode(encoded[1]).decode()
    assert visitor.refresh(tokens["refresh_token"], claims=wanted).json()["error"] == "interaction_required"
    better = visitor.tokens(claims=wanted)
    assert visitor.graph(better["access_token"]).status_code == 200


# --- Graph


def test_graph_reads_the_profile(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    profile = visitor.graph(visitor.tokens()["access_token"]).json()
    assert (profile["id"], profile["mail"]) == (tenant.account["sub"], tenant.account["email"])


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
def test_graph_changes_the_profile(visitor: MicrosoftVisitor) -> None:
    email = visitor.add_account(display_name="Before")
    code = parameters(visitor.sign_in_as(email, scope="openid offline_access User.ReadWrite"))["code"]
    tokens = visitor.redeem(code).json()
    changed = visitor.graph(tokens["access_token"], "PATCH", displayName="After", jobTitle="Engineer")
    assert changed.status_code == 204
    assert visitor.graph(tokens["access_token"]).json()["jobTitle"] == "Engineer"
    assert claims(visitor.refresh(tokens["refresh_token"]).json()["id_token"])["name"] == "After"


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_graph_refuses_a_change_without_the_scope(visitor: MicrosoftVisitor) -> None:
    answer = visitor.graph(visitor.tokens()["access_token"], "PATCH", displayName="After")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize("kind", [EXTERNAL_ID])
@pytest.mark.parametrize(
    ("body", "status"), [({"mail": "x@example.com"}, 403), ({"displayName": ""}, 400), ({"city": 1}, 400)]
)
def test_graph_refuses_a_wrong_change(visitor: MicrosoftVisitor, body: dict[str, Any], status: int) -> None:
    token = visitor.tokens(scope="openid User.ReadWrite")["access_token"]
    assert visitor.graph(token, "PATCH", **body).status_code == status


def test_graph_refuses_the_token_of_another_api(visitor: MicrosoftVisitor, tenant: LocalTenant) -> None:
    token = visitor.tokens(scope=f"openid {tenant.tasks_scope}")["access_token"]
    assert visitor.graph(token).status_code == 401


def test_userinfo_has_the_sub_of_the_id_token(visitor: MicrosoftVisitor) -> None:
    tokens = visitor.tokens()
    url = visitor.metadata()["userinfo_endpoint"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (
        visitor.http.get(url, headers=headers, timeout=SECONDS).json()["sub"]
        == claims(tokens["id_token"])["sub"]
    )


# --- The settings


def test_settings_of_the_kind(tenant: LocalTenant, kind: str) -> None:
    settings = tenant.settings
    assert settings["AUTHORITY_KIND"] == kind.removesuffix("-many-tenants")
    assert settings["AUTHORITY"].startswith("https://127.0.0.1:")
    assert bool(settings["ALLOWED_TENANTS"]) == (kind == MANY_TENANTS)
    assert (settings["B2C_TENANT_NAME"], settings["SIGNUPSIGNIN_USER_FLOW"]) == ("", "")
    assert (settings["SCOPE"], settings["ENDPOINT"].endswith("/v1.0/me")) == ("User.Read", True)


def test_command_line_chooses_the_kind() -> None:
    command = [sys.executable, "-m", "local_tenant", "--port", "0", "--kind", MANY_TENANTS]
    show = "import os; print(os.environ['AUTHORITY_KIND'], os.environ['ALLOWED_TENANTS'])"
    shown = subprocess.run(
        [*command, sys.executable, "-c", show],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
        timeout=30,
    )
    assert re.fullmatch(rf"entra-id {GUID}\n", shown.stdout)
