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
TIME, SALT, NONCE = 8, 16, 12  # bytes in front of the ciphertext
HEADER = TIME + SALT + NONCE


class Seal:
    """Authenticated encryption under the first of `keys`. The others still open what they have sealed.

    AES-GCM takes half of Fernet's time, and every page opens a record. NIST SP 800-38D (section 8.3) limits
    how many messages with random nonces one key may encrypt. Strangers cause messages too, because a pending
    sign-in is one. So each message has a key of its own, derived from a random salt.
    """

    def __init__(self, keys: Sequence[str]):
        self._keys = [_derived(key, b"signin sealed record 2") for key in keys]
        self._digest_keys = [_derived(key, b"signin digest") for key in keys]

    def seal(self, name: str, value: Any) -> str:
        """Encrypt `value`, which JSON can hold, to be opened under this `name` only. Printable ASCII."""
        text = json.dumps(value, separators=(",", ":"))
        return urlsafe_b64encode(self.seal_bytes(name, text.encode())).decode()

    def unseal(self, name: str, sealed: str | bytes | None, max_age: int | None = None) -> Any:
        """Return what `seal` has sealed under `name`; None if it is missing, damaged or foreign.

        With `max_age`, also None if it was sealed more than that many seconds ago.
        """
        try:
            raw = urlsafe_b64decode(sealed or b"")
        except ValueError:  # not ASCII, or not Base64
            return None
        text = self.unseal_bytes(name, raw, max_age)
        return None if text is None else json.loads(text)

    def seal_bytes(self, name: str, content: bytes) -> bytes:
        """Encrypt `content`, to be opened under this `name` only."""
        header = int(time.time()).to_bytes(TIME, "big") + os.urandom(SALT + NONCE)
        ciphertext = _cipher(self._keys[0], header).encrypt(_nonce(header), content, header + name.encode())
        return header + ciphertext

    def unseal_bytes(self, name: str, sealed: bytes | None, max_age: int | None = None) -> bytes | None:
        """Return what `seal_bytes` has sealed under `name`, or None, as `unseal` does."""
        if sealed is None:
            return None
        header, ciphertext = sealed[:HEADER], sealed[HEADER:]
        if len(header) < HEADER:
            return None
        if max_age is not None:
            age = time.time() - int.from_bytes(header[:TIME], "big")
            if not -CLOCK_SKEW <= age <= max_age:
                return None
        for key in self._keys:
            try:
                return _cipher(key, header).decrypt(_nonce(header), ciphertext, header + name.encode())
            except InvalidTag:
                continue
        return None

    def digests(self, text: str) -> list[str]:
        """What stands for `text` in a name, under each key. Nobody can guess it without a key."""
        return [hmac.digest(key, text.encode(), "sha256").hex() for key in self._digest_keys]


def _cipher(key: bytes, header: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, header[TIME : TIME + SALT], "sha256"))


def _nonce(header: bytes) -> bytes:
    return header[TIME + SALT :]


def _derived(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=purpose).derive(key.encode())
