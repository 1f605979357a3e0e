"""Whose metadata and ID tokens are believed, for each kind of provider; one row a rule."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from signin.authorities import PERSONAL_TENANT
from signin.oidc import (
    EDIT_PROFILE,
    SIGN_IN,
    SIGN_UP,
    AccessBlocked,
    AzureADB2C,
    Cancelled,
    Client,
    ClientSecret,
    EntraID,
    EntraIDManyTenants,
    ExternalID,
    InteractionRequired,
    MetadataNotFound,
    OidcError,
    OpenIDConnect,
    PasswordForgotten,
    Provider,
    ProviderUnavailable,
    ResponseRefused,
    SetupFault,
    SignIn,
    SignInRequired,
    TokenRefused,
    WrongTenant,
    claims_challenge,
)
from tests.signin import stand_in
from tests.signin.stand_in import StandIn, query

US = "11111111-1111-1111-1111-111111111111"  # our tenant
THEM = "22222222-2222-2222-2222-222222222222"  # another
CLIENT_ID = "33333333-3333-3333-3333-333333333333"
OID = "44444444-4444-4444-4444-444444444444"
ENTRA = "https://login.microsoftonline.com"
CHINA = "https://login.partner.microsoftonline.cn"
CIAM = "https://contoso.ciamlogin.com"
OWN_DOMAIN = "https://login.contoso.com"
OP = "https://op.example"
B2C = "https://contoso.b2clogin.com"
REDIRECT_URI = "https://app.example/auth/redirect"
READ, WRITE, OTHER_API = "api://tasks/read", "api://tasks/write", "api://notes/read"


@pytest.fixture(scope="module")
def servers() -> Iterator[StandIn]:
    running = StandIn()
    yield running
    running.close()


@pytest.fixture
def provider(servers: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stand_in.Provider:
    return stand_in.serve_on(servers, tmp_path, monkeypatch)


def metadata(issuer: str, endpoints: str, **changes: object) -> dict[str, Any]:
    """Metadata with all endpoints under this URL. A change to None removes a member."""
    members = {
        "issuer": issuer,
        "authorization_endpoint": f"{endpoints}/authorize",
        "token_endpoint": f"{endpoints}/token",
        "end_session_endpoint": f"{endpoints}/logout",
        "jwks_uri": f"{endpoints}/keys",
    } | changes
    return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True)
class Kind:
    """A provider as configured, what it publishes, and the claims of a good ID token."""

    provider: Provider
    metadata_url: str
    metadata: Mapping[str, Any]
    claims: Mapping[str, Any] = field(default_factory=dict)
    key_issuer: str | None = None

    def but(self, **changes: Any) -> "Kind":
        """This kind, with these changes to its metadata; `claims` and `key_issuer` are meant as such."""
        claims = {**self.claims, **changes.pop("claims", {})}
        key_issuer = changes.pop("key_issuer", self.key_issuer)
        provider = changes.pop("provider", self.provider)
        return replace(
            self,
            provider=provider,
            metadata={**self.metadata, **changes},
            claims=claims,
            key_issuer=key_issuer,
        )


WELL_KNOWN = "/.well-known/openid-configuration"
MICROSOFT_USER = {"tid": US, "oid": OID, "name": "Ada Lovelace"}
TEMPLATE = f"{ENTRA}/{{tenantid}}/v2.0"
MANY = f"{ENTRA}/organizations"


def entra(typed: str = US, host: str = ENTRA, endpoints: str = "") -> Kind:
    issuer = f"{host}/{US}/v2.0"
    return Kind(
        EntraID(f"{host}/{typed}"),
        f"{host}/{typed}/v2.0{WELL_KNOWN}",
        metadata(issuer, f"{endpoints or host}/{US}/oauth2/v2.0"),
        {"iss": issuer, **MICROSOFT_USER},
        key_issuer=TEMPLATE if host == ENTRA else None,
    )


def many(allowed: set[str] | None, authority: str = MANY, tid: str = US, issuer: str = TEMPLATE) -> Kind:
    return Kind(
        EntraIDManyTenants(authority, allowed),
        f"{authority}/v2.0{WELL_KNOWN}",
        metadata(issuer, f"{authority}/oauth2/v2.0"),
        {"iss": TEMPLATE.replace("{tenantid}", tid), **MICROSOFT_USER, "tid": tid},
        key_issuer=TEMPLATE,
    )


def external(typed: str = CIAM, fetched: str = f"{CIAM}/contoso.onmicrosoft.com", issuer: str = "") -> Kind:
    issuer = issuer or f"https://{US}.ciamlogin.com/{US}/v2.0"
    host = "/".join(fetched.split("/")[:3])
    return Kind(
        ExternalID(typed),
        f"{fetched}/v2.0{WELL_KNOWN}",
        metadata(issuer, f"{host}/{US}/oauth2/v2.0"),
        {"iss": issuer, **MICROSOFT_USER},
    )


def generic(issuer: str = f"{OP}/realms/a", **changes: object) -> Kind:
    base = issuer.rstrip("/")
    return Kind(
        OpenIDConnect(issuer),
        base + WELL_KNOWN,
        metadata(issuer, f"{base}/endpoints", **changes),
        {"iss": issuer, "nbf": None, "name": "Ada Lovelace"},
    )


def b2c(tenant_id: str | None = US) -> Kind:
    issuer = f"{B2C}/{US}/v2.0/"
    authority = f"{B2C}/contoso.onmicrosoft.com/B2C_1_susi"
    return Kind(
        AzureADB2C("contoso", {SIGN_IN: "B2C_1_susi"}, tenant_id=tenant_id),
        f"{authority}/v2.0{WELL_KNOWN}",
        metadata(issuer, f"{authority}/oauth2/v2.0"),
        {"iss": issuer, "tfp": "b2c_1_SUSI", "name": "Ada Lovelace"},
    )


def client_of(kind: Kind, provider: stand_in.Provider) -> Client:
    """A client of the app's, and the stand-in set up as this kind."""
    provider.metadata = {kind.metadata_url: dict(kind.metadata)}
    provider.claims = {"aud": CLIENT_ID} | dict(kind.claims)
    provider.key_issuers = {"k1": kind.key_issuer}
    return Client(kind.provider, CLIENT_ID, ClientSecret("some-secret"), REDIRECT_URI)


