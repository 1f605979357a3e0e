"""The local tenant's protocol against what B2C is known to send and answer."""

import re
import time
from urllib.parse import urlsplit

import jwt
import msal
import pytest
import requests

from local_tenant import LocalTenant
from tests.tenant_visitor import EDIT, RESET, SIGN_IN, answer, claims, error_code, segment

REDIRECT_URI = "http://localhost:1234/getAToken"
DOMAIN = "localtenant.onmicrosoft.com"


@pytest.fixture(scope="module")
def tenant():
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as tenant:
        yield tenant


def discovery(visitor, path):
    return visitor.http.get(f"{visitor.tenant.tls_url}/{path}.well-known/openid-configuration").json()


# --- discovery and keys


def test_discovery_document_is_what_b2c_serves(visitor, tenant):
    document = discovery(visitor, f"{DOMAIN}/{SIGN_IN}/v2.0/")
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
        pytest.param("{domain}/{flow}/v2.0/", "{domain}/{lower}/oauth2/v2.0/token", id="name"),
        pytest.param("{guid}/{flow}/v2.0/", "{guid}/{lower}/oauth2/v2.0/token", id="guid"),
        pytest.param("tfp/{domain}/{flow}/v2.0/", "tfp/{domain}/{lower}/oauth2/v2.0/token", id="tfp"),
        pytest.param("{upper}/{lower}/v2.0/", "{domain}/{lower}/oauth2/v2.0/token", id="other case"),
    ],
)
def test_endpoints_echo_how_the_tenant_was_named(visitor, tenant, asked, token_endpoint):
    names = {
        "domain": DOMAIN,
        "upper": DOMAIN.upper(),
        "guid": tenant.settings["B2C_TENANT_ID"],
        "flow": SIGN_IN,
        "lower": SIGN_IN.lower(),
    }
    document = discovery(visitor, asked.format(**names))
    assert document["token_endpoint"] == f"{tenant.tls_url}/{token_endpoint.format(**names)}"


def test_a_user_flow_in_the_query_stays_in_the_query(visitor, tenant):
    url = f"{tenant.tls_url}/{DOMAIN}/v2.0/.well-known/openid-configuration?p={SIGN_IN}"
    token_endpoint = visitor.http.get(url).json()["token_endpoint"]
    assert token_endpoint == f"{tenant.tls_url}/{DOMAIN}/oauth2/v2.0/token?p={SIGN_IN.lower()}"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"{DOMAIN}/B2C_1_nothing/v2.0/", id="unknown user flow"),
        pytest.param(f"other.onmicrosoft.com/{SIGN_IN}/v2.0/", id="unknown tenant"),
    ],
)
def test_unknown_authority_is_not_found(visitor, tenant, path):
    response = visitor.http.get(f"{tenant.tls_url}/{path}.well-known/openid-configuration")
    assert response.status_code == 404
    assert "AADB2C90066" in response.text


def test_keys_have_exactly_b2cs_six_members(visitor, tenant):
    (key,) = visitor.http.get(visitor.endpoint("discovery/v2.0/keys", origin=tenant.tls_url)).json()["keys"]
    assert list(key) == ["kid", "nbf", "use", "kty", "e", "n"]
    assert re.fullmatch(r"[\w-]{43}", key["kid"])
    assert (key["use"], key["kty"], key["e"], type(key["nbf"])) == ("sig", "RSA", "AQAB", int)


def test_all_user_flows_share_one_key(visitor, tenant):
    keys = [
        visitor.http.get(visitor.endpoint("discovery/v2.0/keys", flow, tenant.tls_url)).json()
        for flow in (SIGN_IN, EDIT, RESET)
    ]
    assert keys[0] == keys[1] == keys[2]


def test_the_certificate_is_trusted_through_the_bundle_alone(tenant):
    with requests.Session() as http, pytest.raises(requests.exceptions.SSLError):
        http.trust_env = False
        http.get(f"{tenant.tls_url}/{DOMAIN}/{SIGN_IN}/v2.0/.well-known/openid-configuration")


# --- the way back to the app


def test_success_answers_state_client_info_code_in_this_order(visitor):
    response = visitor.sign_in(client_info="1")
    assert response.status_code == 302
    assert list(answer(response)) == ["state", "client_info", "code"]
    assert answer(response)["state"] == "some-state"


