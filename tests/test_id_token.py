"""Whose ID token is believed: what the OpenID Foundation asks of a relying party, and what else can be wrong.

Rows and tests are named after the conformance suite's modules where there is one (Basic RP, Config RP, and
those of the FAPI plans that fit). The observer is the home page: is somebody signed in now?
"""

import secrets
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from local_tenant import LocalTenant
from tests.browser import Browser, Forms
from tests.conftest import Tenant

SIGNED_IN, REFUSED = "signed in", "refused"
HOUR, WEEK = 3600, 7 * 24 * 3600


@pytest.fixture(scope="module")
def met_app(serve_app):
    """An app of this module's own, for it meets keys that it does not know."""
    return serve_app()


@pytest.fixture
def browser(met_app, tenant):
    with Browser(met_app.url, tenant) as browser:
        yield browser


@pytest.fixture(scope="module")
def lone_tenant():
    """A tenant of this module's own, for it loses its keys."""
    with LocalTenant(port=0) as running:
        yield running


@pytest.fixture
def fickle(lone_tenant):
    """That tenant, well-behaved, with one key."""
    tenant = Tenant(lone_tenant)
    tenant.control("POST", "rotate-keys", keep_old=False)
    tenant.forget_requests()
    yield tenant
    tenant.behave()


@pytest.fixture
def new_app(serve_app, lone_tenant, fickle):
    """An app that has not met its tenant yet."""
    return serve_app(on=lone_tenant)


@pytest.fixture
def newcomer(new_app, fickle):
    """A browser at an app that has not met its tenant yet."""
    with Browser(new_app.url, fickle) as browser:
        yield browser


def assert_outcome(browser: Browser, outcome: str) -> None:
    """The answer shown last and the next visit agree on whether somebody is signed in."""
    status, page = browser.page.status_code, Forms(browser.page.text)
    if outcome == SIGNED_IN:
        assert status == 200
        assert browser.signed_in_as() == "Ada Lovelace"
        return
    assert status == 502
    assert page.heading
    assert "Reference: " in page.text
    assert browser.cookie("b2c_session") is None
    assert browser.signed_in_as() is None


def claims(**values: object) -> dict:
    return {"set": values}


def at(claim: str, seconds: int) -> Callable[[LocalTenant], dict]:
    """The claim is so many seconds from now."""
    return lambda tenant: claims(**{claim: int(time.time()) + seconds})


def other_tenant(tenant: LocalTenant) -> dict:
    return claims(iss=f"{tenant.tls_url}/{uuid.uuid4()}/v2.0/")


def other_issuer_path(tenant: LocalTenant) -> dict:
    return claims(iss=f"{tenant.tls_url}/{tenant.settings['B2C_TENANT_ID']}/v2.0")


def two_audiences(tenant: LocalTenant) -> dict:
    return claims(aud=[tenant.settings["CLIENT_ID"], str(uuid.uuid4())])


def audience_as_array(tenant: LocalTenant) -> dict:
    return claims(aud=[tenant.settings["CLIENT_ID"]])


def foreign_key_in_header(tenant: LocalTenant) -> dict:
    """RFC 7515 section 4.1.3, abused."""
    return {"key": "other", "header": {"jwk": tenant._tenant.keys.stranger.jwk()}}


def foreign_key_set_in_header(tenant: LocalTenant) -> dict:
    """RFC 7515 section 4.1.2, abused."""
    return {"key": "other", "header": {"jku": f"{tenant.url}/foreign-keys"}}


def foreign_key_under_its_own_id(tenant: LocalTenant) -> dict:
    stranger = tenant._tenant.keys.stranger
    return {"key": "other", "kid": stranger.kid, "header": {"jwk": stranger.jwk()}}


DEEP = "eyJhbGciOiJSUzI1NiJ9." + "W1tb" * 30_000 + ".e30"  # a payload of brackets within brackets