def sign_in(
    client: Client,
    provider: stand_in.Provider,
    scopes: tuple[str, ...] = (),
    response: Mapping[str, str] | None = None,
) -> SignIn:
    flow = client.begin(SIGN_IN, scopes)
    provider.claims.setdefault("nonce", query(flow["auth_uri"])["nonce"])
    return client.complete(SIGN_IN, flow, {"code": "some-code", "state": flow["state"], **(response or {})})


GOOD = [
    pytest.param(entra(), f"{US}.{OID}", id="Entra ID"),
    pytest.param(entra("contoso.com"), f"{US}.{OID}", id="Entra ID by domain"),
    pytest.param(entra().but(key_issuer=f"{ENTRA}/{US}/v2.0"), f"{US}.{OID}", id="key of our tenant"),
    pytest.param(entra().but(key_issuer=None), f"{US}.{OID}", id="key that names no issuer"),
    pytest.param(
        entra(host=CHINA, endpoints="https://login.chinacloudapi.cn"), f"{US}.{OID}", id="Entra ID in China"
    ),
    pytest.param(many({US}), f"{US}.{OID}", id="tenant on the list"),
    pytest.param(many({US, THEM}, tid=THEM), f"{THEM}.{OID}", id="other tenant on the list"),
    pytest.param(many(None, tid=THEM), f"{THEM}.{OID}", id="any tenant"),
    pytest.param(many({"*"}, tid=THEM), f"{THEM}.{OID}", id="any tenant by asterisk"),
    pytest.param(
        many({PERSONAL_TENANT}, f"{ENTRA}/common", PERSONAL_TENANT).but(
            key_issuer=f"{ENTRA}/{PERSONAL_TENANT}/v2.0"
        ),
        f"{PERSONAL_TENANT}.{OID}",
        id="personal account on the list",
    ),
    pytest.param(
        many({PERSONAL_TENANT}, f"{ENTRA}/consumers", PERSONAL_TENANT, f"{ENTRA}/{PERSONAL_TENANT}/v2.0"),
        f"{PERSONAL_TENANT}.{OID}",
        id="consumers",
    ),
    pytest.param(external(), f"{US}.{OID}", id="External ID by host alone"),
    pytest.param(external(f"{CIAM}/{US}/", f"{CIAM}/{US}"), f"{US}.{OID}", id="External ID by tenant id"),
    pytest.param(
        external(f"{OWN_DOMAIN}/{US}", f"{OWN_DOMAIN}/{US}"), f"{US}.{OID}", id="External ID, own domain"
    ),
    pytest.param(
        external(f"{OWN_DOMAIN}/{US}", f"{OWN_DOMAIN}/{US}", f"{ENTRA}/{US}/v2.0"),
        f"{US}.{OID}",
        id="External ID, own domain, issuer of Entra ID's form",
    ),
    pytest.param(generic(), f"{OP}/realms/a some-sub", id="OpenID Connect"),
    pytest.param(generic(OP), f"{OP} some-sub", id="root issuer"),
    pytest.param(generic(f"{OP}/"), f"{OP}/ some-sub", id="root issuer with a slash"),
    pytest.param(
        generic(token_endpoint="https://other.example/token", jwks_uri="https://other.example/keys"),
        f"{OP}/realms/a some-sub",
        id="endpoints on another host",
    ),
    pytest.param(generic().but(claims={"aud": [CLIENT_ID]}), f"{OP}/realms/a some-sub", id="aud is a list"),
    pytest.param(generic().but(claims={"azp": CLIENT_ID}), f"{OP}/realms/a some-sub", id="azp is ours"),
    pytest.param(b2c(), "some-sub", id="B2C"),
    pytest.param(b2c(None), "some-sub", id="B2C without a tenant id"),
]


