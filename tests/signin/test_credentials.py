"""How the app proves who it is: what reaches the token endpoint."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from signin.oidc import (
    Certificate,
    ClientSecret,
    CredentialUnusable,
    FederatedTokenFile,
    ManagedIdentity,
    ProviderUnavailable,
    SetupFault,
)
from tests.helpers.keys import rsa_key

ENDS = datetime(2031, 5, 1, tzinfo=timezone.utc)
CONTEXT = {"client_id": "some-client", "token_endpoint": "https://op.example/token"}
PASSWORD = "a password"


MakeFile = Callable[[Path, rsa.RSAPrivateKey, x509.Certificate, str | None], Path]


def certificate_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(ENDS - timedelta(days=365)).not_valid_after(ENDS)
    return builder.sign(key, hashes.SHA256())


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa_key("k1")


@pytest.fixture(scope="module")
def certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    return certificate_of(key)


def encryption(password: str | None) -> serialization.KeySerializationEncryption:
    if password is None:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(password.encode())


def pem_file(
    folder: Path,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    password: str | None,
) -> Path:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "app.pem"
    path.write_bytes(key.private_bytes(pem, pkcs8, encryption(password)) + certificate.public_bytes(pem))
    return path


def pfx_file(
    folder: Path, key: rsa.RSAPrivateKey, certificate: x509.Certificate, password: str | None
) -> Path:
    path = folder / "app.pfx"
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"app", key, certificate, None, encryption(password))
    )
    return path


@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("make", [pem_file, pfx_file])
def test_certificate_signs_an_assertion(
    make: MakeFile,
    password: str | None,
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    tmp_path: Path,
) -> None:
    credential = Certificate(make(tmp_path, key, certificate, password), password)
    assertion = credential.client_credential["client_assertion"](CONTEXT)
    header = jwt.get_unverified_header(assertion)
    thumbprint = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()
    assert header["alg"] == "PS256"
    assert header["x5t#S256"] == base64.urlsafe_b64encode(thumbprint).decode().rstrip("=")
    claims = jwt.decode(
        assertion, key.public_key(), ["PS256"], audience=CONTEXT["token_endpoint"], issuer="some-client"
    )
    assert claims["sub"] == "some-client"
    assert credential.ends == ENDS


def test_every_assertion_is_another(
    key: rsa.RSAPrivateKey, certificate: x509.Certificate, tmp_path: Path
) -> None:
    credential = Certificate(pem_file(tmp_path, key, certificate, None))
    assertions = [credential.client_credential["client_assertion"](CONTEXT) for _ in range(2)]
    ids = {jwt.decode(one, options={"verify_signature": False})["jti"] for one in assertions}
    assert len(ids) == 2


@pytest.mark.parametrize("make", [pem_file, pfx_file])
@pytest.mark.parametrize("password", [None, "another"])
def test_wrong_password(
    make: MakeFile,
    password: str | None,
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    tmp_path: Path,
) -> None:
    path = make(tmp_path, key, certificate, PASSWORD)
    with pytest.raises(CredentialUnusable) as caught:
        Certificate(path, password)
    assert (caught.value.problem, caught.value.path) == ("password", str(path))


def test_certificate_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CredentialUnusable) as caught:
        Certificate(tmp_path / "none.pfx")
    assert caught.value.problem == "unreadable"


@pytest.mark.parametrize(
    "content", [b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_file_that_holds_no_certificate_and_key(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "app.pem"
    path.write_bytes(content)
    with pytest.raises(CredentialUnusable) as caught:
        Certificate(path)
    assert caught.value.problem == "format"


def test_certificate_of_another_key(key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    other = certificate_of(rsa_key("k2"))
    with pytest.raises(CredentialUnusable) as caught:
        Certificate(pem_file(tmp_path, key, other, None))
    assert caught.value.problem == "format"


def test_key_that_is_not_rsa(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(CredentialUnusable) as caught:
        Certificate(pem_file(tmp_path, key, certificate_of(key), None))
    assert caught.value.problem == "format"


def test_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ClientSecret("")


def test_federated_token_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "token"
    read = FederatedTokenFile(path).client_credential["client_assertion"]
    for token in ("first", "second"):
        path.write_text(token + "\n")
        assert read() == token


@pytest.mark.parametrize("content", [None, ""])
def test_federated_token_that_is_not_there(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CredentialUnusable):
        FederatedTokenFile(path).client_credential["client_assertion"]()


@pytest.fixture
def identity_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """App Service's endpoint for managed identities. The dictionary is what it answers."""
    answer: dict[str, object] = {
        "status": 200,
        "body": {"access_token": "a-token", "expires_on": "9999999999"},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer["path"] = self.path
            body = json.dumps(answer["body"]).encode()
            self.send_response(int(str(answer["status"])))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "some-header")
    yield answer
    server.shutdown()
    server.server_close()


def test_managed_identity_gives_its_token(identity_endpoint: dict[str, object]) -> None:
    credential = ManagedIdentity("some-identity")
    assert credential.client_credential["client_assertion"]() == "a-token"
    assert "api%3A%2F%2FAzureADTokenExchange" in str(identity_endpoint["path"])
    assert "client_id=some-identity" in str(identity_endpoint["path"])


def test_managed_identity_that_is_refused(identity_endpoint: dict[str, object]) -> None:
    identity_endpoint.update(status=400, body={"statusCode": 400, "message": "no such identity"})
    with pytest.raises(SetupFault):
        ManagedIdentity("some-identity").client_credential["client_assertion"]()


def test_managed_identity_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token")
    monkeypatch.setenv("IDENTITY_HEADER", "some-header")
    with pytest.raises(ProviderUnavailable):
        ManagedIdentity("some-identity").client_credential["client_assertion"]()