def test_success_without_client_info_asked_has_none(visitor):
    assert list(answer(visitor.sign_in())) == ["state", "code"]


def test_code_is_as_long_as_b2cs(visitor):
    code = visitor.code()
    assert code.startswith("eyJraWQiOiJjcGltY29yZV8wOTI1MjAxNSIsInZlciI6IjEuMC")
    assert 900 < len(code) < 1300


def test_fragment_mode_answers_behind_a_hash(visitor):
    location = urlsplit(visitor.sign_in(response_mode="fragment").headers["Location"])
    assert (location.query, location.fragment[:17]) == ("", "state=some-state&")


def test_form_post_mode_answers_with_a_form(visitor):
    page = visitor.sign_in(response_mode="form_post")
    assert page.status_code == 200
    assert f'action="{REDIRECT_URI}"' in page.text
    assert re.findall(r'type="hidden" name="(\w+)"', page.text) == ["state", "code"]


def test_error_on_the_redirect_has_b2cs_layout(visitor):
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
def test_wrong_request_is_answered_at_a_registered_redirect_uri(visitor, changes, error, code):
    response = visitor.authorize(**changes)
    assert response.headers["Location"].startswith(REDIRECT_URI)
    assert error_code(response) == (error, code)
    assert answer(response)["state"] == "some-state"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"client_id": None}, "AADB2C90008", id="no client_id"),
        pytest.param({"client_id": "someone"}, "AADB2C90018", id="unknown client_id"),
        pytest.param({"redirect_uri": None}, "AADB2C90004", id="no redirect_uri"),
    ],
)
def test_request_without_a_safe_address_ends_on_a_page(visitor, changes, code):
    response = visitor.authorize(**changes)
    assert response.status_code == 400
    assert code in response.text
    assert "Correlation ID" in response.text


def test_unregistered_redirect_uri_can_be_made_to_end_on_a_page(visitor):
    visitor.control("PATCH", "options", {"unregistered_redirect": "page"})
    response = visitor.authorize(redirect_uri="https://elsewhere.example/")
    assert (response.status_code, "AADB2C90006" in response.text) == (400, True)


# --- the token endpoint


def test_token_response_of_the_msal_family(visitor, tenant):
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
    assert response["scope"] == tenant.settings["SCOPE"]
    assert segment(response["client_info"]) == {
        "uid": f"{tenant.account['sub']}-{SIGN_IN.lower()}",
        "utid": tenant.settings["B2C_TENANT_ID"],
    }


def test_token_response_of_the_other_family(visitor, tenant):
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
    assert response["scope"] == "openid offline_access " + tenant.settings["SCOPE"]
    assert segment(response["profile_info"]) == {
        "ver": "1.0",
        "tid": tenant.settings["B2C_TENANT_ID"],
        "sub": None,
        "name": "Ada Example",
        "preferred_username": None,
        "idp": "LocalAccount",
    }


def test_openid_alone_brings_no_access_token(visitor):
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


def test_without_offline_access_there_is_no_refresh_token(visitor):
    assert "refresh_token" not in visitor.tokens(scope="openid")


def test_own_client_id_as_scope_gives_a_token_for_oneself(visitor, tenant):
    token = claims(visitor.tokens(scope="openid " + tenant.settings["CLIENT_ID"])["access_token"])
    assert token["aud"] == tenant.settings["CLIENT_ID"]


def test_only_granted_scopes_are_in_the_access_token(visitor):
    scope = f"openid https://{DOMAIN}/tasks-api/tasks.admin https://{DOMAIN}/tasks-api/tasks.read"
    assert claims(visitor.tokens(scope=scope)["access_token"])["scp"] == "tasks.read"


def test_id_token_claims(visitor, tenant):
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


def test_id_token_passes_a_strict_check(visitor, tenant):
    keys = jwt.PyJWKSet.from_dict(
        visitor.http.get(visitor.endpoint("discovery/v2.0/keys", origin=tenant.tls_url)).json()
    )
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


