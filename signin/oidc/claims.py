"""What the claims of an ID token mean, and how to show them."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

# Microsoft Learn, "Overview of tokens in Azure AD B2C", "User profile attributes" and "ID token claims
# reference"; RFC 7519 section 4.1; OpenID Connect Core sections 2 and 5.1.
MEANINGS = {
    "iss": "Issuer: who issued the token",
    "sub": "Subject: the user's stable id at this issuer, and at Microsoft for this app",
    "aud": "Audience: the client id of the app that the token is for",
    "azp": "Authorized party: the client id of the app that the token was issued to",
    "exp": "Expiration time: the token is not accepted from then on",
    "nbf": "Not before: the token is not accepted until then",
    "iat": "Issued at: when the token was issued",
    "auth_time": "When the user last signed in at the provider",
    "nonce": "Ties the token to the sign-in that asked for it",
    "ver": "Version of the token's format",
    "tfp": "Trust framework policy: the user flow that issued the token",
    "acr": "Authentication context: how the user was authenticated; at B2C, the user flow",
    "acrs": "Authentication contexts that the sign-in satisfies (Conditional Access)",
    "amr": "Authentication methods: how the user signed in",
    "oid": "Object id of the user in the directory; the same for every app",
    "tid": "Tenant id: the directory that the user signed in to",
    "name": "Display name",
    "given_name": "Given name",
    "family_name": "Surname",
    "middle_name": "Middle name",
    "nickname": "Nickname",
    "preferred_username": "Name to sign in with; it can change, so never an id",
    "upn": "User principal name; it can change, so never an id",
    "emails": "The user's e-mail addresses",
    "email": "The user's e-mail address; it can change, so never an id",
    "email_verified": "Whether the provider has verified the e-mail address",
    "phone_number": "Phone number",
    "picture": "Address of a picture",
    "profile": "Address of a profile page",
    "website": "Address of a website",
    "gender": "Gender",
    "birthdate": "Date of birth",
    "zoneinfo": "Time zone",
    "locale": "Language and region",
    "updated_at": "When the user's details last changed",
    "address": "Postal address",
    "idp": "Identity provider that the user signed in with",
    "sid": "Session id at the provider",
    "login_hint": "For signing out without being asked for the account",
    "rh": "For the provider's own use",
    "uti": "For the provider's own use: the token's id",
    "aio": "For the provider's own use",
    "roles": "App roles that the user has been assigned",
    "groups": "Ids of the groups that the user is a member of",
    "hasgroups": "The user is in more groups than fit into the token",
    "wids": "Ids of the user's administrator roles in the directory",
    "acct": "Kind of account: 0 for a member of the tenant, 1 for a guest",
    "ctry": "Country or region",
    "tenant_ctry": "Country or region of the tenant",
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

# What a token says about itself and the sign-in, and not about the user.
PROTOCOL_CLAIMS = frozenset(
    {"iss", "aud", "azp", "exp", "nbf", "iat", "auth_time", "nonce", "ver", "tfp", "acr", "acrs", "amr"}
    | {"at_hash", "c_hash", "sid", "rh", "uti", "aio"}
)

# What a user may do. An edited profile never changes these.
AUTHORIZATION_CLAIMS = frozenset({"roles", "groups", "hasgroups", "wids", "acct"})

# Microsoft Learn, "Define an OAuth2 or OpenID Connect technical profile in Azure AD B2C" and "ID token claims
# reference": what `idp` holds for accounts of other providers.
IDENTITY_PROVIDERS = {
    "amazon.com": "Amazon",
    "apple.com": "Apple",
    "facebook.com": "Facebook",
    "github.com": "GitHub",
    "google.com": "Google",
    "linkedin.com": "LinkedIn",
    "live.com": "Microsoft (personal account)",
    "mail": "E-mail with a one-time code",
    "sts.windows.net": "Microsoft (work or school account)",
    "twitter.com": "X",
    "login.microsoftonline.com": "Microsoft (work or school account)",
}

TIMES = frozenset({"exp", "nbf", "iat", "auth_time", "updated_at"})
NO_NAME = "(no name)"
LONGEST_NAME = 80  # characters that pages show
# User names that B2C (cpim_) and External ID make from object ids.
GUID_NAME = re.compile(r"(?i)(cpim_)?\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?(@.*)?")
BLANK_SYMBOLS = "\u115f\u1160\u2800\u3164\uffa0"  # Hangul fillers and the empty Braille pattern


def printable(text: str) -> str:
    """`text` without lone surrogates, which JSON may hold and no page can."""
    return text.encode("utf-8", "replace").decode()


def printable_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """`claims` with every text in them made printable."""
    cleaned: dict[str, Any] = json.loads(printable(json.dumps(claims, ensure_ascii=False)))
    return cleaned


def short(error: BaseException) -> str:
    """One line for the log: MSAL and HTTP libraries put whole tokens and URLs into their messages."""
    return f"{type(error).__name__}: {str(error)[:200]!r}"


@dataclass(frozen=True)
class DescribedClaim:
    """A claim for people to read. `time` is there if the claim is a time, and `value` is text otherwise."""

    name: str
    value: str
    meaning: str
    time: datetime | None

    @property
    def is_about_token(self) -> bool:
        """Whether it says something about the token or the sign-in, and nothing about the user."""
        return self.name in PROTOCOL_CLAIMS


def described(claims: Mapping[str, Any]) -> list[DescribedClaim]:
    """Each claim with its meaning; times as times, lists as text."""
    return [
        DescribedClaim(name, _shown(value), MEANINGS.get(name, ""), _time(name, value))
        for name, value in claims.items()
    ]


def _time(name: str, value: Any) -> datetime | None:
    if name not in TIMES or type(value) is not int:
        return None
    try:
        return datetime.fromtimestamp(value, timezone.utc)
    except (OverflowError, ValueError, OSError):  # beyond the calendar
        return None


def _shown(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def display_name(claims: Mapping[str, Any] | None) -> str:
    """What to call the user. Empty when nobody is signed in; never an id."""
    if not claims:
        return ""
    return next((name for parts in _names(claims) if (name := as_name(*parts))), NO_NAME)


def as_name(*parts: object) -> str:
    """These claims as one name. Empty if they hold none.

    Azure AD B2C writes "unknown" for a name that it was not given.
    """
    words = [word for part in parts if isinstance(part, str) for word in part.split() if word != "unknown"]
    name = " ".join(words)[:LONGEST_NAME]
    return name if _is_visible(name) and not GUID_NAME.fullmatch(name) else ""


def _is_visible(text: str) -> bool:
    """Whether there is a letter, number, punctuation mark or symbol in it."""
    return any(unicodedata.category(c)[0] in "LNPS" and c not in BLANK_SYMBOLS for c in text)


def email(claims: Mapping[str, Any]) -> str:
    """The user's e-mail address, for showing and writing to. Empty when the token has none."""
    for value in (claims.get("email"), *_emails(claims), claims.get("preferred_username")):
        if isinstance(value, str) and re.fullmatch(r"[^\s@]+@[^\s@]+", value) and as_name(value):
            return value
    return ""


def identity_provider(claims: Mapping[str, Any]) -> str:
    """Where the account that the user signed in with is kept. Empty when it is the provider's own."""
    idp = claims.get("idp")
    if not isinstance(idp, str) or not idp or "local" in idp.lower():
        return ""
    address = re.match(r"https?://([a-z0-9.-]+)", idp.lower())
    host = address[1] if address else idp.lower()
    known = next((name for domain, name in IDENTITY_PROVIDERS.items() if _is_in(host, domain)), "")
    return known or host[:80]


def _is_in(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _names(claims: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """The claims that may hold the user's name, best first. The parts of one name are together."""
    yield (claims.get("name"),)
    yield claims.get("given_name"), claims.get("family_name")
    for name in ("nickname", "email"):
        yield (claims.get(name),)
    for address in _emails(claims):
        yield (address,)
    for name in ("preferred_username", "upn"):
        yield (claims.get(name),)


def _emails(claims: Mapping[str, Any]) -> list[Any]:
    emails = claims.get("emails")
    return emails if isinstance(emails, list) else []
