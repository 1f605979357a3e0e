"""The protocol of the local tenant, against what B2C is known to send and answer."""

import re
import time
from typing import Any
from urllib.parse import urlsplit

import jwt
import msal
import pytest

from local_tenant import LocalTenant
from tests.local_tenant.conftest import REDIRECT_URI
from tests.local_tenant.visitor import (
    DOMAIN,
    EDIT,
    RESET,
    SECONDS,
    SIGN_IN,
    Visitor,
    claims,
    decoded,
    error_code,
    parameters,
)


def metadata(visitor: Visitor, path: str, **query: str) -> dict[str, Any]:
    url = f"{visitor.tenant.tls_url}/{path}/v2.0/.well-known/openid-configuration"
    document: dict[str, Any] = visitor.http.get(url, params=query, timeout=SECONDS).json()
    return document


# --- discovery and keys


def test_discovery_document_is_what_b2c_serves(visitor: Visitor, tenant: LocalTenant) -> None:
    document = metadata(visitor, f"{DOMAIN}/{SIGN_IN}")
    base = f"{DOMAIN}/{SIGN_IN.lower()}"
    assert list(document.items())[:-1] == [
        ("issuer", f"{tenant.tls_url}/{tenant.settings['B2C_TENANT_ID']}/v2.0/"),
        ("authorization_endpoint", f"{tenant.url}/{base}/oauth2/v2.0/authorize"),
        ("token_endpoint", f"{tenant.tls_url}/{base}/oauth2/v2.0/token"),
        ("end_session_endpoint", f"{tenant.url}/{base}/oauth2/v2.0/logout"),
        ("jwks_uri", f"{tenant.tls_url}/{base}/discovery/v2.0/keys"),
        ("response_modes_supported", ["query", "fragment", "form_post"]),
        (
            "response_types_supported",
            [
                "code",
                "code id_token",
                "code token",
                "code id_token token",
                "id_token",
                "id_token token",
                "token",
                "token id_token",
            ],
        ),
        ("scopes_supported", ["openid"]),
        ("subject_types_supported", ["pairwise"]),
        ("id_token_signing_alg_values_supported", ["RS256"]),
        ("token_endpoint_auth_methods_supported", ["client_secret_post", "client_secret_basic"]),
    ]
    assert document["claims_supported"][-7:] == ["iss", "iat", "exp", "aud", "acr", "nonce", "auth_time"]


@pytest.mark.parametrize(
    ("asked", "token_endpoint"),
    [
        pytest.param("{domain}/{flow}", "{domain}/{lower}/oauth2/v2.0/token", id="name"),
        pytest.param("{guid}/{flow}", "{guid}/{lower}/oauth2/v2.0/token", id="guid"),
        pytest.param("tfp/{domain}/{flow}", "tfp/{domain}/{lower}/oauth2/v2.0/token", id="tfp"),
        pytest.param("{upper}/{lower}", "{domain}/{lower}/oauth2/v2.0/token", id="other case"),
    ],
)
def test_endpoints_echo_how_the_tenant_was_named(
    visitor: Visitor, tenant: LocalTenant, asked: str, token_endpoint: str
) -> None:
    names = {
        "domain": DOMAIN,
        "upper": DOMAIN.upper(),
        "guid": tenant.settings["B2C_TENANT_ID"],
        "flow": SIGN_IN,
        "lower": SIGN_IN.lower(),
    }
    document = metadata(visitor, asked.format(**names))
    assert document["token_endpoint"] == f"{tenant.tls_url}/{token_endpoint.format(**names)}"


def test_a_user_flow_in_the_query_stays_in_the_query(visitor: Visitor, tenant: LocalTenant) -> None:
    token_endpoint = metadata(visitor, DOMAIN, p=SIGN_IN)["token_endpoint"]
    assert token_endpoint == f"{tenant.tls_url}/{DOMAIN}/oauth2/v2.0/token?p={SIGN_IN.lower()}"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"{DOMAIN}/B2C_1_nothing", id="unknown user flow"),
        pytest.param(f"other.onmicrosoft.com/{SIGN_IN}", id="unknown tenant"),
    ],
)
def test_an_unknown_authority_is_not_found(visitor: Visitor, tenant: LocalTenant, path: str) -> None:
    response = visitor.http.get(
        f"{tenant.tls_url}/{path}/v2.0/.well-known/openid-configuration", timeout=SECONDS
    )
    assert response.status_code == 404
    assert "AADB2C90066" in response.text


