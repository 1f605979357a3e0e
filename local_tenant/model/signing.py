"""The tenant's signing keys, and the forged ID tokens with which tests try out an app's checks."""

import base64
import hashlib
import hmac
import json
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from .steering import Clock, Fault


class SpareKeys:
    """RSA keys of tenants that have ended, for those that start after them in this process.

    Making a key takes as long as a whole sign-in. In tests, many tenants come and go.
    """

    def __init__(self) -> None:
        self._keys: deque[rsa.RSAPrivateKey] = deque()

    def take(self) -> rsa.RSAPrivateKey:
        try:
            return self._keys.popleft()  # the one that was given back first
        except IndexError:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def give_back(self, keys: Iterable[rsa.RSAPrivateKey]) -> None:
        self._keys.extend(keys)


spare_keys = SpareKeys()


@dataclass(frozen=True, eq=False)
class SigningKey:
    """An RSA key. `not_before` is in epoch seconds."""

    private: rsa.RSAPrivateKey
    kid: str
    not_before: int

    @classmethod
    def new(cls, not_before: float) -> "SigningKey":
        """A key whose `kid` is a base64url string of 43 characters, as B2C's are."""
        return cls(spare_keys.take(), secrets.token_urlsafe(32), int(not_before))

    @classmethod
    def from_jwk(cls, jwk: dict[str, Any]) -> "SigningKey":
        """The key that `private_jwk` has written. Raises JoseError, LookupError, TypeError or ValueError."""
        private = RSAKey.import_key(jwk).private_key
        if private is None:
            raise ValueError("the JWK is no private key")
        return cls(private, str(jwk["kid"]), int(jwk["nbf"]))

    def private_jwk(self) -> dict[str, Any]:
        return {**self.joserfc.as_dict(private=True), "nbf": self.not_before}

    @cached_property
    def joserfc(self) -> RSAKey:
        return RSAKey.import_key(self.private, {"kid": self.kid})

    def jwk(self) -> dict[str, object]:
        """The six members that B2C publishes, in its order."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kid": self.kid,
            "nbf": self.not_before,
            "use": "sig",
            "kty": "RSA",
            "e": base64url(numbers.e.to_bytes(3, "big")),
            "n": base64url(numbers.n.to_bytes(256, "big")),
        }

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class KeyRing:
    """The signing keys. The first of `keys` signs, and all of them are published.

    `find_key` gets the key of this name: "first", or "personal" for that of personal Microsoft accounts. By
    default, both are new.
    """

    def __init__(self, clock: Clock, find_key: Callable[[str, float], SigningKey] | None = None):
        self._clock, self._find_key = clock, find_key
        self._own: list[SigningKey] = []  # those that no other tenant can have before this one ends
        self.keys = [self._named("first")]

    @property
    def current(self) -> SigningKey:
        return self.keys[0]

    @cached_property
    def stranger(self) -> SigningKey:
        """A key that is not published."""
        return self._new()

    def rotate(self, *, keep_old: bool) -> None:
        self.keys = [self._new(), *(self.keys if keep_old else [])]

    @cached_property
    def personal(self) -> SigningKey:
        """The key of personal Microsoft accounts, where an authority has one. It is not rotated."""
        return self._named("personal")

    def published(self, at_least: int = 1) -> list[SigningKey]:
        while len(self.keys) < at_least:
            self.keys.append(self._new())
        return self.keys

    def close(self) -> None:
        """Leave the keys to other tenants."""
        spare_keys.give_back(key.private for key in self._own)
        self._own = []

    def _named(self, name: str) -> SigningKey:
        return self._find_key(name, self._clock.now()) if self._find_key else self._new()

    def _new(self) -> SigningKey:
        key = SigningKey.new(self._clock.now())
        self._own.append(key)
        return key

    def sign(self, claims: Mapping[str, Any], key: SigningKey | None = None) -> str:
        key = key or self.current
        header = {"typ": "JWT", "alg": "RS256", "kid": key.kid}
        return jwt.encode(header, dict(claims), key.joserfc, algorithms=["RS256"])

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a JWT that a published key has signed. Raises JoseError or ValueError."""
        keys = [*self.keys, self.personal] if "personal" in vars(self) else self.keys
        published = KeySet([key.joserfc for key in keys])
        return jwt.decode(token, published, algorithms=["RS256"]).claims


def forge(
    claims: Mapping[str, Any], keys: KeyRing, good: SigningKey, fault: Fault, client_secret: str
) -> str:
    """A JWT that is wrong in the ways that `fault` asks for. docs/control.md lists them under `id_token`.

    `good` is the key that signs this token when the fault says nothing about keys.
    """
    algorithm = fault.get("alg", "RS256")
    named = keys.personal if fault.get("key") == "personal" else good
    key = keys.stranger if fault.get("key") == "other" else named
    header = {"typ": "JWT", "alg": None if algorithm == "null" else algorithm}
    kid = fault.get("kid", "good")
    if kid != "absent":
        header["kid"] = {"good": named.kid, "unknown": secrets.token_urlsafe(32)}.get(kid, kid)
    header |= fault.get("header", {})
    hs256_key = key.public_pem() if fault.get("hs256_key") == "public_key" else client_secret.encode()
    signed = f"{json_segment(header)}.{json_segment(claims)}"
    return f"{signed}.{base64url(_signature(algorithm, signed.encode(), key, hs256_key))}"


def _signature(algorithm: str, data: bytes, key: SigningKey, hs256_key: bytes) -> bytes:
    if algorithm == "none":
        return b""
    if algorithm == "HS256":
        return hmac.digest(hs256_key, data, hashlib.sha256)
    if algorithm == "ES256":
        signer = ec.generate_private_key(ec.SECP256R1())
        r, s = decode_dss_signature(signer.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return key.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


def json_segment(value: object) -> str:
    """`value` as base64url of compact JSON, like a part of a JWT."""
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def half_hash(value: str) -> str:
    """`at_hash` or `c_hash` of a token or code (OpenID Connect Core, section 3.3.2.11)."""
    return base64url(hashlib.sha256(value.encode()).digest()[:16])


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