@pytest.mark.parametrize(("kind", "user_id"), GOOD)
def test_good_token_signs_in(kind: Kind, user_id: str, provider: stand_in.Provider) -> None:
    result = sign_in(client_of(kind, provider), provider)
    assert result.user_id == user_id
    assert result.claims["name"] == "Ada Lovelace"


def refused(kind: Kind, check: str, name: str, error: type[OidcError] = TokenRefused) -> Any:
    return pytest.param(kind, error, check, id=name)


HOUR = 3600
BAD = [
    refused(entra().but(claims={"tid": THEM}), "tid", "Entra ID, another tid"),
    refused(entra().but(claims={"tid": None}), "tid", "Entra ID, no tid"),
    refused(entra().but(claims={"oid": None}), "oid", "Entra ID, no oid"),
    refused(
        entra().but(claims={"iss": f"{ENTRA}/{THEM}/v2.0", "tid": THEM}), "iss", "Entra ID, another tenant"
    ),
    refused(
        entra("contoso.com").but(claims={"iss": f"{ENTRA}/{THEM}/v2.0", "tid": THEM}),
        "iss",
        "Entra ID by domain, another tenant",
    ),
    refused(entra().but(claims={"iss": f"{ENTRA}/{US}/v2.0/"}), "iss", "Entra ID, a slash too many"),
    refused(entra().but(key_issuer=f"{ENTRA}/{THEM}/v2.0"), "key_issuer", "key of another tenant"),
    refused(many({US}, tid=THEM), "", "tenant not on the list", AccessBlocked),
    refused(many(set()), "", "empty list", AccessBlocked),
    refused(many({US}).but(claims={"tid": THEM}), "iss", "issuer filled with another tid"),
    refused(many({US, THEM}).but(claims={"tid": THEM}), "iss", "issuer filled with another allowed tid"),
    refused(many({US}).but(claims={"tid": "common"}), "tid", "tid that is no tenant id"),
    refused(many({US}).but(claims={"tid": [US]}), "tid", "tid that is a list"),
    refused(many({US}).but(claims={"iss": TEMPLATE}), "iss", "issuer that is the template"),
    refused(
        many({US}).but(key_issuer=f"{ENTRA}/{PERSONAL_TENANT}/v2.0"), "key_issuer", "key of personal accounts"
    ),
    refused(many({US}, tid=PERSONAL_TENANT), "", "personal account", AccessBlocked),
    refused(many(None, tid=PERSONAL_TENANT), "", "personal account, any tenant", AccessBlocked),
    refused(external().but(claims={"tid": THEM}), "tid", "External ID, another tid"),
    refused(
        external().but(claims={"iss": f"{CIAM}/{US}/v2.0"}),
        "iss",
        "External ID, issuer on the endpoints' host",
    ),
    refused(
        external().but(claims={"iss": f"https://{THEM}.ciamlogin.com/{THEM}/v2.0", "tid": THEM}),
        "iss",
        "External ID, another tenant",
    ),
    refused(generic().but(claims={"iss": f"{OP}/realms/b"}), "iss", "OpenID Connect, another issuer"),
    refused(generic(OP).but(claims={"iss": f"{OP}/"}), "iss", "OpenID Connect, a slash too many"),
    refused(generic().but(claims={"iss": f"{ENTRA}/{US}/v2.0"}), "iss", "OpenID Connect, Microsoft's issuer"),
    refused(
        generic().but(claims={"nbf": time.time() + HOUR}), "nbf", "OpenID Connect, nbf is no whole number"
    ),
    refused(generic().but(claims={"nbf": int(time.time()) + HOUR}), "nbf", "OpenID Connect, nbf to come"),
    refused(b2c().but(claims={"tfp": "B2C_1_other"}), "tfp", "B2C, another user flow"),
    refused(b2c().but(claims={"iss": f"{B2C}/{THEM}/v2.0/"}), "iss", "B2C, another tenant"),
]