def test_access_token_claims(visitor, tenant):
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
def test_compatibility_settings_of_a_user_flow(visitor, tenant, options, issuer, policy):
    visitor.control("PATCH", "options", options)
    found = claims(visitor.tokens()["id_token"])
    assert found["iss"] == tenant.tls_url + issuer.format(guid=tenant.settings["B2C_TENANT_ID"])
    assert {name: found[name] for name in ("tfp", "acr") if name in found} == dict([policy])


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
def test_token_endpoint_refuses(visitor, changes, error, code):
    response = visitor.redeem(**{"code": visitor.code(), **changes})
    assert response.status_code == 400
    assert error_code(response) == (error, code)
    assert sorted(response.json()) == ["error", "error_description"]


def test_error_description_of_the_token_endpoint_has_three_lines(visitor):
    text = visitor.redeem(visitor.code(), EDIT).json()["error_description"]
    assert re.fullmatch(
        r"AADB2C90088: The provided grant has not been issued for this endpoint\. "
        rf"Actual Value : {SIGN_IN} and Expected Value : {EDIT}\r\n"
        r"Correlation ID: [0-9a-f-]{36}\r\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\r\n",
        text,
    )


def test_token_endpoint_takes_the_secret_in_the_header_too(visitor, tenant):
    form = {"grant_type": "authorization_code", "code": visitor.code(), "redirect_uri": REDIRECT_URI}
    response = visitor.http.post(
        visitor.endpoint("oauth2/v2.0/token", origin=tenant.tls_url),
        data=form,
        auth=(tenant.settings["CLIENT_ID"], tenant.settings["CLIENT_SECRET"]),
    )
    assert response.status_code == 200


def test_token_endpoint_wants_post(visitor, tenant):
    response = visitor.http.get(visitor.endpoint("oauth2/v2.0/token", origin=tenant.tls_url))
    assert error_code(response) == ("invalid_request", "AADB2C90226")


def test_code_works_once(visitor):
    code = visitor.code()
    assert visitor.redeem(code).status_code == 200
    assert error_code(visitor.redeem(code))[0] == "invalid_grant"


def test_code_reuse_can_be_allowed(visitor):
    visitor.control("PATCH", "options", {"code_reuse": True})
    code = visitor.code()
    assert [visitor.redeem(code).status_code for _ in range(2)] == [200, 200]


def test_code_expires_after_five_minutes(visitor):
    code = visitor.code()
    visitor.control("PUT", "clock", {"offset": 301})
    response = visitor.redeem(code)
    assert error_code(response) == ("invalid_grant", "AADB2C90080")
    assert re.search(
        r"Current time: \d+, Grant issued time: \d+, Grant expiration time: \d+\.\r\n",
        response.json()["error_description"],
    )


# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("verifier", "outcome"),
    [
        pytest.param(VERIFIER, 200, id="right"),
        pytest.param("w" * 43, ("invalid_grant", "AADB2C90182"), id="wrong"),
        pytest.param(None, ("invalid_grant", "AADB2C90183"), id="missing"),
    ],
)
def test_pkce_verifier(visitor, verifier, outcome):
    code = visitor.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    response = visitor.redeem(code, code_verifier=verifier)
    assert (response.status_code if response.ok else error_code(response)) == outcome


def test_pkce_can_be_switched_off(visitor):
    visitor.control("PATCH", "options", {"pkce": False})
    code = visitor.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    assert visitor.redeem(code, code_verifier="w" * 43).status_code == 200


# --- refreshing


def test_refreshed_id_token_keeps_its_claims_but_times(visitor):
    first = visitor.tokens(scope="openid offline_access")
    visitor.control("PUT", "clock", {"offset": 1000})
    second = visitor.refresh(first["refresh_token"]).json()
    before, after = claims(first["id_token"]), claims(second["id_token"])
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"nbf", "iat", "exp"}


def test_refresh_brings_a_new_refresh_token(visitor):
    first = visitor.tokens()
    assert visitor.refresh(first["refresh_token"]).json()["refresh_token"] != first["refresh_token"]


def test_old_refresh_token_stays_good_by_default(visitor):
    token = visitor.tokens()["refresh_token"]
    assert [visitor.refresh(token).status_code for _ in range(2)] == [200, 200]


def test_old_refresh_token_can_be_made_to_die(visitor):
    visitor.control("PATCH", "options", {"refresh_token_reuse": False})
    token = visitor.tokens()["refresh_token"]
    visitor.refresh(token)
    assert error_code(visitor.refresh(token)) == ("invalid_grant", "AADB2C90129")


