"""What may be passed on to the provider's pages, and what a web API asks of the next sign-in."""

import base64
import json
import re
from collections.abc import Mapping
from urllib.request import parse_http_list

LONGEST_CLAIMS = 2000  # characters of a claims challenge; it travels in a cookie and in a URL


def checked_hints(given: Mapping[str, str]) -> dict[str, str]:
    """Those of the `given` hints for the provider's pages that are well-formed.

    `prompt=select_account` is for a user whom single sign-on would sign in with the wrong account. Without
    `ui_locales` the pages follow the browser's own Accept-Language. Source: Microsoft Learn, "Set up direct
    sign-in using Azure Active Directory B2C".
    """
    forms = {
        "login_hint": r"[^\x00-\x20\x7f]{1,254}",
        "domain_hint": r"[A-Za-z0-9.-]{1,253}",
        "prompt": "select_account",
        "ui_locales": r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*( [A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*){0,4}",
    }
    return {name: given[name] for name in forms if re.fullmatch(forms[name], given.get(name, ""))}


def claims_challenge(www_authenticate: str) -> str | None:
    """The claims (JSON text) that an API's 401 asks for, or None.

    Source: RFC 6750 section 3; Microsoft Learn, "Claims challenges, claims requests, and client
    capabilities".
    """
    parameters = _bearer_parameters(www_authenticate)
    if parameters.get("error") != "insufficient_claims":
        return None
    encoded = parameters.get("claims", "").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        return checked_claims(decoded.decode())
    except ValueError:  # binascii.Error and UnicodeDecodeError are ValueErrors
        return None


def checked_claims(claims: str) -> str | None:
    """`claims` if it is a JSON object (OpenID Connect Core section 5.5) of at most LONGEST_CLAIMS characters.

    Otherwise None.
    """
    try:
        value = json.loads(claims)
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(value, dict) and len(claims) <= LONGEST_CLAIMS else None


def _bearer_parameters(www_authenticate: str) -> dict[str, str]:
    """The parameters of the first Bearer challenge. A header can hold challenges of several schemes."""
    parameters: dict[str, str] = {}
    scheme = ""
    for item in parse_http_list(www_authenticate):
        begins = re.fullmatch(r"([^\s=\",]+)(?:\s+(?!=)(.*))?", item, re.DOTALL)
        if begins:
            if scheme == "bearer":
                break
            scheme, item = begins[1].lower(), begins[2] or ""
        name, is_parameter, value = item.partition("=")
        if scheme == "bearer" and is_parameter:
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            parameters.setdefault(name.strip().lower(), value)
    return parameters