# One function checks these for every kind, so one is enough for most. Over HTTP the app's tests have them
# for B2C.
for _name, _kind in {"Entra ID": entra()}.items():
    BAD += [
        refused(_kind.but(claims={"aud": "another"}), "aud", f"{_name}, another audience"),
        refused(_kind.but(claims={"aud": [CLIENT_ID, "another"]}), "aud", f"{_name}, a second audience"),
        refused(_kind.but(claims={"aud": None}), "aud", f"{_name}, no audience"),
        refused(_kind.but(claims={"azp": "another"}), "azp", f"{_name}, another authorized party"),
        refused(_kind.but(claims={"exp": int(time.time()) - HOUR}), "exp", f"{_name}, expired"),
        refused(_kind.but(claims={"exp": None}), "exp", f"{_name}, no exp"),
        refused(_kind.but(claims={"iat": None}), "iat", f"{_name}, no iat"),
        refused(_kind.but(claims={"iat": int(time.time()) - HOUR}), "iat", f"{_name}, iat before the flow"),
        refused(_kind.but(claims={"iat": int(time.time()) + HOUR}), "iat", f"{_name}, iat to come"),
        refused(_kind.but(claims={"exp": time.time() + HOUR}), "exp", f"{_name}, exp is no whole number"),
        refused(_kind.but(claims={"iat": time.time()}), "iat", f"{_name}, iat is no whole number"),
        refused(_kind.but(claims={"nbf": time.time() - HOUR}), "nbf", f"{_name}, nbf is no whole number"),
        refused(_kind.but(claims={"sub": ""}), "sub", f"{_name}, empty sub"),
        refused(_kind.but(claims={"iss": None}), "iss", f"{_name}, no issuer"),
        refused(_kind.but(claims={"nonce": "another"}), "nonce", f"{_name}, another nonce"),
    ]
for _name, _kind in {"many tenants": many({US}), "External ID": external(), "generic": generic()}.items():
    BAD += [
        refused(_kind.but(claims={"aud": "another"}), "aud", f"{_name}, another audience"),
        refused(_kind.but(claims={"nonce": "another"}), "nonce", f"{_name}, another nonce"),
        refused(_kind.but(claims={"exp": int(time.time()) - HOUR}), "exp", f"{_name}, expired"),
    ]
for _name, _kind in {"Entra ID": entra(), "External ID": external()}.items():
    BAD.append(refused(_kind.but(claims={"nbf": None}), "nbf", f"{_name}, no nbf"))


@pytest.mark.parametrize(("kind", "error", "check"), BAD)
def test_bad_token_is_refused(
    kind: Kind, error: type[OidcError], check: str, provider: stand_in.Provider
) -> None:
    with pytest.raises(error) as caught:
        sign_in(client_of(kind, provider), provider)
    assert getattr(caught.value, "check", "") == check


@pytest.mark.parametrize(
    "kind", [entra(), many({US}), external(), generic(), b2c()], ids=lambda k: k.provider.name
)
def test_token_signed_with_another_key_is_refused(kind: Kind, provider: stand_in.Provider) -> None:
    client = client_of(kind, provider)
    provider.signed_with = "k2"
    with pytest.raises(TokenRefused) as caught:
        sign_in(client, provider)
    assert caught.value.check == "signature"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS384"])