ID_TOKENS = [
    # Basic RP
    pytest.param(SIGNED_IN, {}, id="oidcc-client-test"),
    pytest.param(REFUSED, claims(iss="https://evil.example/v2.0/"), id="oidcc-client-test-invalid-iss"),
    pytest.param(REFUSED, {"drop": ["sub"]}, id="oidcc-client-test-missing-sub"),
    pytest.param(REFUSED, claims(aud=str(uuid.uuid4())), id="oidcc-client-test-invalid-aud"),
    pytest.param(REFUSED, {"drop": ["iat"]}, id="oidcc-client-test-missing-iat"),
    pytest.param(SIGNED_IN, {"kid": "absent"}, id="oidcc-client-test-kid-absent-single-jwks"),
    pytest.param(SIGNED_IN, {"alg": "RS256"}, id="oidcc-client-test-idtoken-sig-rs256"),
    pytest.param(REFUSED, {"alg": "none"}, id="oidcc-client-test-idtoken-sig-none"),
    pytest.param(REFUSED, {"key": "other"}, id="oidcc-client-test-invalid-sig-rs256"),
    pytest.param(REFUSED, claims(nonce="another"), id="oidcc-client-test-nonce-invalid"),
    # Their neighbours in the comprehensive and the FAPI plans
    pytest.param(REFUSED, {"drop": ["aud"]}, id="oidcc-client-test-missing-aud"),
    pytest.param(REFUSED, {"alg": "ES256"}, id="oidcc-client-test-invalid-sig-es256"),
    pytest.param(REFUSED, {"alg": "HS256"}, id="oidcc-client-test-invalid-sig-hs256"),
    pytest.param(REFUSED, at("exp", -HOUR), id="invalid-expired-exp"),
    pytest.param(REFUSED, {"drop": ["exp"]}, id="invalid-missing-exp"),
    pytest.param(REFUSED, {"drop": ["iss"]}, id="invalid-missing-iss"),
    pytest.param(REFUSED, {"drop": ["nonce"]}, id="invalid-missing-nonce"),
    pytest.param(REFUSED, at("iat", -WEEK), id="iat-is-week-in-past"),
    pytest.param(REFUSED, {"alg": "null"}, id="invalid-null-alg"),
    pytest.param(REFUSED, two_audiences, id="invalid-secondary-aud"),
    pytest.param(SIGNED_IN, audience_as_array, id="valid-aud-as-array"),
    # Time
    pytest.param(REFUSED, at("nbf", HOUR), id="not valid yet"),
    pytest.param(REFUSED, {"drop": ["nbf"]}, id="no nbf"),
    pytest.param(REFUSED, at("iat", HOUR), id="issued in the future"),
    pytest.param(SIGNED_IN, at("exp", -200), id="expired within the clock skew"),
    pytest.param(REFUSED, at("exp", -400), id="expired beyond the clock skew"),
    pytest.param(REFUSED, claims(exp="never"), id="exp is a word"),
    pytest.param(REFUSED, claims(exp=None), id="exp is null"),
    pytest.param(REFUSED, claims(iat="0"), id="iat is text"),
    pytest.param(REFUSED, claims(iat=[1]), id="iat is a list"),
    pytest.param(REFUSED, claims(exp=float("inf")), id="exp is infinite"),
    pytest.param(REFUSED, claims(iat=float("inf")), id="iat is infinite"),
    # Keys
    pytest.param(REFUSED, {"alg": "HS256", "hs256_key": "client_secret"}, id="HS256 with the client secret"),
    pytest.param(REFUSED, {"alg": "HS256", "hs256_key": "public_key"}, id="HS256 with the public key"),
    pytest.param(REFUSED, foreign_key_in_header, id="jwk header with a foreign key"),
    pytest.param(REFUSED, foreign_key_under_its_own_id, id="jwk header with a foreign key and its kid"),
    pytest.param(REFUSED, foreign_key_set_in_header, id="jku header with foreign keys"),
    pytest.param(REFUSED, {"kid": "unknown"}, id="unknown kid"),
    pytest.param(REFUSED, {"header": {"kid": 7}}, id="kid is a number"),
    pytest.param(REFUSED, {"header": {"alg": "rs256"}}, id="alg in lower case"),
    pytest.param(REFUSED, {"header": {"crit": ["x"], "x": 1}}, id="unknown critical header"),
    # Who and where
    pytest.param(REFUSED, claims(sub=""), id="sub is empty"),
    pytest.param(REFUSED, claims(sub=7), id="sub is a number"),
    pytest.param(REFUSED, claims(sub=None), id="sub is null"),
    pytest.param(REFUSED, other_tenant, id="other tenant"),
    pytest.param(REFUSED, other_issuer_path, id="iss without its last slash"),
    pytest.param(REFUSED, claims(iss=["x"]), id="iss is a list"),
    pytest.param(REFUSED, claims(aud=[]), id="aud is empty"),
    pytest.param(REFUSED, claims(aud=7), id="aud is a number"),
    pytest.param(REFUSED, claims(nonce=["x"]), id="nonce is a list"),
    pytest.param(REFUSED, claims(tfp="B2C_1_passwordreset1"), id="other user flow in tfp"),
    pytest.param(REFUSED, {"drop": ["tfp"]} | claims(acr="b2c_1_other"), id="other user flow in acr"),
    pytest.param(REFUSED, {"drop": ["tfp"]}, id="no user flow"),
    pytest.param(REFUSED, claims(tfp=["B2C_1_signupsignin1"]), id="tfp is a list"),
    pytest.param(SIGNED_IN, claims(tfp="b2c_1_SIGNUPSIGNIN1"), id="tfp in other case"),
    pytest.param(
        SIGNED_IN, {"drop": ["tfp"]} | claims(acr="b2c_1_signupsignin1"), id="acr instead of tfp, lower case"
    ),
    # Another thing altogether
    pytest.param(REFUSED, {"access_token": True}, id="access token in its place"),
    pytest.param(REFUSED, {"omit": True}, id="none at all"),
    pytest.param(REFUSED, {"raw": "garbage"}, id="garbage"),
    pytest.param(REFUSED, {"raw": "a.b.c"}, id="garbage in three parts"),
    pytest.param(REFUSED, {"raw": "e30.e30."}, id="empty objects"),
    pytest.param(REFUSED, {"raw": "\u00fc.\u00fc.\u00fc"}, id="not ASCII"),
    pytest.param(REFUSED, {"raw": DEEP}, id="deeply nested"),
    pytest.param(REFUSED, {"raw": 7}, id="a number"),
    pytest.param(REFUSED, {"raw": {"sub": "x"}}, id="an object"),
]


