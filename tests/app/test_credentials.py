"""What the app proves itself with, from the settings to the token endpoint of a stand-in for Entra ID."""

import base64
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from tests.helpers.app import RunningApp, import_app
from tests.helpers.browser import Visitor, parameters
from tests.helpers.keys import rsa_key
from tests.signin import stand_in
from tests.signin.stand_in import StandIn

TENANT_ID = "11111111-1111-1111-1111-111111111111"
CLIENT_ID = "33333333-3333-3333-3333-333333333333"
IDENTITY = "55555555-5555-5555-5555-555555555555"
AUTHORITY = f"https://login.microsoftonline.com/{TENANT_ID}"
TOKEN_ENDPOINT = f"{AUTHORITY}/oauth2/v2.0/token"
ISSUER = f"{AUTHORITY}/v2.0"
PASSWORD = "a password"

Serve = Callable[..., RunningApp]


@pytest.fixture(scope="module")
def servers() -> Iterator[StandIn]:
    running = StandIn()
    yield running
    running.close()


@pytest.fixture
def provider(servers: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stand_in.Provider:
    """A tenant of Entra ID with one user."""
    provider = stand_in.serve_on(servers, tmp_path, monkeypatch)
    endpoints = f"{AUTHORITY}/oauth2/v2.0"
    provider.metadata[f"{ISSUER}/.well-known/openid-configuration"] = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{endpoints}/authorize",
        "token_endpoint": TOKEN_ENDPOINT,
        "end_session_endpoint": f"{endpoints}/logout",
        "jwks_uri": f"{AUTHORITY}/discovery/v2.0/keys",
    }
    provider.claims = {
        "aud": CLIENT_ID,
        "iss": ISSUER,
        "tid": TENANT_ID,
        "oid": "44444444-4444-4444-4444-444444444444",
        "name": "Ada Lovelace",
    }
    return provider


@pytest.fixture
def environ(provider: stand_in.Provider, tmp_path: Path) -> dict[str, str]:
    """The app's settings without a credential."""
    network = {name: os.environ[name] for name in ("HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")}
    return network | {
        "AUTHORITY": AUTHORITY,
        "CLIENT_ID": CLIENT_ID,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SESSION_DIR": str(tmp_path / "sessions"),
    }


@pytest.fixture
def serve(environ: dict[str, str]) -> Iterator[Serve]:
    """A function that serves the app with this credential."""
    running: list[RunningApp] = []

    def serve_one(**credential: object) -> RunningApp:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        settings = environ | {name: str(value) for name, value in credential.items()}
        settings["REDIRECT_URI"] = f"http://localhost:{listener.getsockname()[1]}/getAToken"
        running.append(RunningApp(settings, import_app(settings), listener))
        return running[-1]

    yield serve_one
    for app in running:
        app.stop()


def sign_in(app: RunningApp, provider: stand_in.Provider) -> str | None:
    """Sign in. Returns the name that the app greets."""
    with Visitor(app.url) as visitor:
        visitor.get("/login", follow=False)
        request = parameters(visitor.location)
        provider.claims["nonce"] = request["nonce"]
        visitor.get(f"/getAToken?code=some-code&state={request['state']}")
        return visitor.signed_in_as()


def token_request(provider: stand_in.Provider) -> dict[str, str]:
    """What the token endpoint was sent last."""
    return provider.seen("/token")[-1]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa_key("k1")


def certificate_for(key: rsa.RSAPrivateKey, days: int) -> x509.Certificate:
    """A certificate that ends in so many days."""
    now = datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=365))
    return builder.not_valid_after(now + timedelta(days=days, hours=1)).sign(key, hashes.SHA256())


def pfx_file(folder: Path, key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> Path:
    path = folder / "app.pfx"
    encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"app", key, certificate, None, encryption))
    return path