def test_token_signed_with_another_algorithm_is_refused(algorithm: str, provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    provider.algorithm = algorithm
    with pytest.raises(TokenRefused) as caught:
        sign_in(client, provider)
    assert caught.value.check == "signature"


def test_key_that_is_not_published_is_refused(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    provider.signed_with = provider.key_id = "k2"
    with pytest.raises(TokenRefused) as caught:
        sign_in(client, provider)
    assert caught.value.check == "kid"


def test_key_published_since_is_found(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    client.warm_up()
    provider.key_issuers["k2"] = TEMPLATE
    provider.signed_with = provider.key_id = "k2"
    assert sign_in(client, provider).user_id == f"{US}.{OID}"


METADATA = [
    pytest.param(entra().but(issuer=f"{ENTRA}/{THEM}/v2.0"), WrongTenant, id="Entra ID, another tenant"),
    pytest.param(entra().but(issuer=TEMPLATE), SetupFault, id="Entra ID, template"),
    pytest.param(
        entra().but(issuer=f"https://op.example/{US}/v2.0"), SetupFault, id="Entra ID, another host"
    ),
    pytest.param(
        entra().but(token_endpoint=f"https://login.chinacloudapi.cn/{US}/token"),
        SetupFault,
        id="Entra ID, token endpoint in another cloud",
    ),
    pytest.param(many({US}).but(issuer=f"{ENTRA}/{US}/v2.0"), SetupFault, id="many tenants, no template"),
    pytest.param(
        external(f"{CIAM}/{US}", f"{CIAM}/{US}").but(issuer=f"https://{THEM}.ciamlogin.com/{THEM}/v2.0"),
        WrongTenant,
        id="External ID, another tenant",
    ),
    pytest.param(
        external().but(issuer=f"https://{US}.ciamlogin.com/{THEM}/v2.0"),
        SetupFault,
        id="External ID, two tenants",
    ),
    pytest.param(
        external().but(issuer=f"{ENTRA}/{US}/v2.0"), SetupFault, id="External ID, Entra ID's issuer"
    ),
    pytest.param(generic().but(issuer=f"{OP}/realms/a/"), SetupFault, id="OpenID Connect, a slash"),
    pytest.param(generic().but(issuer=f"{ENTRA}/{US}/v2.0"), SetupFault, id="OpenID Connect, Microsoft"),
    pytest.param(
        generic().but(token_endpoint="http://op.example/token"), SetupFault, id="http token endpoint"
    ),
    pytest.param(generic().but(jwks_uri="http://op.example/keys"), SetupFault, id="http keys"),
    pytest.param(generic().but(token_endpoint=OP), SetupFault, id="token endpoint without a path"),
    pytest.param(
        generic().but(authorization_endpoint="http://127.0.0.1:1/authorize"), SetupFault, id="http authorize"
    ),
    pytest.param(generic().but(userinfo_endpoint="http://op.example/u"), SetupFault, id="http userinfo"),
    pytest.param(b2c().but(issuer=f"{B2C}/{THEM}/v2.0/"), WrongTenant, id="B2C, another tenant"),
    pytest.param(b2c().but(issuer=f"{OP}/{US}/v2.0/"), SetupFault, id="B2C, another host"),
]

for _name, _kind in {
    "Entra ID": entra(),
    "many tenants": many({US}),
    "External ID": external(),
    "External ID, own domain": external(f"{OWN_DOMAIN}/{US}", f"{OWN_DOMAIN}/{US}"),
    "B2C": b2c(),
}.items():
    METADATA += [
        pytest.param(_kind.but(end_session_endpoint=None), SetupFault, id=f"{_name}, no end_session_endpoint")
    ]
    METADATA += [
        pytest.param(
            _kind.but(**{endpoint: "https://other.example/somewhere"}),
            SetupFault,
            id=f"{_name}, {endpoint} elsewhere",
        )
        # Each kind knows its hosts. The endpoints that have to be there are the same for all.
        for endpoint in (
            ("authorization_endpoint", "token_endpoint", "end_session_endpoint", "jwks_uri")
            if _name == "Entra ID"
            else ("token_endpoint",)
        )
    ]


@pytest.mark.parametrize(("kind", "error"), METADATA)
def test_metadata_that_does_not_fit_stops_before_the_request(
    kind: Kind, error: type[OidcError], provider: stand_in.Provider
) -> None:
    with pytest.raises(error) as caught:
        client_of(kind, provider).begin(SIGN_IN)
    assert type(caught.value) is error
    assert caught.value.url == kind.metadata_url


def test_browser_endpoints_may_be_on_the_insecure_origin(provider: stand_in.Provider) -> None:
    local = "http://127.0.0.1:8400"
    kind = entra().but(
        provider=EntraID(f"{ENTRA}/{US}", local),
        authorization_endpoint=f"{local}/authorize",
        end_session_endpoint=f"{local}/logout",
    )
    client = client_of(kind, provider)
    assert client.begin(SIGN_IN)["auth_uri"].startswith(f"{local}/authorize?")
    assert local in client.provider.browser_origins


def test_token_endpoint_may_not_be_on_the_insecure_origin(provider: stand_in.Provider) -> None:
    local = "http://127.0.0.1:8400"
    kind = entra().but(provider=EntraID(f"{ENTRA}/{US}", local), token_endpoint=f"{local}/token")
    with pytest.raises(SetupFault, match="is not on a host of this authority"):  # before MSAL refuses it
        client_of(kind, provider).begin(SIGN_IN)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {}), MetadataNotFound),
        ((400, {"error": "invalid_tenant", "error_codes": [90002], "correlation_id": US}), MetadataNotFound),
        ((403, {}), SetupFault),
        ((500, {}), ProviderUnavailable),
    ],
)
def test_metadata_that_is_not_there(
    answer: tuple[int, dict[str, Any]], error: type[OidcError], provider: stand_in.Provider
) -> None:
    client = client_of(entra(), provider)
    provider.metadata = {entra().metadata_url: answer}
    with pytest.raises(error) as caught:
        client.begin(SIGN_IN)
    assert type(caught.value) is error