@pytest.mark.parametrize("outcome, fault", ID_TOKENS)
def test_an_id_token_signs_in_only_when_every_check_holds(browser, tenant, running_tenant, outcome, fault):
    tenant.misbehave(id_token=fault(running_tenant) if callable(fault) else fault)

    browser.sign_in()

    assert_outcome(browser, outcome)
    assert not [seen for seen in tenant.seen("page") if "foreign-keys" in seen["path"]]


def test_an_id_token_of_an_earlier_sign_in_is_refused(met_app, browser, tenant):
    with Browser(met_app.url, tenant) as earlier:
        earlier.sign_in()
    tenant.misbehave(id_token={"replay": True})

    browser.sign_in()

    assert_outcome(browser, REFUSED)


@pytest.mark.parametrize(
    "outcome, offset",
    [
        pytest.param(SIGNED_IN, 60, id="a minute ahead"),
        pytest.param(SIGNED_IN, -60, id="a minute behind"),
        pytest.param(REFUSED, HOUR, id="an hour ahead"),
        pytest.param(REFUSED, -HOUR, id="an hour behind"),
    ],
)
def test_clocks_may_differ_by_minutes_only(browser, tenant, outcome, offset):
    tenant.control("PUT", "clock", offset=offset)

    browser.sign_in()

    assert_outcome(browser, outcome)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"issuer_form": "tfp"}, id="issuer with tfp"),
        pytest.param({"policy_claim": "acr"}, id="acr for tfp"),
        pytest.param({"issuer_form": "tfp", "policy_claim": "acr"}, id="both"),
    ],
)
def test_a_tenant_may_use_any_of_its_token_settings(newcomer, fickle, options):
    fickle.option(**options)

    newcomer.sign_in()

    assert_outcome(newcomer, SIGNED_IN)