def test_keys_have_exactly_b2cs_six_members(visitor: Visitor) -> None:
    key = visitor.keys().json()["keys"][0]
    assert list(key) == ["kid", "nbf", "use", "kty", "e", "n"]
    assert re.fullmatch(r"[\w-]{43}", key["kid"])
    assert (key["use"], key["kty"], key["e"], type(key["nbf"])) == ("sig", "RSA", "AQAB", int)


def test_all_user_flows_share_one_key(visitor: Visitor) -> None:
    sign_in, edit, reset = (visitor.keys(user_flow).json() for user_flow in (SIGN_IN, EDIT, RESET))
    assert sign_in == edit == reset


# --- the way back to the app


def test_success_answers_state_client_info_code_in_this_order(visitor: Visitor) -> None:
    response = visitor.sign_in(client_info="1")
    assert response.status_code == 302
    assert list(parameters(response)) == ["state", "client_info", "code"]
    assert parameters(response)["state"] == "some-state"


def test_success_without_client_info_asked_has_none(visitor: Visitor) -> None:
    assert list(parameters(visitor.sign_in())) == ["state", "code"]


def test_code_is_as_long_as_b2cs(visitor: Visitor) -> None:
    code = visitor.code()
    assert code.startswith("eyJraWQiOiJjcGltY29yZV8wOTI1MjAxNSIsInZlciI6IjEuMC")
    assert 900 < len(code) < 1300


def test_fragment_mode_answers_behind_a_hash(visitor: Visitor) -> None:
    location = urlsplit(visitor.sign_in(response_mode="fragment").headers["Location"])
    assert (location.query, location.fragment[:17]) == ("", "state=some-state&")


def test_form_post_mode_answers_with_a_form(visitor: Visitor) -> None:
    page = visitor.sign_in(response_mode="form_post")
    assert page.status_code == 200
    assert f'action="{REDIRECT_URI}"' in page.text
    assert re.findall(r'type="hidden" name="(\w+)"', page.text) == ["state", "code"]


def test_error_on_the_redirect_has_b2cs_layout(visitor: Visitor) -> None:
    location = visitor.authorize(prompt="none").headers["Location"]
    assert re.fullmatch(
        re.escape(REDIRECT_URI)
        + r"\?error=interaction_required&error_description=AADB2C90077%3a\+User\+does\+not\+"
        r"have\+an\+existing\+session\+and\+request\+prompt\+parameter\+has\+a\+value\+of\+%27None%27\.%0d%0a"
        r"Correlation\+ID%3a\+[0-9a-f-]{36}%0d%0aTimestamp%3a\+\d{4}-\d\d-\d\d\+\d\d%3a\d\d%3a\d\dZ%0d%0a"
        r"&state=some-state",
        location,
    )


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        pytest.param({"response_type": "nothing"}, "invalid_request", "AADB2C90013", id="response_type"),
        pytest.param({"response_type": "id_token"}, "unauthorized_client", "AADB2C90057", id="implicit"),
        pytest.param({"response_mode": "pigeon"}, "invalid_request", "AADB2C90014", id="response_mode"),
        pytest.param({"scope": None}, "invalid_request", "AADB2C90010", id="no scope"),
        pytest.param({"scope": "openid User.Read"}, "invalid_request", "AADB2C90117", id="unknown scope"),
        pytest.param(
            {"scope": f"https://{DOMAIN}/tasks-api/tasks.admin"},
            "invalid_request",
            "AADB2C90205",
            id="no permission",
        ),
        pytest.param(
            {"scope": f"https://{DOMAIN}/tasks-api/tasks.read https://{DOMAIN}/notes-api/notes.read"},
            "invalid_request",
            "AADB2C90146",
            id="two resources",
        ),
        pytest.param({"prompt": "dance"}, "invalid_request", "AADB2C90043", id="prompt"),
        pytest.param(
            {"code_challenge": "x" * 43, "code_challenge_method": "S512"},
            "invalid_request",
            "AADB2C90184",
            id="challenge method",
        ),
        pytest.param(
            {"redirect_uri": "https://elsewhere.example/"},
            "redirect_uri_mismatch",
            "AADB2C90006",
            id="unregistered redirect_uri",
        ),
    ],
)
def test_a_wrong_request_is_answered_at_a_registered_redirect_uri(
    visitor: Visitor, changes: dict[str, Any], error: str, code: str
) -> None:
    response = visitor.authorize(**changes)
    assert response.headers["Location"].startswith(REDIRECT_URI)
    assert error_code(response) == (error, code)
    assert parameters(response)["state"] == "some-state"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"client_id": None}, "AADB2C90008", id="no client_id"),
        pytest.param({"client_id": "someone"}, "AADB2C90018", id="unknown client_id"),
        pytest.param({"redirect_uri": None}, "AADB2C90004", id="no redirect_uri"),
    ],
)
def test_a_request_without_a_safe_address_ends_on_a_page(
    visitor: Visitor, changes: dict[str, Any], code: str
) -> None:
    response = visitor.authorize(**changes)
    assert response.status_code == 400
    assert code in response.text
    assert "Correlation ID" in response.text