def test_refresh_token_belongs_to_its_user_flow(visitor):
    token = visitor.tokens()["refresh_token"]
    assert error_code(visitor.refresh(token, EDIT)) == ("invalid_grant", "AADB2C90088")


def test_refresh_for_fewer_scopes_gives_fewer(visitor):
    token = visitor.tokens()["refresh_token"]
    response = visitor.refresh(token, scope=f"https://{DOMAIN}/tasks-api/tasks.read").json()
    assert claims(response["access_token"])["scp"] == "tasks.read"


def test_refresh_for_more_scopes_is_refused(visitor):
    token = visitor.tokens(scope="openid offline_access")["refresh_token"]
    response = visitor.refresh(token, scope=f"https://{DOMAIN}/tasks-api/tasks.read")
    assert error_code(response) == ("invalid_request", "AADB2C90117")


def test_refresh_token_expires_after_fourteen_days(visitor):
    token = visitor.tokens()["refresh_token"]
    visitor.control("PUT", "clock", {"offset": 14 * 86400 + 1})
    response = visitor.refresh(token)
    assert error_code(response) == ("invalid_grant", "AADB2C90080")
    assert "Grant sliding window expiration time" in response.json()["error_description"]


def test_revoked_grants_cannot_be_refreshed(visitor, tenant):
    token = visitor.tokens()["refresh_token"]
    visitor.control("POST", f"accounts/{tenant.account['email']}/revoke", {})
    assert error_code(visitor.refresh(token)) == ("invalid_grant", "AADB2C90129")


# --- MSAL Python


def msal_app(tenant, user_flow):
    http = requests.Session()
    http.trust_env, http.verify = False, tenant.ca_bundle
    settings = tenant.settings
    authority = settings["AUTHORITY_TEMPLATE"].format(tenant=settings["B2C_TENANT_NAME"], user_flow=user_flow)
    return msal.ConfidentialClientApplication(
        settings["CLIENT_ID"], settings["CLIENT_SECRET"], authority=authority, http_client=http
    )


def msal_sign_in(app, visitor):
    scopes = visitor.tenant.settings["SCOPE"].split()
    flow = app.initiate_auth_code_flow(scopes, redirect_uri=REDIRECT_URI, response_mode="query")
    page = visitor.get(flow["auth_uri"])
    account = visitor.tenant.account
    back = visitor.submit(page, email=account["email"], password=account["password"], next="1")
    return flow, answer(back)


def test_msal_signs_in(visitor, tenant):
    app = msal_app(tenant, SIGN_IN)
    result = app.acquire_token_by_auth_code_flow(*msal_sign_in(app, visitor))
    assert result["id_token_claims"]["sub"] == tenant.account["sub"]
    (account,) = app.get_accounts()
    assert account["home_account_id"] == (
        f"{tenant.account['sub']}-{SIGN_IN.lower()}.{tenant.settings['B2C_TENANT_ID']}"
    )


def test_msal_refreshes_silently(visitor, tenant):
    app = msal_app(tenant, SIGN_IN)
    app.acquire_token_by_auth_code_flow(*msal_sign_in(app, visitor))
    scopes, (account,) = tenant.settings["SCOPE"].split(), app.get_accounts()
    result = app.acquire_token_silent_with_error(scopes, account=account, force_refresh=True)
    assert result["token_source"] == "identity_provider"


def test_msal_at_the_wrong_authority_learns_so(visitor, tenant):
    flow, response = msal_sign_in(msal_app(tenant, SIGN_IN), visitor)
    result = msal_app(tenant, EDIT).acquire_token_by_auth_code_flow(flow, response)
    assert result["error"] == "invalid_grant"
    assert result["error_description"].startswith("AADB2C90088: ")


# --- the connection


def test_back_channel_connection_is_kept_alive(visitor, tenant):
    url = visitor.endpoint("discovery/v2.0/keys", origin=tenant.tls_url)
    with requests.Session() as http:
        http.trust_env, http.verify = False, tenant.ca_bundle
        first = http.get(url, stream=True)
        connection = first.raw._connection
        first.content  # noqa: B018 - reading it gives the connection back
        second = http.get(url, stream=True)
        assert second.raw._connection is connection
        second.content  # noqa: B018


def test_foreign_host_header_is_refused(visitor, tenant):
    response = visitor.http.get(f"{tenant.url}/control/requests", headers={"Host": "evil.example"})
    assert response.status_code == 400