def test_oidcc_client_test_kid_absent_multiple_jwks(newcomer, fickle):
    fickle.option(keys=2)
    fickle.misbehave(id_token={"kid": "absent"})

    newcomer.sign_in()

    assert_outcome(newcomer, REFUSED)


def test_a_key_is_found_among_several(newcomer, fickle):
    fickle.option(keys=2)

    newcomer.sign_in()

    assert_outcome(newcomer, SIGNED_IN)


# --- Metadata and keys --------------------------------------------------------------------------------------


def test_oidcc_client_test_discovery_openid_config(newcomer, fickle):
    """The endpoints are the metadata's: here the authorization endpoint has moved to the older address."""
    moved = f"{fickle.url}/localtenant.onmicrosoft.com/oauth2/v2.0/authorize?p=B2C_1_signupsignin1"
    fickle.misbehave(discovery={"set": {"authorization_endpoint": moved}})

    newcomer.get("/login", follow=False)

    location = urlsplit(newcomer.page.headers["Location"])
    assert location.path == "/localtenant.onmicrosoft.com/oauth2/v2.0/authorize"


def test_oidcc_client_test_discovery_jwks_uri_keys(newcomer, fickle):
    moved = f"{fickle.tls_url}/localtenant.onmicrosoft.com/discovery/v2.0/keys?p=b2c_1_passwordreset1"
    fickle.misbehave(discovery={"set": {"jwks_uri": moved}})

    newcomer.sign_in()

    assert_outcome(newcomer, SIGNED_IN)
    [keys] = fickle.seen("keys")
    assert keys["query"] == {"p": ["b2c_1_passwordreset1"]}


def test_oidcc_client_test_signing_key_rotation_just_before_signing(new_app, newcomer, fickle):
    with Browser(new_app.url, fickle) as earlier:
        earlier.sign_in()
    callback = newcomer.callback_url()
    fickle.control("POST", "rotate-keys", keep_old=False)

    newcomer.get(callback)

    assert_outcome(newcomer, SIGNED_IN)


@pytest.mark.parametrize("keep_old", [True, False], ids=["old key stays", "old key goes"])
def test_oidcc_client_test_signing_key_rotation(new_app, fickle, keep_old):
    for _ in range(3):
        with Browser(new_app.url, fickle) as browser:
            browser.sign_in()
            assert_outcome(browser, SIGNED_IN)
        fickle.control("POST", "rotate-keys", keep_old=keep_old)


def test_unknown_keys_cannot_make_the_app_hammer_the_tenant(new_app, fickle):
    fickle.misbehave(id_token={"kid": "unknown"})
    with Browser(new_app.url, fickle) as browser:
        statuses = {browser.sign_in().page.status_code for _ in range(30)}

    assert statuses == {502}
    assert len(fickle.seen("token")) == 30
    assert 2 <= len(fickle.seen("keys")) <= 6
    assert len(fickle.seen("discovery")) == 1


def foreign(name: str) -> Callable[[LocalTenant], dict]:
    return lambda tenant: {name: "https://evil.example/localtenant.onmicrosoft.com/x"}


def misleading(name: str, form: str) -> Callable[[LocalTenant], dict]:
    """An address that looks like the tenant's: `form` with its host and port filled in."""
    return lambda tenant: {name: form.format(port=urlsplit(tenant.tls_url).port)}


