"""How the app proves to the token endpoint who it is.

Source: Microsoft Learn, "Microsoft identity platform application authentication certificate credentials" and
"Configure an application to trust a managed identity"; RFC 7523 section 3.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import jwt
import msal
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs12
from jwt.utils import base64url_encode

from .claims import short
from .errors import ProviderUnavailable, SetupFault
from .http_client import HttpClient, HttpError

ASSERTION_LIFETIME = 600  # seconds
TOKEN_EXCHANGE = "api://AzureADTokenExchange"  # noqa: S105 - …USGov and …China in the national clouds
INSTANCE_METADATA = "http://169.254.169.254"


class CredentialUnusable(SetupFault):
    """A credential's file cannot be used. `problem` is "unreadable", "password" or "format"."""

    def __init__(self, detail: str, *, path: str, problem: str):
        super().__init__(detail)
        self.path = path
        self.problem = problem


class Credential(Protocol):
    """What the client authenticates with."""

    @property
    def client_credential(self) -> str | dict[str, Any]:
        """The argument of this name for MSAL."""

    @property
    def ends(self) -> datetime | None:
        """When the credential ends, in UTC, if that is known."""


class ClientSecret:
    """A client secret. MSAL sends it in the body, never by HTTP Basic. Raises ValueError for an empty one."""

    ends: datetime | None = None

    def __init__(self, secret: str):
        if not secret:
            raise ValueError("the client secret is empty")  # MSAL would silently send none
        self.client_credential = secret

    def __repr__(self) -> str:
        return "ClientSecret(...)"


class Certificate:
    """A certificate and its private key: a PFX file, or a PEM file with both. Raises CredentialUnusable.

    `ends` is when the certificate ends, in UTC. `der` is the certificate without its key.
    """

    def __init__(self, path: str | Path, password: str | None = None):
        self._key, certificate = _load(Path(path), password.encode() if password else None)
        self._thumbprint = base64url_encode(certificate.fingerprint(hashes.SHA256())).decode()
        self.ends: datetime | None = _end(certificate)
        self.der: bytes = certificate.public_bytes(Encoding.DER)
        self.client_credential: dict[str, Any] = {"client_assertion": self._assertion}

    def _assertion(self, context: Mapping[str, str]) -> str:
        """A signed assertion for one token request.

        MSAL would make the same one, but parses the key for every request, which takes 75 ms.
        """
        now = int(time.time())
        claims = {
            "aud": context["token_endpoint"],
            "iss": context["client_id"],
            "sub": context["client_id"],
            "jti": str(uuid.uuid4()),
            "nbf": now,
            "iat": now,
            "exp": now + ASSERTION_LIFETIME,
        }
        return jwt.encode(claims, self._key, algorithm="PS256", headers={"x5t#S256": self._thumbprint})


class FederatedTokenFile:
    """A token that another platform, such as Kubernetes, keeps fresh in a file. Read for each request."""

    ends: datetime | None = None

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self.client_credential: dict[str, Any] = {"client_assertion": self._assertion}

    def _assertion(self) -> str:
        try:
            token = self._path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialUnusable(
                f"{self._path} cannot be read: {short(error)}", path=str(self._path), problem="unreadable"
            ) from error
        if not token:
            raise CredentialUnusable(f"{self._path} is empty", path=str(self._path), problem="format")
        return token


class ManagedIdentity:
    """A user-assigned managed identity, as a federated credential of the app registration."""

    ends: datetime | None = None

    def __init__(self, client_id: str, resource: str = TOKEN_EXCHANGE):
        self._resource = resource
        self._identity = msal.ManagedIdentityClient(
            msal.UserAssignedManagedIdentity(client_id=client_id), http_client=_InstanceMetadata()
        )
        self.client_credential: dict[str, Any] = {"client_assertion": self._assertion}

    def _assertion(self) -> str:
        try:
            result = self._identity.acquire_token_for_client(resource=self._resource)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise ProviderUnavailable(f"the managed identity gave no token: {short(error)}") from error
        token = result.get("access_token")
        if not isinstance(token, str):
            raise SetupFault(
                f"the managed identity gave no token: {json.dumps(result)[:200]}",
                error=str(result.get("error")),
            )
        return token


class _InstanceMetadata:
    """What msal.ManagedIdentityClient talks through: bounded, and never through a proxy."""

    def __init__(self) -> None:
        self._http = HttpClient("managed identity", ca_for=INSTANCE_METADATA, use_proxies=False)

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> "_Answer":
        try:
            response = self._http.request(
                "GET", f"{url}?{urlencode(params)}" if params else url, headers=headers
            )
        except HttpError as error:
            raise ProviderUnavailable(f"no answer from the managed identity: {error}", url=url) from error
        return _Answer(response.status, response.text, response.headers)

    def close(self) -> None:
        """Nothing to do."""


class _Answer:
    """A response in the form that MSAL reads."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str]):
        self.status_code, self.text, self.headers = status_code, text, headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise ProviderUnavailable(f"the managed identity's endpoint answered {self.status_code}")


def _load(path: Path, password: bytes | None) -> tuple[RSAPrivateKey, x509.Certificate]:
    def unusable(problem: str, detail: str) -> CredentialUnusable:
        return CredentialUnusable(f"{path} {detail}", path=str(path), problem=problem)

    try:
        content = path.read_bytes()
    except OSError as error:
        raise unusable("unreadable", f"cannot be read: {error.strerror}") from error
    load: Callable[[bytes, bytes | None], tuple[Any, x509.Certificate | None]]
    load = _load_pem if b"-----BEGIN" in content else _load_pfx
    try:
        key, certificate = load(content, password)
    except TypeError as error:  # a password for a key without one, or none for a key that has one
        raise unusable("password", f"and the password do not fit: {error}") from error
    except ValueError as error:
        problem = "password" if _is_encrypted(content) else "format"
        raise unusable(problem, f"cannot be read with this password: {error}") from error
    if not isinstance(key, RSAPrivateKey) or certificate is None:
        raise unusable("format", "should hold an RSA private key and its certificate")
    if certificate.public_key() != key.public_key():
        raise unusable("format", "holds a certificate and a private key that do not belong together")
    return key, certificate


def _load_pem(content: bytes, password: bytes | None) -> tuple[Any, x509.Certificate | None]:
    return load_pem_private_key(content, password), x509.load_pem_x509_certificate(content)


def _load_pfx(content: bytes, password: bytes | None) -> tuple[Any, x509.Certificate | None]:
    key, certificate, _ = pkcs12.load_key_and_certificates(content, password)
    return key, certificate


def _is_encrypted(content: bytes) -> bool:
    if b"-----BEGIN" in content:
        return b"ENCRYPTED" in content
    return content[:1] == b"\x30"  # a PFX file begins as an ASN.1 sequence


def _end(certificate: x509.Certificate) -> datetime:
    try:
        return certificate.not_valid_after_utc
    except AttributeError:  # cryptography < 42
        return certificate.not_valid_after.replace(tzinfo=timezone.utc)