def test_unregistered_redirect_uri_can_be_made_to_end_on_a_page(visitor: Visitor) -> None:
    visitor.set_option(unregistered_redirect="page")
    response = visitor.authorize(redirect_uri="https://elsewhere.example/")
    assert (response.status_code, "AADB2C90006" in response.text) == (400, True)


# --- the token endpoint


def test_token_response_of_the_msal_family(visitor: Visitor, tenant: LocalTenant) -> None:
    before = int(time.time())
    response = visitor.redeem(visitor.code()).json()
    assert list(response) == [
        "access_token",
        "id_token",
        "token_type",
        "not_before",
        "expires_in",
        "expires_on",
        "resource",
        "client_info",
        "scope",
        "refresh_token",
        "refresh_token_expires_in",
    ]
    assert response["token_type"] == "Bearer"
    assert 0 <= response["not_before"] - before <= 2
    assert response["expires_on"] == response["not_before"] + 3600
    assert (response["expires_in"], response["refresh_token_expires_in"]) == (3600, 1209600)
    assert response["resource"] == claims(response["access_token"])["aud"]
    assert response["scope"] == visitor.api_scopes
    assert decoded(response["client_info"]) == {
        "uid": f"{tenant.account['sub']}-{SIGN_IN.lower()}",
        "utid": tenant.settings["B2C_TENANT_ID"],
    }


def test_token_response_of_the_other_family(visitor: Visitor, tenant: LocalTenant) -> None:
    response = visitor.redeem(visitor.code(), client_info=None).json()
    assert list(response) == [
        "access_token",
        "id_token",
        "token_type",
        "not_before",
        "expires_in",
        "expires_on",
        "resource",
        "profile_info",
        "scope",
        "id_token_expires_in",
        "refresh_token",
        "refresh_token_expires_in",
    ]
    assert response["scope"] == f"openid offline_access {visitor.api_scopes}"
    assert decoded(response["profile_info"]) == {
        "ver": "1.0",
        "tid": tenant.settings["B2C_TENANT_ID"],
        "sub": None,
        "name": "Ada Example",
        "preferred_username": None,
        "idp": "LocalAccount",
    }


def test_openid_alone_brings_no_access_token(visitor: Visitor) -> None:
    response = visitor.tokens(scope="openid profile offline_access")
    assert list(response) == [
        "id_token",
        "token_type",
        "not_before",
        "client_info",
        "scope",
        "refresh_token",
        "refresh_token_expires_in",
    ]
    assert response["scope"] == ""


def test_without_offline_access_there_is_no_refresh_token(visitor: Visitor) -> None:
    assert "refresh_token" not in visitor.tokens(scope="openid")


def test_own_client_id_as_scope_gives_a_token_for_oneself(visitor: Visitor, tenant: LocalTenant) -> None:
    token = claims(visitor.tokens(scope="openid " + tenant.settings["CLIENT_ID"])["access_token"])
    assert token["aud"] == tenant.settings["CLIENT_ID"]


def test_only_granted_scopes_are_in_the_access_token(visitor: Visitor) -> None:
    scope = f"openid https://{DOMAIN}/tasks-api/tasks.admin https://{DOMAIN}/tasks-api/tasks.read"
    assert claims(visitor.tokens(scope=scope)["access_token"])["scp"] == "tasks.read"


def test_id_token_claims(visitor: Visitor, tenant: LocalTenant) -> None:
    token = visitor.tokens(scope="openid")["id_token"]
    found = claims(token)
    times = {name: found.pop(name) for name in ("exp", "nbf", "iat", "auth_time")}
    assert found == {
        "ver": "1.0",
        "iss": f"{tenant.tls_url}/{tenant.settings['B2C_TENANT_ID']}/v2.0/",
        "sub": tenant.account["sub"],
        "oid": tenant.account["sub"],
        "aud": tenant.settings["CLIENT_ID"],
        "nonce": "some-nonce",
        "given_name": "Ada",
        "family_name": "Example",
        "city": "Bristol",
        "name": "Ada Example",
        "emails": [tenant.account["email"]],
        "tfp": SIGN_IN,
    }
    assert times["exp"] - 3600 == times["nbf"] == times["iat"] >= times["auth_time"]