# --- The authorization request and response ---------------------------------------------------------------


def test_sign_up_at_external_id_asks_for_a_new_account(provider: stand_in.Provider) -> None:
    client = client_of(external(), provider)
    assert query(client.begin(SIGN_UP)["auth_uri"])["prompt"] == "create"
    assert "prompt" not in query(client.begin(SIGN_IN)["auth_uri"])
    assert EDIT_PROFILE not in client.user_flows


def test_languages_at_external_id(provider: stand_in.Provider) -> None:
    sent = query(client_of(external(), provider).begin(SIGN_IN, ui_locales="fr de")["auth_uri"])
    assert (sent["ui_locales"], sent["mkt"]) == ("fr de", "fr")


def test_entra_id_is_told_that_claims_challenges_are_handled(provider: stand_in.Provider) -> None:
    sent = query(client_of(entra(), provider).begin(SIGN_IN)["auth_uri"])
    assert json.loads(sent["claims"])["access_token"]["xms_cc"]["values"] == ["CP1"]
    assert "claims" not in query(client_of(generic(), provider).begin(SIGN_IN)["auth_uri"])


def test_claims_challenge_is_sent_on(provider: stand_in.Provider) -> None:
    challenge = '{"access_token": {"acrs": {"essential": true, "value": "c1"}}}'
    sent = query(client_of(entra(), provider).begin(SIGN_IN, claims_challenge=challenge)["auth_uri"])
    assert json.loads(sent["claims"])["access_token"]["acrs"]["value"] == "c1"


@pytest.mark.parametrize(
    ("supported", "expected"),
    [
        (None, {"openid", "profile", "offline_access"}),
        (["openid", "email", "profile"], {"openid", "profile", "email"}),
    ],
)
def test_scopes_that_a_provider_does_not_know_are_not_asked_for(
    supported: list[str] | None, expected: set[str], provider: stand_in.Provider
) -> None:
    client = client_of(generic(scopes_supported=supported), provider)
    assert set(query(client.begin(SIGN_IN)["auth_uri"])["scope"].split()) == expected


@pytest.mark.parametrize(
    ("kind", "response"),
    [
        (generic(), {"iss": f"{OP}/realms/a"}),
        (generic(authorization_response_iss_parameter_supported=True), {"iss": f"{OP}/realms/a"}),
        (many(None), {"iss": f"{ENTRA}/{US}/v2.0"}),
    ],
)
def test_a_response_of_the_provider_that_was_asked_is_accepted(
    kind: Kind, response: dict[str, str], provider: stand_in.Provider
) -> None:
    assert sign_in(client_of(kind, provider), provider, response=response).user_id


@pytest.mark.parametrize(
    ("kind", "response"),
    [
        (generic(), {"iss": f"{OP}/realms/b"}),
        (generic(authorization_response_iss_parameter_supported=True), {}),
        (many(None), {"iss": f"{OP}/{US}/v2.0"}),
        (many(None), {"iss": f"{ENTRA}/common/v2.0"}),
        (entra(), {"state": "another"}),
        (entra(), {"error": "access_denied"}),  # besides the code
    ],
)
def test_a_response_that_does_not_fit_the_request_is_refused(
    kind: Kind, response: dict[str, str], provider: stand_in.Provider
) -> None:
    client = client_of(kind, provider)
    with pytest.raises(ResponseRefused):
        sign_in(client, provider, response=response)
    assert not provider.seen("/token")


def test_response_and_id_token_of_different_tenants_are_refused(provider: stand_in.Provider) -> None:
    with pytest.raises(ResponseRefused):
        sign_in(client_of(many(None), provider), provider, response={"iss": f"{ENTRA}/{THEM}/v2.0"})


ERRORS = [
    (entra(), "access_denied", "AADSTS65004: User declined to consent", Cancelled, "AADSTS65004"),
    (entra(), "access_denied", "AADSTS500208: Not a valid login domain", AccessBlocked, "AADSTS500208"),
    (entra(), "access_denied", "AADSTS99999: Something else", OidcError, "AADSTS99999"),
    (entra(), "access_denied", "", Cancelled, ""),
    (entra(), "login_required", "AADSTS50058: A silent request", SignInRequired, "AADSTS50058"),
    (entra(), "interaction_required", "AADSTS53003: Blocked", InteractionRequired, "AADSTS53003"),
    (entra(), "temporarily_unavailable", "AADSTS7000215: ?", ProviderUnavailable, "AADSTS7000215"),
    (entra(), "invalid_grant", "AADSTS65001: No consent", InteractionRequired, "AADSTS65001"),
    (b2c(), "access_denied", "AADB2C90118: Forgotten", PasswordForgotten, "AADB2C90118"),
    (generic(), "invalid_scope", "AADSTS65001: of another kind", SetupFault, ""),
]


