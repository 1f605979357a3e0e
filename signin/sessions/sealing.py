"""Encryption of everything that is kept outside this process: records in the store, and cookies."""

import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CLOCK_SKEW = 300  # seconds that the clock of another machine may be ahead
TIME, NONCE = 8, 12  # bytes in front of the ciphertext


class Seal:
    """Authenticated encryption under the first of `keys`. The others still open what they have sealed.

    AES-GCM takes half of Fernet's time, and every page opens a record. Its nonces are random: by NIST SP
    800-38D (section 8.3) one key is good for 2**32 messages, which is 136 years of one message a second.
    """

    def __init__(self, keys: Sequence[str]):
        self._ciphers = [AESGCM(_derived(key, b"signin sealed record 2")) for key in keys]
        self._digest_keys = [_derived(key, b"signin digest") for key in keys]

    def seal(self, name: str, value: Any) -> str:
        """Encrypt `value`, which JSON can hold, to be opened under this `name` only. Printable ASCII."""
        sealed_at, nonce = int(time.time()).to_bytes(TIME, "big"), os.urandom(NONCE)
        text = json.dumps(value, separators=(",", ":")).encode()
        ciphertext = self._ciphers[0].encrypt(nonce, text, sealed_at + name.encode())
        return urlsafe_b64encode(sealed_at + nonce + ciphertext).decode()

    def unseal(self, name: str, sealed: str | bytes | None, max_age: int | None = None) -> Any:
        """Return what was sealed under `name`; None if it is missing, damaged or foreign.

        With `max_age`, also None if it was sealed more than that many seconds ago.
        """
        try:
            raw = urlsafe_b64decode(sealed or b"")
        except ValueError:  # not ASCII, or not Base64
            return None
        sealed_at, nonce, ciphertext = raw[:TIME], raw[TIME : TIME + NONCE], raw[TIME + NONCE :]
        if len(nonce) < NONCE:
            return None
        age = time.time() - int.from_bytes(sealed_at, "big")
        if max_age is not None and not -CLOCK_SKEW <= age <= max_age:
            return None
        bound_to = sealed_at + name.encode()
        for cipher in self._ciphers:
            try:
                return json.loads(cipher.decrypt(nonce, ciphertext, bound_to))
            except InvalidTag:
                continue
        return None

    def digests(self, text: str) -> list[str]:
        """What stands for `text` in a name, under each key. Nobody can guess it without a key."""
        return [hmac.digest(key, text.encode(), "sha256").hex() for key in self._digest_keys]


def _derived(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=purpose).derive(key.encode())