def test_id_token_passes_a_strict_check(visitor: Visitor, tenant: LocalTenant) -> None:
    keys = jwt.PyJWKSet.from_dict(visitor.keys().json())
    token = visitor.tokens()["id_token"]
    header = jwt.get_unverified_header(token)
    assert sorted(header) == ["alg", "kid", "typ"]
    jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=["RS256"],
        audience=tenant.settings["CLIENT_ID"],
        issuer=f"{tenant.tls_url}/{tenant.settings['B2C_TENANT_ID']}/v2.0/",
        options={"require": ["exp", "iat", "iss", "aud", "sub", "nonce"]},
    )


def test_access_token_claims(visitor: Visitor, tenant: LocalTenant) -> None:
    response = visitor.tokens()
    found = claims(response["access_token"])
    assert found["scp"] == "tasks.read tasks.write"
    assert found["azp"] == tenant.settings["CLIENT_ID"]
    assert found["aud"] == response["resource"] != tenant.settings["CLIENT_ID"]
    assert (found["tfp"], found["nonce"], found["ver"]) == (SIGN_IN, "some-nonce", "1.0")


@pytest.mark.parametrize(
    ("options", "issuer", "policy"),
    [
        pytest.param(
            {"issuer_form": "tfp"}, "/tfp/{guid}/b2c_1_signupsignin1/v2.0/", ("tfp", SIGN_IN), id="tfp issuer"
        ),
        pytest.param({"policy_claim": "acr"}, "/{guid}/v2.0/", ("acr", SIGN_IN.lower()), id="acr claim"),
    ],
)
def test_compatibility_settings_of_a_user_flow(
    visitor: Visitor, tenant: LocalTenant, options: dict[str, str], issuer: str, policy: tuple[str, str]
) -> None:
    visitor.set_option(**options)
    found = claims(visitor.tokens()["id_token"])
    assert found["iss"] == tenant.tls_url + issuer.format(guid=tenant.settings["B2C_TENANT_ID"])
    assert {name: found[name] for name in ("tfp", "acr") if name in found} == dict([policy])


def test_the_authorization_header_may_encode_id_and_secret_as_a_form_does(visitor: Visitor) -> None:
    settings = visitor.tenant.settings
    client_id, secret = (settings[name].replace("-", "%2D") for name in ("CLIENT_ID", "CLIENT_SECRET"))
    visitor.http.auth = (client_id, secret)
    assert "access_token" in visitor.redeem(visitor.code(), client_id=None, client_secret=None).json()


def test_the_case_of_a_client_id_does_not_matter(visitor: Visitor) -> None:
    client_id = visitor.tenant.settings["CLIENT_ID"].upper()
    code = visitor.code(client_id=client_id)
    assert "access_token" in visitor.redeem(code, client_id=client_id).json()


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        pytest.param({"client_secret": None}, "invalid_request", "AADB2C90079", id="no secret"),
        pytest.param({"client_secret": "wrong"}, "invalid_client", "AADB2C90081", id="wrong secret"),
        pytest.param({"client_id": "someone"}, "invalid_client", "AADB2C90018", id="unknown client"),
        pytest.param({"client_id": None}, "invalid_request", "AADB2C90083", id="no client"),
        pytest.param({"code": None}, "invalid_request", "AADB2C90083", id="no code"),
        pytest.param({"code": "made-up"}, "invalid_grant", "AADB2C90090", id="unknown code"),
        pytest.param({"grant_type": None}, "invalid_request", "AADB2C90083", id="no grant_type"),
        pytest.param({"grant_type": "password"}, "invalid_request", "AADB2C90086", id="other grant_type"),
        pytest.param(
            {"redirect_uri": REDIRECT_URI + "/"},
            "redirect_uri_mismatch",
            "AADB2C90006",
            id="redirect_uri",
        ),
        pytest.param({"user_flow": EDIT}, "invalid_grant", "AADB2C90088", id="other user flow"),
        pytest.param({"code_verifier": "v" * 43}, "invalid_grant", "AADB2C90183", id="needless verifier"),
    ],
)
def test_the_token_endpoint_refuses(visitor: Visitor, changes: dict[str, Any], error: str, code: str) -> None:
    response = visitor.redeem(**{"code": visitor.code(), **changes})
    assert response.status_code == 400
    assert error_code(response) == (error, code)
    assert sorted(response.json()) == ["error", "error_description"]