MISLEADING = {
    "a backslash before our host": r"https://evil.example\@127.0.0.1:{port}/x",
    "a backslash after another host": r"https://evil.example\.127.0.0.1:{port}/x",
    "somebody's name before our host": "https://somebody@127.0.0.1:{port}/x",
    "our host as a name": "https://127.0.0.1:{port}@evil.example/x",
    "another port": "https://127.0.0.1:1/x",
    "a blank in it": "https://127.0.0.1:{port}/x y",
}
METADATA = [
    *(
        pytest.param(misleading(name, form), id=f"{name} with {what}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint")
        for what, form in MISLEADING.items()
    ),
    *(
        pytest.param(misleading(name, f"http://{host}/x"), id=f"{name} without TLS on {host}")
        for name in ("authorization_endpoint", "end_session_endpoint")
        for host in ("evil.example", "192.0.2.1", "127.0.0.1.evil.example", "somebody@127.0.0.1")
    ),
    pytest.param(foreign("issuer"), id="oidcc-client-test-discovery-issuer-mismatch"),
    pytest.param(
        lambda tenant: {"issuer": f"{tenant.tls_url}/{tenant.settings['B2C_TENANT_ID']}/v2.0/INVALID"},
        id="issuer with something appended",
    ),
    pytest.param(
        lambda tenant: {"issuer": f"{tenant.tls_url}/{uuid.uuid4()}/v2.0/"}, id="issuer of another tenant"
    ),
    pytest.param(
        lambda tenant: {
            "issuer": f"{tenant.tls_url}/{uuid.uuid4()}/v2.0/?/{tenant.settings['B2C_TENANT_ID']}"
        },
        id="issuer of another tenant that names ours in its query",
    ),
    pytest.param(foreign("authorization_endpoint"), id="foreign authorization_endpoint"),
    pytest.param(foreign("token_endpoint"), id="foreign token_endpoint"),
    pytest.param(foreign("jwks_uri"), id="foreign jwks_uri"),
    pytest.param(foreign("end_session_endpoint"), id="foreign end_session_endpoint"),
    pytest.param(
        lambda tenant: {"token_endpoint": f"https://127.0.0.1:{urlsplit(tenant.tls_url).port}@evil.example/"},
        id="token_endpoint with our host as its user",
    ),
    pytest.param(lambda tenant: {"token_endpoint": f"{tenant.url}/token"}, id="token_endpoint without TLS"),
    pytest.param(lambda tenant: {"jwks_uri": f"{tenant.url}/keys"}, id="jwks_uri without TLS"),
    pytest.param(
        lambda tenant: {"authorization_endpoint": "javascript://127.0.0.1/%0Aalert(1)"},
        id="authorization_endpoint that is a script",
    ),
    pytest.param(lambda tenant: {"issuer": "https://["}, id="issuer that is no URL"),
    pytest.param(lambda tenant: {"token_endpoint": "https://[::1"}, id="token_endpoint that is no URL"),
    pytest.param(lambda tenant: {"jwks_uri": 7}, id="jwks_uri is a number"),
    pytest.param(lambda tenant: {"token_endpoint": None}, id="token_endpoint is null"),
]


@pytest.mark.parametrize("members", METADATA)
def test_metadata_that_is_not_to_be_trusted_stops_before_any_request(newcomer, fickle, lone_tenant, members):
    fickle.misbehave(discovery={"set": members(lone_tenant)})

    newcomer.get("/login", follow=False)

    assert newcomer.page.status_code == 502
    assert "not set up correctly" in newcomer.text
    assert fickle.seen("authorize", "token", "keys") == []
    assert not [name for name in newcomer.cookies if name.startswith("b2c_flow_")]


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_metadata_that_cannot_be_had_again_the_next_day_is_kept(new_app, newcomer, fickle, status):
    newcomer.sign_in()
    for authority in new_app.module.tenant.authorities.values():
        authority._metadata._fresh_until = 0
    fickle.forget_requests()
    fickle.misbehave(discovery={"status": status})

    newcomer.sign_in()

    assert [seen["status"] for seen in fickle.seen("discovery")] == [status]
    assert_outcome(newcomer, SIGNED_IN)


@pytest.mark.parametrize(
    "name", ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"]
)
def test_incomplete_metadata_stops_before_any_request(newcomer, fickle, name):
    fickle.misbehave(discovery={"drop": [name]})

    newcomer.get("/login", follow=False)

    assert newcomer.page.status_code == 502
    assert fickle.seen("authorize", "token") == []


def test_another_tenant_than_b2c_tenant_id_is_refused(serve_app, lone_tenant, fickle):
    app = serve_app(on=lone_tenant, B2C_TENANT_ID=str(uuid.uuid4()))
    with Browser(app.url, fickle) as browser:
        browser.get("/login", follow=False)

        assert browser.page.status_code == 502
        assert fickle.seen("authorize", "token") == []