def pem_file(folder: Path, key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> Path:
    path = folder / "app.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
    path.write_bytes(key.private_bytes(pem, pkcs8, encryption) + certificate.public_bytes(pem))
    return path


# --- A certificate


@pytest.mark.parametrize("make_file", [pfx_file, pem_file])
def test_a_certificate_signs_the_assertion_that_entra_id_wants(
    make_file: Callable[[Path, rsa.RSAPrivateKey, x509.Certificate], Path],
    key: rsa.RSAPrivateKey,
    serve: Serve,
    provider: stand_in.Provider,
    tmp_path: Path,
) -> None:
    certificate = certificate_for(key, days=90)
    path = make_file(tmp_path, key, certificate)
    app = serve(CLIENT_CERTIFICATE_PATH=path, CLIENT_CERTIFICATE_PASSWORD=PASSWORD)

    assert sign_in(app, provider) == "Ada Lovelace"

    sent = token_request(provider)
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "client_secret" not in sent
    assertion = sent["client_assertion"]
    header = jwt.get_unverified_header(assertion)
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")
    assert (header["alg"], header["x5t#S256"]) == ("PS256", thumbprint)
    claims = jwt.decode(assertion, key.public_key(), ["PS256"], audience=TOKEN_ENDPOINT)
    assert claims["iss"] == claims["sub"] == CLIENT_ID
    assert 0 < claims["exp"] - time.time() <= 600


# --- A federated token


def test_a_federated_token_is_read_anew_for_each_request(
    serve: Serve, provider: stand_in.Provider, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    app = serve(FEDERATED_TOKEN_FILE=path)

    for token in ("first", "second"):
        path.write_text(token)
        assert sign_in(app, provider) == "Ada Lovelace"
        assert token_request(provider)["client_assertion"] == token


def test_a_federated_token_that_is_gone_is_a_page_and_the_next_one_is_used(
    serve: Serve, provider: stand_in.Provider, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    app = serve(FEDERATED_TOKEN_FILE=path)

    assert sign_in(app, provider) is None
    path.write_text("here now")

    assert sign_in(app, provider) == "Ada Lovelace"


# --- A managed identity


@pytest.fixture
def identity_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A stand-in for Azure App Service's identity endpoint. Holds the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = {"access_token": "of-the-identity", "expires_on": str(int(time.time()) + 3600)}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body | {"resource": "x", "token_type": "Bearer"}).encode())

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a made-up header")
    yield asked
    server.shutdown()
    server.server_close()


def test_a_managed_identity_gives_the_assertion(
    serve: Serve, provider: stand_in.Provider, identity_endpoint: list[str]
) -> None:
    app = serve(MANAGED_IDENTITY_CLIENT_ID=IDENTITY)

    assert sign_in(app, provider) == "Ada Lovelace"

    assert token_request(provider)["client_assertion"] == "of-the-identity"
    asked = parameters(identity_endpoint[0])
    assert asked["client_id"] == IDENTITY
    assert asked["resource"] == "api://AzureADTokenExchange"


# --- flask check


@pytest.fixture
def check(
    key: rsa.RSAPrivateKey, environ: dict[str, str], provider: stand_in.Provider, tmp_path: Path
) -> Callable[[int], Result]:
    """A function that runs the check with a certificate that ends in so many days."""
    provider.metadata[f"{AUTHORITY}/oauth2/v2.0/authorize"] = {}
    provider.token_error = {"error": "invalid_grant", "error_description": "AADSTS9002313: no such code"}

    def run(days: int) -> Result:
        path = pfx_file(tmp_path, key, certificate_for(key, days))
        certificate = {"CLIENT_CERTIFICATE_PATH": str(path), "CLIENT_CERTIFICATE_PASSWORD": PASSWORD}
        return import_app(environ | certificate).test_cli_runner().invoke(args=["check"])

    return run


def line_about_the_certificate(result: Result) -> list[str]:
    """That line, and the advice below it."""
    lines: list[str] = result.output.splitlines()
    index = next(i for i, line in enumerate(lines) if "client certificate" in line)
    return lines[index : index + 2]


def test_the_check_says_when_the_certificate_ends(check: Callable[[int], Result]) -> None:
    ends = datetime.now(timezone.utc) + timedelta(days=90, hours=1)

    [line, _] = line_about_the_certificate(check(90))

    assert line == f"ok    client certificate: ends on {ends:%Y-%m-%d}, in 90 days"


def test_the_check_warns_in_the_last_month_of_a_certificate(check: Callable[[int], Result]) -> None:
    [line, advice] = line_about_the_certificate(check(29))

    assert line.startswith("WARN  client certificate: ends on ")
    assert "CLIENT_CERTIFICATE_PATH" in advice


def test_the_check_fails_after_the_certificate_has_ended(check: Callable[[int], Result]) -> None:
    result = check(-2)

    [line, _] = line_about_the_certificate(result)
    assert line.startswith("FAIL  client certificate: ended on ")
    assert result.exit_code == 1