def test_a_code_for_another_redirect_uri_is_refused_with_advice(visitor: Visitor) -> None:
    visitor.redeem(visitor.code(), redirect_uri="http://localhost:1234/other")
    advice = visitor.control("GET", "requests")[-1]["advice"]
    assert advice == "Send the redirect_uri that the sign-in began with."


def test_error_description_of_the_token_endpoint_has_three_lines(visitor: Visitor) -> None:
    text = visitor.redeem(visitor.code(), EDIT).json()["error_description"]
    assert re.fullmatch(
        r"AADB2C90088: The provided grant has not been issued for this endpoint\. "
        rf"Actual Value : {SIGN_IN} and Expected Value : {EDIT}\r\n"
        r"Correlation ID: [0-9a-f-]{36}\r\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\r\n",
        text,
    )


def test_the_token_endpoint_takes_the_secret_in_the_header_too(visitor: Visitor, tenant: LocalTenant) -> None:
    form = {"grant_type": "authorization_code", "code": visitor.code(), "redirect_uri": REDIRECT_URI}
    response = visitor.http.post(
        visitor.back_channel_url("oauth2/v2.0/token"),
        data=form,
        auth=(tenant.settings["CLIENT_ID"], tenant.settings["CLIENT_SECRET"]),
        timeout=SECONDS,
    )
    assert response.status_code == 200


def test_the_token_endpoint_wants_post(visitor: Visitor) -> None:
    response = visitor.http.get(visitor.back_channel_url("oauth2/v2.0/token"), timeout=SECONDS)
    assert error_code(response) == ("invalid_request", "AADB2C90226")


def test_a_code_works_once(visitor: Visitor) -> None:
    code = visitor.code()
    assert visitor.redeem(code).status_code == 200
    assert error_code(visitor.redeem(code))[0] == "invalid_grant"


def test_code_reuse_can_be_allowed(visitor: Visitor) -> None:
    visitor.set_option(code_reuse=True)
    code = visitor.code()
    assert [visitor.redeem(code).status_code for _ in range(2)] == [200, 200]


def test_a_code_expires_after_five_minutes(visitor: Visitor) -> None:
    code = visitor.code()
    visitor.move_clock(301)
    response = visitor.redeem(code)
    assert error_code(response) == ("invalid_grant", "AADB2C90080")
    assert re.search(
        r"Current time: \d+, Grant issued time: \d+, Grant expiration time: \d+\.\r\n",
        response.json()["error_description"],
    )


# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_right_code_verifier_is_accepted(visitor: Visitor) -> None:
    code = visitor.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    assert visitor.redeem(code, code_verifier=VERIFIER).status_code == 200


def test_a_plain_code_challenge_is_its_verifier(visitor: Visitor) -> None:
    code = visitor.code(code_challenge=VERIFIER)
    assert visitor.redeem(code, code_verifier=VERIFIER).status_code == 200


@pytest.mark.parametrize(
    ("verifier", "code"),
    [
        pytest.param("w" * 43, "AADB2C90182", id="another"),
        pytest.param("é" * 43, "AADB2C90183", id="malformed"),
        pytest.param(None, "AADB2C90183", id="missing"),
    ],
)
def test_a_wrong_code_verifier_is_refused(visitor: Visitor, verifier: str | None, code: str) -> None:
    issued = visitor.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    response = visitor.redeem(issued, code_verifier=verifier)
    assert error_code(response) == ("invalid_grant", code)


def test_pkce_can_be_switched_off(visitor: Visitor) -> None:
    visitor.set_option(pkce=False)
    code = visitor.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    assert visitor.redeem(code, code_verifier="w" * 43).status_code == 200


# --- refreshing


def test_a_refreshed_id_token_changes_only_its_times(visitor: Visitor) -> None:
    first = visitor.tokens(scope="openid offline_access")
    visitor.move_clock(1000)
    second = visitor.refresh(first["refresh_token"]).json()
    before, after = claims(first["id_token"]), claims(second["id_token"])
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"nbf", "iat", "exp"}


def test_refreshing_brings_a_new_refresh_token(visitor: Visitor) -> None:
    first = visitor.tokens()
    assert visitor.refresh(first["refresh_token"]).json()["refresh_token"] != first["refresh_token"]


