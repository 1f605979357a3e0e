"""Front-channel sign-out: the provider loads an address of the app in a hidden frame."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import greeted, parameters
from tests.signin.stand_in import Provider, StandIn

TENANT = "22222222-2222-2222-2222-222222222222"
HOST = "https://login.microsoftonline.com"
ISSUER = f"{HOST}/{TENANT}/v2.0"
NOT_B2C = dict.fromkeys(
    (
        "B2C_TENANT_NAME",
        "B2C_TENANT_ID",
        "SIGNUPSIGNIN_USER_FLOW",
        "EDITPROFILE_USER_FLOW",
        "RESETPASSWORD_USER_FLOW",
        "AUTHORITY_TEMPLATE",
        "ENDPOINT",
        "SCOPE",
        "WRITE_SCOPE",
        "INSECURE_SIGN_IN_ORIGIN",
    ),
    "",
)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    servers = StandIn()
    yield servers
    servers.close()


@pytest.fixture
def entra_id(stand_in: StandIn) -> Provider:
    """Entra ID, as far as a sign-in needs it."""
    stand_in.provider = Provider()
    stand_in.provider.metadata[f"{HOST}/{TENANT}/v2.0/.well-known/openid-configuration"] = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{HOST}/{TENANT}/oauth2/v2.0/authorize",
        "token_endpoint": f"{HOST}/{TENANT}/oauth2/v2.0/token",
        "end_session_endpoint": f"{HOST}/{TENANT}/oauth2/v2.0/logout",
        "jwks_uri": f"{HOST}/{TENANT}/discovery/v2.0/keys",
    }
    return stand_in.provider


@pytest.fixture(scope="module")
def app(serve_app: ServeApp, stand_in: StandIn, tmp_path_factory: pytest.TempPathFactory) -> RunningApp:
    """The app with Entra ID as its authority."""
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    stand_in.ca.cert_pem.write_to_path(str(bundle))
    environ = NOT_B2C | {"HTTPS_PROXY": stand_in.proxy_url, "REQUESTS_CA_BUNDLE": str(bundle)}
    return serve_app(**environ, AUTHORITY=f"{HOST}/{TENANT}", CLIENT_ID="an-app", CLIENT_SECRET="made-up")


class Visitor:
    """A browser in which somebody signs in at Entra ID without being asked."""

    def __init__(self, app: RunningApp, provider: Provider):
        self.app, self.provider = app, provider
        self.http = requests.Session()
        self.http.trust_env = False

    def get(self, path: str) -> requests.Response:
        headers = {"Accept": "text/html"}
        return self.http.get(self.app.url + path, headers=headers, allow_redirects=False, timeout=20)

    def sign_in(self, sid: str) -> "Visitor":
        asked = parameters(self.get("/login").headers["Location"])
        identity = {"oid": str(uuid.uuid4()), "sub": "some-sub", "name": "Grace Hopper"}
        self.provider.claims = identity | {
            "iss": ISSUER,
            "tid": TENANT,
            "aud": "an-app",
            "nonce": asked["nonce"],
            "sid": sid,
        }
        assert self.get(f"/getAToken?code=x&state={asked['state']}").status_code == 303
        return self

    def signed_in_as(self) -> str | None:
        return greeted(self.get("/"))


def sign_out_by_provider(app: RunningApp, **query: str | list[str]) -> requests.Response:
    """What a hidden frame of the provider's page sends: no cookies."""
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
    return requests.get(f"{app.url}/frontchannel_logout", params=query, headers=headers, timeout=20)


def test_the_session_with_this_sid_ends_and_no_other(app: RunningApp, entra_id: Provider) -> None:
    one, other = (Visitor(app, entra_id).sign_in(sid) for sid in ("sid-one", "sid-other"))
    assert one.signed_in_as() == "Grace Hopper"

    assert sign_out_by_provider(app, iss=ISSUER, sid="sid-one").status_code == 200
    assert one.signed_in_as() is None
    assert other.signed_in_as() == "Grace Hopper"


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"sid": "kept"}, id="no issuer"),
        pytest.param({"iss": ISSUER}, id="no sid"),
        pytest.param({"iss": "https://evil.example", "sid": "kept"}, id="another issuer"),
        pytest.param({"iss": ISSUER, "sid": ["kept", "kept"]}, id="two sids"),
        pytest.param({"iss": [ISSUER, ISSUER], "sid": "kept"}, id="two issuers"),
        pytest.param({"iss": ISSUER, "sid": "k" * 5000}, id="very long"),
        pytest.param({"iss": ISSUER, "sid": "kept\0"}, id="NUL"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_request_that_names_no_session_ends_none_and_tells_nothing(
    app: RunningApp, entra_id: Provider, query: dict[str, str | list[str]]
) -> None:
    user = Visitor(app, entra_id).sign_in("kept")
    refused = sign_out_by_provider(app, **query)
    assert user.signed_in_as() == "Grace Hopper"

    done = sign_out_by_provider(app, iss=ISSUER, sid="kept")
    assert user.signed_in_as() is None
    assert (refused.status_code, refused.text) == (done.status_code, done.text)
    assert refused.headers.keys() == done.headers.keys()
    assert "Set-Cookie" not in done.headers


def test_the_providers_pages_can_frame_the_answer_and_nobody_else(
    app: RunningApp, entra_id: Provider
) -> None:
    answer = sign_out_by_provider(app, iss=ISSUER, sid="unknown")
    home = Visitor(app, entra_id).get("/")

    assert "frame-ancestors https://login.microsoftonline.com" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in home.headers["Content-Security-Policy"]


def test_an_unknown_sid_leaves_nothing_in_the_store(app: RunningApp, entra_id: Provider) -> None:
    Visitor(app, entra_id).sign_in("somebody")
    before = _written(app)
    for number in range(20):
        sign_out_by_provider(app, iss=ISSUER, sid=f"unknown-{number}")

    assert _written(app) == before


def _written(app: RunningApp) -> bytes:
    """What is in the files of the store. SQLite also writes into the -shm file when it reads."""
    files = sorted(Path(app.environ["SESSION_DIR"]).iterdir())
    return b"".join(file.read_bytes() for file in files if not file.name.endswith("-shm"))


def test_azure_ad_b2c_has_no_such_address(shared_app: RunningApp) -> None:
    answer = sign_out_by_provider(shared_app, iss=ISSUER, sid="x")

    assert answer.status_code == 404


def test_an_authority_without_sign_up_offers_signing_in_only(app: RunningApp, entra_id: Provider) -> None:
    home = Visitor(app, entra_id).get("/").text

    assert ">Sign in</a>" in home
    assert "sign up" not in home.lower()
    assert Visitor(app, entra_id).get("/signup").status_code == 404