@pytest.mark.parametrize(("kind", "error", "description", "expected", "code"), ERRORS)
def test_error_response(
    kind: Kind,
    error: str,
    description: str,
    expected: type[OidcError],
    code: str,
    provider: stand_in.Provider,
) -> None:
    client = client_of(kind, provider)
    flow = client.begin(SIGN_IN)
    response = {"state": flow["state"], "error": error, "error_description": description}
    with pytest.raises(expected) as caught:
        client.complete(SIGN_IN, flow, response)
    assert caught.value.code == code


# --- Userinfo and sign-out ---------------------------------------------------------------------------------


def nameless() -> Kind:
    return generic(userinfo_endpoint=f"{OP}/userinfo").but(claims={"name": None})


def test_name_comes_from_userinfo(provider: stand_in.Provider) -> None:
    client = client_of(nameless(), provider)
    provider.userinfo = {"sub": "some-sub", "name": "Ada", "aud": "another", "iss": "another"}
    claims = sign_in(client, provider).claims
    assert (claims["name"], claims["aud"], claims["iss"]) == ("Ada", CLIENT_ID, f"{OP}/realms/a")


@pytest.mark.parametrize("name", ["", "unknown", "\u200b", ["Ada"], {"a": 1}, 7])
def test_name_of_userinfo_wins_where_the_id_token_has_no_name(
    name: object, provider: stand_in.Provider
) -> None:
    client = client_of(nameless().but(claims={"name": name, "email": "ada@example.com"}), provider)
    provider.userinfo = {"sub": "some-sub", "name": "Ada", "email": "another@example.com"}
    claims = sign_in(client, provider).claims
    assert (claims["name"], claims["email"]) == ("Ada", "ada@example.com")


def test_userinfo_about_somebody_else_is_refused(provider: stand_in.Provider) -> None:
    client = client_of(nameless(), provider)
    provider.userinfo = {"sub": "another-sub", "name": "Eve"}
    with pytest.raises(TokenRefused) as caught:
        sign_in(client, provider)
    assert caught.value.check == "userinfo"


def test_sign_in_does_without_userinfo(provider: stand_in.Provider) -> None:
    assert "name" not in sign_in(client_of(nameless(), provider), provider).claims


def test_userinfo_is_not_asked_for_a_name_that_is_there(provider: stand_in.Provider) -> None:
    client = client_of(generic(userinfo_endpoint=f"{OP}/userinfo"), provider)
    sign_in(client, provider)
    assert not provider.seen("/userinfo")


@pytest.mark.parametrize(
    ("kind", "claims", "parameters"),
    [
        (entra(), {}, set()),
        (entra(), {"login_hint": "some-hint"}, {"logout_hint"}),
        (external(), {"login_hint": "some-hint"}, set()),
        (generic(), {}, {"id_token_hint", "client_id"}),
        (b2c(), {}, {"id_token_hint", "client_id"}),
    ],
)
def test_sign_out_sends_what_the_provider_knows(
    kind: Kind, claims: dict[str, str], parameters: set[str], provider: stand_in.Provider
) -> None:
    client = client_of(kind.but(claims=claims), provider)
    result = sign_in(client, provider)
    uri = client.sign_out_uri(result.token_cache, result.claims, "https://app.example/")
    assert uri is not None
    assert set(query(uri)) == parameters | {"post_logout_redirect_uri"}


def test_provider_without_sign_out(provider: stand_in.Provider) -> None:
    client = client_of(generic(end_session_endpoint=None), provider)
    assert client.sign_out_uri("", {}, "https://app.example/") is None


# --- Access tokens -----------------------------------------------------------------------------------------