def test_an_old_refresh_token_still_works_by_default(visitor: Visitor) -> None:
    token = visitor.tokens()["refresh_token"]
    assert [visitor.refresh(token).status_code for _ in range(2)] == [200, 200]


def test_refresh_tokens_can_be_made_to_work_once(visitor: Visitor) -> None:
    visitor.set_option(refresh_token_reuse=False)
    token = visitor.tokens()["refresh_token"]
    visitor.refresh(token)
    assert error_code(visitor.refresh(token)) == ("invalid_grant", "AADB2C90129")


def test_a_refresh_token_belongs_to_its_user_flow(visitor: Visitor) -> None:
    token = visitor.tokens()["refresh_token"]
    assert error_code(visitor.refresh(token, EDIT)) == ("invalid_grant", "AADB2C90088")


def test_refreshing_for_fewer_scopes_gives_fewer(visitor: Visitor) -> None:
    token = visitor.tokens()["refresh_token"]
    response = visitor.refresh(token, scope=f"https://{DOMAIN}/tasks-api/tasks.read").json()
    assert claims(response["access_token"])["scp"] == "tasks.read"


def test_a_refresh_token_expires_after_fourteen_days(visitor: Visitor) -> None:
    token = visitor.tokens()["refresh_token"]
    visitor.move_clock(14 * 86400 + 1)
    response = visitor.refresh(token)
    assert error_code(response) == ("invalid_grant", "AADB2C90080")
    assert "Grant sliding window expiration time" in response.json()["error_description"]


def test_revoked_grants_cannot_be_refreshed(visitor: Visitor, account: dict[str, str]) -> None:
    token = visitor.tokens(email=account["email"], password=account["password"])["refresh_token"]
    visitor.control("POST", f"accounts/{account['email']}/revoke", {})
    assert error_code(visitor.refresh(token)) == ("invalid_grant", "AADB2C90129")


def test_the_grants_of_a_removed_account_cannot_be_refreshed(
    visitor: Visitor, account: dict[str, str]
) -> None:
    token = visitor.tokens(email=account["email"], password=account["password"])["refresh_token"]
    visitor.control("DELETE", f"accounts/{account['email']}")
    assert error_code(visitor.refresh(token)) == ("invalid_grant", "AADB2C90128")


# --- MSAL Python


def msal_app(visitor: Visitor, user_flow: str) -> Any:
    settings = visitor.tenant.settings
    authority = settings["AUTHORITY_TEMPLATE"].format(tenant=settings["B2C_TENANT_NAME"], user_flow=user_flow)
    return msal.ConfidentialClientApplication(
        settings["CLIENT_ID"], settings["CLIENT_SECRET"], authority=authority, http_client=visitor.http
    )


def msal_sign_in(app: Any, visitor: Visitor) -> tuple[dict[str, Any], dict[str, str]]:
    scopes = visitor.tenant.settings["SCOPE"].split()
    flow = app.initiate_auth_code_flow(scopes, redirect_uri=REDIRECT_URI, response_mode="query")
    page = visitor.get(flow["auth_uri"])
    account = visitor.tenant.account
    back = visitor.submit(page, email=account["email"], password=account["password"], next="1")
    return flow, parameters(back)


def test_msal_signs_in(visitor: Visitor, tenant: LocalTenant) -> None:
    app = msal_app(visitor, SIGN_IN)
    result = app.acquire_token_by_auth_code_flow(*msal_sign_in(app, visitor))
    assert result["id_token_claims"]["sub"] == tenant.account["sub"]
    (account,) = app.get_accounts()
    assert account["home_account_id"] == (
        f"{tenant.account['sub']}-{SIGN_IN.lower()}.{tenant.settings['B2C_TENANT_ID']}"
    )


def test_msal_refreshes_silently(visitor: Visitor, tenant: LocalTenant) -> None:
    app = msal_app(visitor, SIGN_IN)
    app.acquire_token_by_auth_code_flow(*msal_sign_in(app, visitor))
    scopes, (account,) = tenant.settings["SCOPE"].split(), app.get_accounts()
    result = app.acquire_token_silent_with_error(scopes, account=account, force_refresh=True)
    assert result["token_source"] == "identity_provider"


def test_msal_at_the_wrong_authority_gets_the_error(visitor: Visitor) -> None:
    flow, response = msal_sign_in(msal_app(visitor, SIGN_IN), visitor)
    result = msal_app(visitor, EDIT).acquire_token_by_auth_code_flow(flow, response)
    assert result["error"] == "invalid_grant"
    assert result["error_description"].startswith("AADB2C90088: ")