def test_without_b2c_tenant_id_the_metadata_says_which_tenant(serve_app, lone_tenant, fickle):
    app = serve_app(on=lone_tenant, B2C_TENANT_ID="")
    with Browser(app.url, fickle) as browser:
        browser.sign_in()
        assert_outcome(browser, SIGNED_IN)
    fickle.misbehave(id_token=other_tenant(lone_tenant))
    with Browser(app.url, fickle) as browser:
        browser.sign_in()
        assert_outcome(browser, REFUSED)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"body": {"keys": []}}, id="no key"),
        pytest.param({"body": {"keys": [{"kty": "RSA"}]}}, id="half a key"),
        pytest.param({"body": {"keys": [{"kty": "RSA", "n": 7, "e": 7, "kid": "x"}]}}, id="numbers"),
        pytest.param({"body": {"keys": [{"kty": ["RSA"]}, 7, None]}}, id="garbage in the list"),
        pytest.param({"body": {"keys": {"a": "b"}}}, id="an object for the list"),
        pytest.param({"body": {}}, id="an empty object"),
        pytest.param({"body": "<html>", "status": 200}, id="HTML"),
        pytest.param({"body": "[" * 200_000, "status": 200}, id="deeply nested"),
        pytest.param({"status": 404, "body": {"error": "x"}}, id="404"),
        pytest.param({"status": 500}, id="500"),
        pytest.param({"reset": True}, id="reset"),
    ],
)
def test_keys_that_cannot_be_read_sign_nobody_in(newcomer, fickle, answer):
    fickle.misbehave(keys=answer)

    newcomer.sign_in()

    assert newcomer.page.status_code in (502, 503)
    assert newcomer.signed_in_as() is None
    fickle.control("DELETE", "faults")
    newcomer.sign_in()
    assert_outcome(newcomer, SIGNED_IN)


def test_a_warm_sign_in_costs_one_request_to_the_tenant(new_app, fickle):
    with Browser(new_app.url, fickle) as first:
        first.sign_in()
    with Browser(new_app.url, fickle) as browser:
        fickle.forget_requests()
        callback = browser.callback_url()
        at_the_start = fickle.seen("discovery", "keys", "token")
        browser.get(callback)
        at_the_end = fickle.seen("discovery", "keys", "token")

    assert at_the_start == []
    assert [seen["endpoint"] for seen in at_the_end] == ["token"]


def test_the_first_sign_in_fetches_metadata_and_keys_once(newcomer, fickle):
    newcomer.sign_in()

    assert [seen["endpoint"] for seen in fickle.seen("discovery", "keys", "token")] == [
        "discovery",
        "token",
        "keys",
    ]


# --- The other user flows and refreshed tokens --------------------------------------------------------------


def state_of(browser: Browser) -> tuple:
    """What may not change under an attack: the session's cookie and every claim of its user."""
    return browser.cookie("b2c_session"), Forms(browser.get("/token_details").text).text


def edit_profile(browser: Browser) -> None:
    browser.get("/edit_profile")
    browser.submit("continue", displayName="Mallory")


def reset_password(browser: Browser) -> None:
    email, secret = browser.tenant.account["email"], secrets.token_urlsafe(12) + "aA1!"
    browser.get("/reset_password")
    browser.submit("sendCode", email=email)
    browser.submit("verifyCode", code=browser.tenant.last_mail(email))
    browser.submit("continue", newPassword=secret, reenterPassword=secret)


@pytest.mark.parametrize("user_flow", [edit_profile, reset_password])
def test_a_user_flow_that_comes_back_for_another_user_never_touches_the_session(browser, tenant, user_flow):
    browser.sign_in()
    before = state_of(browser)
    tenant.misbehave(id_token={"set": {"sub": str(uuid.uuid4()), "name": "Mallory"}})

    user_flow(browser)

    assert browser.page.status_code == 409
    assert "another account" in browser.text
    assert state_of(browser) == before


