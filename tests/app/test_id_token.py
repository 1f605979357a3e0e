"""Whose ID token is believed: what the OpenID Foundation asks of a relying party, and what else can be wrong.

Rows and tests are named after the conformance suite's modules where there is one (Basic RP, Config RP, and
those of the FAPI plans that fit). The observer is the home page: is somebody signed in now?
"""

import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import requests

from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser
from tests.helpers.keys import rsa_key
from tests.helpers.outcomes import REFUSED, SIGNED_IN, assert_outcome, state_of
from tests.helpers.tenant import Fault, Tenant

HOUR, WEEK = 3600, 7 * 24 * 3600


@pytest.fixture(scope="module")
def met_app(serve_app: ServeApp) -> RunningApp:
    """An app of this module's own, for it meets keys that it does not know."""
    return serve_app()


@pytest.fixture
def browser(met_app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    """A browser at that app."""
    with Browser(met_app.url, tenant) as browser:
        yield browser


@dataclass(frozen=True)
class Moment:
    """What a fault may depend on: the tenant, and the nonce of the sign-in that is under way."""

    tenant: Tenant
    nonce: str


LateFault = Callable[[Moment], Fault]


def claims(**values: object) -> Fault:
    return {"set": values}


def at(claim: str, seconds: int) -> LateFault:
    """The claim is so many seconds from now."""
    return lambda moment: claims(**{claim: int(time.time()) + seconds})


def issuer(tenant: Tenant) -> str:
    return f"{tenant.tls_url}/{tenant.settings['B2C_TENANT_ID']}/v2.0/"


def other_tenant(moment: Moment) -> Fault:
    return claims(iss=f"{moment.tenant.tls_url}/{uuid.uuid4()}/v2.0/")


def other_issuer_path(moment: Moment) -> Fault:
    return claims(iss=issuer(moment.tenant).removesuffix("/"))


def two_audiences(moment: Moment) -> Fault:
    return claims(aud=[moment.tenant.settings["CLIENT_ID"], str(uuid.uuid4())])


def audience_as_array(moment: Moment) -> Fault:
    return claims(aud=[moment.tenant.settings["CLIENT_ID"]])


def signed_by_a_stranger(moment: Moment, **header: object) -> Fault:
    """An ID token that is right in all but its key."""
    now = int(time.time())
    payload = {
        "iss": issuer(moment.tenant),
        "aud": moment.tenant.settings["CLIENT_ID"],
        "sub": moment.tenant.account["sub"],
        "nonce": moment.nonce,
        "tfp": moment.tenant.settings["SIGNUPSIGNIN_USER_FLOW"],
        "iat": now,
        "nbf": now,
        "exp": now + HOUR,
    }
    return {"raw": jwt.encode(payload, rsa_key("stranger"), "RS256", headers=header)}


def foreign_key_in_header(moment: Moment) -> Fault:
    """RFC 7515 section 4.1.3, abused."""
    return signed_by_a_stranger(moment, kid=published_kid(moment.tenant), jwk=stranger_as_jwk())


def foreign_key_under_its_own_id(moment: Moment) -> Fault:
    return signed_by_a_stranger(moment, kid="stranger", jwk=stranger_as_jwk() | {"kid": "stranger"})


def foreign_key_set_in_header(moment: Moment) -> Fault:
    """RFC 7515 section 4.1.2, abused."""
    address = f"{moment.tenant.url}/foreign-keys"
    return signed_by_a_stranger(moment, kid=published_kid(moment.tenant), jku=address)


def stranger_as_jwk() -> dict[str, Any]:
    """The stranger's public key as a JWK."""
    return dict(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("stranger").public_key(), as_dict=True))


def published_kid(tenant: Tenant) -> str:
    """The name of the key that the tenant signs with."""
    url = f"{tenant.tls_url}/localtenant.onmicrosoft.com/B2C_1_signupsignin1/discovery/v2.0/keys"
    keys = requests.get(url, verify=tenant.settings["REQUESTS_CA_BUNDLE"], timeout=10).json()["keys"]
    kid: str = keys[0]["kid"]
    return kid


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
def test_an_id_token_signs_in_only_when_every_check_holds(
    browser: Browser, tenant: Tenant, outcome: str, fault: Fault | LateFault
) -> None:
    callback = browser.callback_url()
    nonce = tenant.seen("authorize")[0]["query"]["nonce"][0]
    tenant.misbehave(id_token=fault(Moment(tenant, nonce)) if callable(fault) else fault)

    browser.get(callback)

    assert_outcome(browser, outcome)
    assert not [seen for seen in tenant.seen("page") if "foreign-keys" in seen["path"]]


def test_an_id_token_of_an_earlier_sign_in_is_refused(
    met_app: RunningApp, browser: Browser, tenant: Tenant
) -> None:
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
def test_clocks_may_differ_by_minutes_only(
    browser: Browser, tenant: Tenant, outcome: str, offset: int
) -> None:
    tenant.move_clock(offset)

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
def test_a_tenant_may_use_any_of_its_token_settings(
    newcomer: Browser, fickle: Tenant, options: dict[str, Any]
) -> None:
    fickle.option(**options)

    newcomer.sign_in()

    assert_outcome(newcomer, SIGNED_IN)


# --- The other user flows -----------------------------------------------------------------------------------


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
def test_a_user_flow_that_comes_back_for_another_user_never_touches_the_session(
    browser: Browser, tenant: Tenant, user_flow: Callable[[Browser], None]
) -> None:
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
def test_the_other_user_flows_check_their_id_token_too(
    browser: Browser, tenant: Tenant, user_flow: Callable[[Browser], None], fault: Fault
) -> None:
    browser.sign_in()
    before = state_of(browser)
    tenant.misbehave(id_token=fault)

    user_flow(browser)

    assert browser.page.status_code == 502
    assert state_of(browser) == before
