"""Scopes asked for later, the UserInfo endpoint, and grants without an authorization request."""

from typing import Any

import pytest
import requests

from local_tenant import LocalTenant
from tests.local_tenant.visitor import DOMAIN, SECONDS, SIGN_IN, EntraVisitor, Visitor, claims, error_code

ROPC = "B2C_1_ROPC_Auth"
TASKS_API, NOTES_API = f"https://{DOMAIN}/tasks-api", f"https://{DOMAIN}/notes-api"

# --- Scopes


def test_scopes_can_be_asked_for_later_than_at_sign_in(visitor: Visitor) -> None:
    refresh_token = visitor.tokens(scope="openid offline_access")["refresh_token"]
    response = visitor.refresh(refresh_token, scope=f"openid offline_access {TASKS_API}/tasks.read").json()
    assert claims(response["access_token"])["scp"] == "tasks.read"
    assert visitor.call_api(response["access_token"]).ok


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        pytest.param("openid User.Read", "AADB2C90117", id="unknown"),
        pytest.param(f"{TASKS_API}/tasks.admin", "AADB2C90205", id="not granted"),
        pytest.param(f"{TASKS_API}/tasks.read {NOTES_API}/notes.read", "AADB2C90146", id="two APIs"),
    ],
)
def test_later_scopes_are_checked(visitor: Visitor, scope: str, code: str) -> None:
    refresh_token = visitor.tokens(scope="openid offline_access")["refresh_token"]
    assert error_code(visitor.refresh(refresh_token, scope=scope)) == ("invalid_request", code)


# --- UserInfo


@pytest.fixture
def userinfo_url(visitor: Visitor) -> Any:
    visitor.control("PATCH", f"user-flows/{SIGN_IN}", {"userinfo": True})
    url = visitor.back_channel_url("v2.0/.well-known/openid-configuration")
    yield visitor.http.get(url, timeout=SECONDS).json()["userinfo_endpoint"]
    visitor.control("PATCH", f"user-flows/{SIGN_IN}", {"userinfo": False})


def get_userinfo(visitor: Visitor, url: str, token: str) -> requests.Response:
    return visitor.http.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS)


def test_userinfo_tells_the_claims_of_the_person(visitor: Visitor, userinfo_url: str) -> None:
    person = get_userinfo(visitor, userinfo_url, visitor.tokens()["access_token"]).json()
    assert (person["sub"], person["name"]) == (visitor.tenant.account["sub"], "Ada Example")


def test_userinfo_refuses_an_id_token(visitor: Visitor, userinfo_url: str) -> None:
    assert get_userinfo(visitor, userinfo_url, visitor.tokens()["id_token"]).status_code == 401


def test_userinfo_without_a_token_challenges_without_an_error(visitor: Visitor, userinfo_url: str) -> None:
    response = visitor.http.get(userinfo_url, timeout=SECONDS)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_user_flow_has_no_userinfo_by_default(visitor: Visitor) -> None:
    token = visitor.tokens()["access_token"]
    url = visitor.back_channel_url("openid/v2.0/userinfo")
    assert get_userinfo(visitor, url, token).status_code == 404


# --- Resource owner password credentials


def ropc(visitor: Visitor, user_flow: str = ROPC, **changes: Any) -> requests.Response:
    client_id, account = visitor.app("native")["client_id"], visitor.tenant.account
    form = {
        "grant_type": "password",
        "username": account["email"],
        "password": account["password"],
        "scope": f"openid {client_id} offline_access",
        "client_id": client_id,
        "response_type": "token id_token",
    }
    url = visitor.back_channel_url("oauth2/v2.0/token", user_flow)
    return visitor.http.post(url, data=form | changes, timeout=SECONDS)


def test_password_brings_tokens_at_its_user_flow(visitor: Visitor) -> None:
    client_id = visitor.app("native")["client_id"]
    tokens = ropc(visitor).json()
    assert claims(tokens["access_token"])["aud"] == claims(tokens["id_token"])["aud"] == client_id
    assert claims(tokens["id_token"])["sub"] == visitor.tenant.account["sub"]
    refreshed = visitor.refresh(tokens["refresh_token"], ROPC, client_id=client_id, client_secret=None)
    assert "access_token" in refreshed.json()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"password": "wrong"}, ("access_denied", "AADB2C90225"), id="password"),
        pytest.param({"username": ""}, ("invalid_request", "AADB2C90083"), id="no name"),
        pytest.param({"user_flow": SIGN_IN}, ("invalid_request", "AADB2C90086"), id="other user flow"),
    ],
)
def test_password_is_refused(visitor: Visitor, changes: dict[str, str], error: tuple[str, str]) -> None:
    assert error_code(ropc(visitor, **changes)) == error


def test_password_is_not_for_single_page_apps(visitor: Visitor) -> None:
    response = ropc(visitor, client_id=visitor.app("spa")["client_id"])
    assert error_code(response) == ("access_denied", "AADB2C90224")


def test_user_flow_for_passwords_has_no_pages(visitor: Visitor) -> None:
    assert error_code(visitor.authorize(ROPC))[1] == "AADB2C90013"


# --- Client credentials


def test_app_gets_a_token_for_itself(visitor: Visitor, tenant: LocalTenant) -> None:
    response = visitor.token(grant_type="client_credentials", scope=f"{TASKS_API}/.default").json()
    assert list(response) == [
        *("access_token", "token_type", "not_before", "expires_in", "expires_on", "resource")
    ]
    token = claims(response["access_token"])
    assert (token["azp"], token["scp"]) == (tenant.settings["CLIENT_ID"], "tasks.read tasks.write")
    assert token["aud"] == response["resource"]
    assert visitor.call_api(response["access_token"]).ok


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"scope": f"{TASKS_API}/tasks.read"}, "AADB2C90117", id="not .default"),
        pytest.param({"scope": None}, "AADB2C90083", id="no scope"),
        pytest.param({"client_secret": "wrong"}, "AADB2C90081", id="wrong secret"),
        pytest.param({"client_secret": None}, "AADB2C90079", id="no secret"),
    ],
)
def test_token_for_the_app_is_refused(visitor: Visitor, changes: dict[str, Any], error: str) -> None:
    form = {"grant_type": "client_credentials", "scope": f"{TASKS_API}/.default", **changes}
    assert error_code(visitor.token(**form))[1] == error


@pytest.mark.parametrize("grant_type", ["password", "client_credentials"])
def test_entra_id_refuses_other_grants(entra_visitor: EntraVisitor, grant_type: str) -> None:
    response = entra_visitor.token(grant_type=grant_type, scope="User.Read")
    assert error_code(response) == ("unsupported_grant_type", "AADSTS70003")
