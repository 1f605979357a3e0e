"""The tenant's signing keys: publishing, rotating, signing; and forging, for the tests of whoever checks."""

import base64
import hashlib
import hmac
import json
import secrets
from functools import cached_property

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey


class SigningKey:
    """An RSA key with its kid, a 43-character base64url string as B2C's are."""

    def __init__(self, nbf):
        self.kid = secrets.token_urlsafe(32)
        self.nbf = int(nbf)
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self):
        """The six members B2C publishes, in its order."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kid": self.kid,
            "nbf": self.nbf,
            "use": "sig",
            "kty": "RSA",
            "e": base64url(numbers.e.to_bytes(3, "big")),
            "n": base64url(numbers.n.to_bytes(256, "big")),
        }

    @cached_property
    def joserfc(self):
        return RSAKey.import_key(self.private, {"kid": self.kid})

    def public_pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class KeyRing:
    """The newest key signs; `listed` keys are published."""

    def __init__(self, clock):
        self._clock = clock
        self.keys = [SigningKey(clock.now())]

    @cached_property
    def stranger(self):
        """A key that is never published."""
        return SigningKey(self._clock.now())

    @property
    def current(self):
        return self.keys[0]

    def list_at_least(self, count):
        while len(self.keys) < count:
            self.keys.append(SigningKey(self._clock.now()))

    def rotate(self, keep_old):
        self.keys = [SigningKey(self._clock.now()), *(self.keys if keep_old else [])]

    def jwks(self):
        return {"keys": [key.jwk() for key in self.keys]}

    def sign(self, claims):
        header = {"typ": "JWT", "alg": "RS256", "kid": self.current.kid}
        return jwt.encode(header, claims, self.current.joserfc, algorithms=["RS256"])

    def verify(self, token):
        """The claims of a JWT signed with a published key; raises JoseError or ValueError."""
        published = KeySet([key.joserfc for key in self.keys])
        return jwt.decode(token, published, algorithms=["RS256"]).claims


def forge(claims, keys, fault, client_secret):
    """A JWT that lies in the ways `fault` asks for (see the control API's `id_token` leg)."""
    alg = fault.get("alg", "RS256")
    key = keys.stranger if fault.get("key") == "other" else keys.current
    header = {"typ": "JWT", "alg": None if alg == "null" else alg}
    kid = {"good": keys.current.kid, "unknown": secrets.token_urlsafe(32)}.get(
        fault.get("kid", "good"), fault.get("kid")
    )
    if kid != "absent":
        header["kid"] = kid
    header.update(fault.get("header", {}))
    hs256_key = key.public_pem() if fault.get("hs256_key") == "public_key" else client_secret.encode()
    signed = f"{_segment(header)}.{_segment(claims)}"
    return f"{signed}.{base64url(_signature(alg, signed.encode(), key, hs256_key))}"


def _signature(alg, data, key, hs256_key):
    if alg == "none":
        return b""
    if alg == "HS256":
        return hmac.digest(hs256_key, data, hashlib.sha256)
    if alg == "ES256":
        signer = ec.generate_private_key(ec.SECP256R1())
        r, s = decode_dss_signature(signer.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return key.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


def _segment(value):
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
