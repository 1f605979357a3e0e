"""What the claims of an ID token mean, and how to show them."""

import json
import time
from collections.abc import Iterator
from typing import Any

# Microsoft Learn, "Overview of tokens in Azure AD B2C" and "User profile attributes"; RFC 7519 section 4.1.
CLAIMS = {
    "iss": "Issuer: who issued the token",
    "sub": "Subject: the user's lasting id; use this one to recognise somebody",
    "aud": "Audience: the client id of the app that the token is for",
    "exp": "Expiration time: the token is not accepted from then on",
    "nbf": "Not before: the token is not accepted until then",
    "iat": "Issued at: when the token was issued",
    "auth_time": "When the user last signed in at the tenant",
    "nonce": "Ties the token to the sign-in that asked for it",
    "ver": "Version of the token's format",
    "tfp": "Trust framework policy: the user flow that issued the token",
    "acr": "Authentication context: the user flow that issued the token",
    "oid": "Object id of the user in the directory",
    "tid": "Tenant id",
    "name": "Display name",
    "given_name": "Given name",
    "family_name": "Surname",
    "emails": "The user's e-mail addresses",
    "email": "The user's e-mail address",
    "idp": "Identity provider that the user signed in with",
    "newUser": "Whether the user has only just signed up",
    "isForgotPassword": "Whether the user has just reset a forgotten password",
    "at_hash": "Hash of the access token issued together with this token",
    "c_hash": "Hash of the code issued together with this token",
    "city": "City",
    "country": "Country or region",
    "postalCode": "Postal code",
    "state": "State or province",
    "streetAddress": "Street address",
    "jobTitle": "Job title",
}

# What a token says about itself and not about the user.
PROTOCOL_CLAIMS = {
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "auth_time",
    "nonce",
    "tfp",
    "acr",
    "at_hash",
    "c_hash",
    "ver",
}


def printable(text: str) -> str:
    """`text` without lone surrogates, which JSON may hold and no page can."""
    return text.encode("utf-8", "replace").decode()


def described(claims: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each claim, times as dates."""
    return [(name, _shown(name, value), CLAIMS.get(name, "")) for name, value in claims.items()]


def _shown(name: str, value: Any) -> str:
    if name in ("exp", "nbf", "iat", "auth_time") and isinstance(value, int):
        try:
            return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(value))
        except (OverflowError, ValueError, OSError):  # beyond the calendar
            return str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def display_name(claims: dict[str, Any] | None) -> str:
    """What to call the user; empty when nobody is signed in."""
    if not claims:
        return ""
    return next((name for name in _names(claims) if name and name != "unknown"), "(no name)")


def _names(claims: dict[str, Any]) -> Iterator[str]:
    emails = claims.get("emails")
    for names in (
        [claims.get("name")],
        [claims.get("given_name"), claims.get("family_name")],
        [claims.get("email")],
        emails[:1] if isinstance(emails, list) else [],
    ):
        yield " ".join(name for name in names if isinstance(name, str)).strip()[:80]
