"""RS256 signatures (RFC 7518 section 3.3) with one key."""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256


def b64(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def json_b64(value: object) -> str:
    """Return compact JSON as base64url."""
    return b64(json.dumps(value, separators=(",", ":")).encode())


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


KEY_ID = b64(hashlib.sha256(b"benchmark").digest())


class Signer:
    """Signs and reads JWTs. PyJWT would do it too; this serializes the header once for all tokens."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._header = json_b64({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"})

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a signed JWT."""
        signed = f"{self._header}.{json_b64(claims)}"
        return f"{signed}.{b64(self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this signer has signed; raises ValueError for any other."""
        signed, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), SHA256())
        except InvalidSignature as error:
            raise ValueError("not signed with this key") from error
        claims: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
        return claims

    def key_set(self) -> dict[str, Any]:
        """Return the JWKS in the six fields that B2C gives, without ``alg``."""
        numbers = self._key.public_key().public_numbers()
        n, e = (b64(v.to_bytes((v.bit_length() + 7) // 8, "big")) for v in (numbers.n, numbers.e))
        return {"keys": [{"kid": KEY_ID, "nbf": 1493763266, "use": "sig", "kty": "RSA", "e": e, "n": n}]}