def test_cached_token_covers_the_scopes_of_one_api(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    result = sign_in(client, provider, (READ, WRITE))

    def cached(*scopes: str) -> str | None:
        return client.cached_access_token(result.token_cache, result.account_id, scopes)

    assert cached(READ, WRITE)
    assert cached(READ)
    assert not cached(READ, "api://tasks/delete")
    assert not cached(OTHER_API)
    assert not cached(READ, OTHER_API)
    assert not cached()
    assert not client.cached_access_token(result.token_cache, "somebody-else", (READ,))


def test_narrower_grant_is_remembered(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    provider.token_answer = {"scope": READ}
    result = sign_in(client, provider, (READ, WRITE))
    assert result.granted_scopes == {READ}
    assert client.cached_access_token(result.token_cache, result.account_id, (WRITE, READ))
    assert not client.cached_access_token(result.token_cache, result.account_id, (WRITE,))


def test_new_scopes_get_a_new_token(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    result = sign_in(client, provider, (READ,))
    token = client.refresh_access_token(result.token_cache, result.account_id, result.user_id, (OTHER_API,))
    assert token.secret != client.cached_access_token(result.token_cache, result.account_id, (READ,))
    assert OTHER_API in provider.seen("/token")[-1]["scope"].split()
    assert token.token_cache is not None
    assert client.cached_access_token(token.token_cache, result.account_id, (OTHER_API,)) == token.secret


def test_token_of_another_api_is_not_used(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    result = sign_in(client, provider, (READ,))
    provider.token_answer = {"scope": "api://notes/write"}
    with pytest.raises(SetupFault):
        client.refresh_access_token(result.token_cache, result.account_id, result.user_id, (OTHER_API, WRITE))
    provider.token_answer = {"scope": "openid profile"}
    with pytest.raises(SetupFault):
        client.refresh_access_token(result.token_cache, result.account_id, result.user_id, (OTHER_API,))


def test_refreshed_token_of_another_user_is_refused(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    result = sign_in(client, provider, (READ,))
    provider.claims["oid"] = THEM
    with pytest.raises(TokenRefused) as caught:
        client.refresh_access_token(result.token_cache, result.account_id, result.user_id, (WRITE,))
    assert caught.value.check == "user_id"


def test_provider_without_refresh_tokens_asks_the_user_to_sign_in(provider: stand_in.Provider) -> None:
    client = client_of(generic(), provider)
    provider.token_answer = {"refresh_token": None}
    result = sign_in(client, provider, ("tasks:read",))
    assert client.cached_access_token(result.token_cache, result.account_id, ("tasks:read",))
    with pytest.raises(SignInRequired):
        client.refresh_access_token(result.token_cache, result.account_id, result.user_id, ("tasks:write",))


def test_token_endpoint_challenge_becomes_interaction_required(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    result = sign_in(client, provider, (READ,))
    claims = '{"access_token": {"capolids": {"essential": true}}}'
    provider.token_error = {
        "error": "invalid_grant",
        "error_description": "AADSTS50076: MFA",
        "error_codes": [50076],
        "correlation_id": THEM,
        "claims": claims,
    }
    with pytest.raises(InteractionRequired) as caught:
        client.refresh_access_token(result.token_cache, result.account_id, result.user_id, (WRITE,))
    error = caught.value
    assert (error.code, error.correlation_id, error.claims) == ("AADSTS50076", THEM, claims)


def test_challenge_of_an_api_gets_a_new_token(provider: stand_in.Provider) -> None:
    client = client_of(entra(), provider)
    result = sign_in(client, provider, (READ,))
    challenge = '{"access_token": {"nbf": {"essential": true, "value": "1"}}}'
    encoded = base64.b64encode(challenge.encode()).decode()
    header = f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'
    asked = claims_challenge(header)
    assert asked == challenge
    client.refresh_access_token(result.token_cache, result.account_id, result.user_id, (READ,), asked)
    sent = json.loads(provider.seen("/token")[-1]["claims"])
    assert set(sent["access_token"]) == {"nbf", "xms_cc"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer error="insufficient_claims", claims="eyJhIjogMX0="', '{"a": 1}'),
        ('Bearer error="insufficient_claims", claims="eyJhIjogMX0"', '{"a": 1}'),
        ('Negotiate, Bearer realm="a, b", error="insufficient_claims", claims="eyJhIjogMX0="', '{"a": 1}'),
        ('bearer error=insufficient_claims, claims="eyJhIjogMX0="', '{"a": 1}'),
        ('Bearer error="invalid_token", claims="eyJhIjogMX0="', None),
        ('PoP error="insufficient_claims", claims="eyJhIjogMX0="', None),
        ('Bearer error="insufficient_claims", claims="WzFd"', None),  # a list
        ('Bearer error="insufficient_claims", claims="***"', None),
        ('Bearer error="insufficient_claims"', None),
        ("Bearer", None),
        ("", None),
    ],
)
def test_claims_challenge_in_a_header(header: str, expected: str | None) -> None:
    assert claims_challenge(header) == expected
