"""Hashes of passwords, for accounts that outlive the tenant."""

import base64
import hashlib
import secrets

# The cost of one hash: 16 MB and about 40 milliseconds.
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def hashed(password: str) -> str:
    """The salt and the scrypt hash of a password."""
    salt = secrets.token_bytes(16)
    return f"{_text(salt)}${_text(_scrypt(password, salt))}"


def matches(password: str, password_hash: str) -> bool:
    salt, _, digest = (base64.b64decode(part) for part in password_hash.partition("$"))
    return secrets.compare_digest(_scrypt(password, salt), digest)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
