"""Apps without a secret: single-page apps and native apps."""

from typing import Any

import msal
import pytest
import requests

from local_tenant import LocalTenant
from tests.local_tenant.visitor import DOMAIN, SECONDS, SIGN_IN, App, Visitor, error_code, parameters

# RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
PKCE = {
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}
SPA_ORIGIN, OTHER_ORIGIN = "http://localhost:3000", "http://localhost:9999"
DAY = 24 * 3600


@pytest.fixture
def spa(visitor: Visitor) -> App:
    return visitor.app("spa")


@pytest.fixture
def native(visitor: Visitor) -> App:
    return visitor.app("native")


def redeem_code(
    visitor: Visitor, app: App, redirect_uri: str = "", origin: str = "", **changes: Any
) -> requests.Response:
    """Sign in to the app, and redeem the code as its library does. `changes` are in the token request."""
    redirect_uri = redirect_uri or app["redirect_uris"][0]
    code = visitor.code(client_id=app["client_id"], redirect_uri=redirect_uri, **PKCE)
    form = {"redirect_uri": redirect_uri, "code": code, "code_verifier": VERIFIER, **changes}
    return public_token(visitor, app, origin, grant_type="authorization_code", **form)


def public_token(visitor: Visitor, app: App, origin: str = "", **form: Any) -> requests.Response:
    url = visitor.back_channel_url("oauth2/v2.0/token")
    headers = {"Origin": origin} if origin else {}
    return visitor.http.post(
        url, data={"client_id": app["client_id"], **form}, headers=headers, timeout=SECONDS
    )


@pytest.mark.parametrize("type", ["spa", "native"])
def test_public_client_needs_no_secret(visitor: Visitor, type: str) -> None:
    assert "access_token" in redeem_code(visitor, visitor.app(type)).json()


def test_public_client_must_not_send_a_secret(visitor: Visitor, native: App) -> None:
    response = redeem_code(visitor, native, client_secret="made-up")
    assert error_code(response) == ("invalid_request", "AADB2C90084")


def test_public_client_needs_the_verifier(visitor: Visitor, native: App) -> None:
    assert error_code(redeem_code(visitor, native, code_verifier=None))[1] == "AADB2C90183"


def test_code_of_another_app_is_refused(visitor: Visitor, native: App, spa: App) -> None:
    response = redeem_code(visitor, native, client_id=spa["client_id"])
    assert error_code(response) == ("invalid_grant", "AADB2C90279")


def test_single_page_app_without_pkce_is_refused_at_once(visitor: Visitor, spa: App) -> None:
    answer = visitor.authorize(client_id=spa["client_id"], redirect_uri=spa["redirect_uris"][0])
    assert error_code(answer) == ("invalid_request", "AADB2C99059")


# --- Redirect URIs of native apps


@pytest.mark.parametrize(
    "redirect_uri",
    [
        pytest.param("http://localhost:49152", id="localhost"),
        pytest.param("http://localhost:49152/", id="localhost with a slash"),
        pytest.param("http://127.0.0.1:49152", id="127.0.0.1"),
        pytest.param("https://login.microsoftonline.com/common/oauth2/nativeclient", id="nativeclient"),
        pytest.param("msal{client_id}://auth", id="own scheme"),
    ],
)
def test_redirect_uri_of_a_native_app(visitor: Visitor, native: App, redirect_uri: str) -> None:
    redirect_uri = redirect_uri.format(client_id=native["client_id"])
    assert redeem_code(visitor, native, redirect_uri).status_code == 200


@pytest.mark.parametrize(
    ("type", "redirect_uri"),
    [
        ("native", "http://localhost:49152/path"),
        ("native", "http://localhost.example:49152"),
        ("native", "https://localhost:49152"),
        ("native", "http://localhost:99999"),
        ("native", "http://localhost:abc"),
        ("spa", "http://localhost:49152"),
    ],
)
def test_other_redirect_uri_is_refused(visitor: Visitor, type: str, redirect_uri: str) -> None:
    answer = visitor.authorize(client_id=visitor.app(type)["client_id"], redirect_uri=redirect_uri, **PKCE)
    assert parameters(answer)["error"] == "redirect_uri_mismatch"