WRONG_FOR_ANY_FLOW = [
    pytest.param(claims(tfp="B2C_1_signupsignin1"), id="of the sign-in user flow"),
    pytest.param({"key": "other"}, id="bad signature"),
    pytest.param(claims(nonce="another"), id="another nonce"),
    pytest.param(claims(aud="another"), id="another audience"),
    pytest.param({"omit": True}, id="none at all"),
]


@pytest.mark.parametrize("fault", WRONG_FOR_ANY_FLOW)
@pytest.mark.parametrize("user_flow", [edit_profile, reset_password])
def test_the_other_user_flows_check_their_id_token_too(browser, tenant, user_flow, fault):
    browser.sign_in()
    before = state_of(browser)
    tenant.misbehave(id_token=fault)

    user_flow(browser)

    assert browser.page.status_code == 502
    assert state_of(browser) == before


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(claims(sub="somebody-else"), id="another sub"),
        pytest.param(claims(iss="https://evil.example/"), id="another issuer"),
        pytest.param({"key": "other"}, id="bad signature"),
        pytest.param(claims(aud="another"), id="another audience"),
        pytest.param({"raw": "garbage"}, id="garbage"),
    ],
)
def test_a_refreshed_id_token_is_checked_and_nothing_of_it_kept(browser, tenant, fault):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    before = state_of(browser)
    tenant.option(access_token_lifetime=3600)
    tenant.misbehave(id_token=fault | {"times": 1})

    refused = browser.get("/call_downstream_api").status_code
    calls = tenant.seen("api")
    after = state_of(browser)
    tenant.misbehave(id_token={})
    accepted = browser.get("/call_downstream_api").status_code

    assert (refused, calls) in ((502, []), (503, []))
    assert after == before
    assert accepted == 200


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["<script>alert(1)</script>"], id="a list"),
        pytest.param({"<script>": "<script>"}, id="an object"),
        pytest.param(7, id="a number"),
        pytest.param(None, id="null"),
        pytest.param('"><script>alert(1)</script>', id="markup"),
        pytest.param("{{ 7*7 }}", id="a template"),
        pytest.param("x" * 20_000, id="huge"),
        pytest.param("\u202e\x00\r\n", id="control characters"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param(["a\ud800b"], id="a lone surrogate in a list"),
        pytest.param({"\ud800": {"\udfff": 1}}, id="lone surrogates in an object"),
    ],
)
def test_any_value_of_a_claim_is_shown_as_text(browser, tenant, value):
    names = ("name", "given_name", "family_name", "email", "emails", "idp", "auth_time", "extension_x")
    tenant.misbehave(id_token={"set": dict.fromkeys(names, value)})

    browser.sign_in()
    home, details = browser.get("/"), browser.get("/token_details")

    assert [home.status_code, details.status_code] == [200, 200]
    assert browser.get("/call_downstream_api").status_code == 200
    assert "<script" not in home.text + details.text
    assert "Welcome, 49" not in home.text
    assert "Sign out" in home.text


@pytest.mark.parametrize(
    "claim, value",
    [
        pytest.param("exp", 10**20, id="exp after the sun"),
        pytest.param("exp", 10**300, id="exp beyond any float"),
        pytest.param("auth_time", 10**20, id="auth_time after the sun"),
        pytest.param("auth_time", -(10**20), id="auth_time before the sun"),
        pytest.param("auth_time", True, id="auth_time is true"),
        pytest.param("auth_time", 1.5, id="auth_time is a fraction"),
    ],
)
def test_a_time_beyond_the_calendar_is_shown_all_the_same(browser, tenant, claim, value):
    tenant.misbehave(id_token={"set": {claim: value}})

    browser.sign_in().get("/token_details")

    assert browser.page.status_code == 200
    assert claim in browser.text


def test_a_sub_cannot_write_a_line_of_its_own_into_the_log(browser, tenant, caplog):
    tenant.misbehave(id_token={"set": {"sub": "x\r\nsigned in: sub=admin"}})

    browser.sign_in()

    assert not [record for record in caplog.messages if "\n" in record]