# --- Scripts of other origins


def allowed_origin(answer: requests.Response) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"])
def test_any_script_may_read_metadata_and_keys(visitor: Visitor, path: str) -> None:
    answer = visitor.http.get(
        visitor.back_channel_url(path), headers={"Origin": OTHER_ORIGIN}, timeout=SECONDS
    )
    assert allowed_origin(answer) == "*"


@pytest.mark.parametrize(("origin", "allowed"), [(SPA_ORIGIN, SPA_ORIGIN), (OTHER_ORIGIN, None)])
def test_only_scripts_of_a_single_page_app_may_read_tokens(
    visitor: Visitor, spa: App, origin: str, allowed: str | None
) -> None:
    assert allowed_origin(redeem_code(visitor, spa, origin=origin)) == allowed


@pytest.mark.parametrize(("origin", "allowed"), [(SPA_ORIGIN, SPA_ORIGIN), (OTHER_ORIGIN, None)])
def test_only_scripts_of_a_single_page_app_may_call_the_api(
    visitor: Visitor, origin: str, allowed: str | None
) -> None:
    wanted = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = visitor.http.options(visitor.tenant.api_url, headers=wanted, timeout=SECONDS)
    answer = visitor.http.get(visitor.tenant.api_url, headers={"Origin": origin}, timeout=SECONDS)
    assert (preflight.status_code, allowed_origin(preflight), allowed_origin(answer)) == (
        200,
        allowed,
        allowed,
    )
    assert ("Access-Control-Allow-Headers" in preflight.headers) == bool(allowed)


# --- Refresh tokens of single-page apps


def test_refreshing_does_not_extend_the_day_of_a_single_page_app(visitor: Visitor, spa: App) -> None:
    first = redeem_code(visitor, spa, origin=SPA_ORIGIN).json()
    visitor.move_clock(DAY / 2)
    refresh: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = public_token(visitor, spa, SPA_ORIGIN, **refresh).json()
    assert first["refresh_token_expires_in"] == pytest.approx(DAY, abs=10)
    assert second["refresh_token_expires_in"] == pytest.approx(DAY / 2, abs=10)
    visitor.move_clock(DAY + 10)
    refresh["refresh_token"] = second["refresh_token"]
    expired = public_token(visitor, spa, SPA_ORIGIN, **refresh)
    assert error_code(expired) == ("invalid_grant", "AADB2C90080")


# --- Entra ID


def test_entra_id_redeems_codes_of_single_page_apps_for_browsers_only(entra_visitor: Visitor) -> None:
    spa, web = entra_visitor.app("spa"), entra_visitor.app("web")
    assert redeem_code(entra_visitor, spa, origin=SPA_ORIGIN, scope="User.Read").ok
    assert error_code(redeem_code(entra_visitor, spa))[1] == "AADSTS9002327"
    answer = redeem_code(entra_visitor, web, origin=SPA_ORIGIN)
    assert (error_code(answer)[1], allowed_origin(answer)) == ("AADSTS9002326", "*")


# --- MSAL Python


def test_msal_signs_in_without_a_secret(visitor: Visitor, tenant: LocalTenant, native: App) -> None:
    app = msal.PublicClientApplication(
        native["client_id"], authority=f"{tenant.tls_url}/{DOMAIN}/{SIGN_IN}", http_client=visitor.http
    )
    scopes = tenant.settings["SCOPE"].split()
    flow = app.initiate_auth_code_flow(scopes, redirect_uri="http://localhost:49152", response_mode="query")
    account = tenant.account
    back = visitor.submit(
        visitor.get(flow["auth_uri"]), email=account["email"], password=account["password"], next="1"
    )
    assert "access_token" in app.acquire_token_by_auth_code_flow(flow, parameters(back))
    renewed = app.acquire_token_silent(scopes, app.get_accounts()[0], force_refresh=True)
    assert renewed["token_source"] == "identity_provider"
