"""The userinfo endpoint (OpenID Connect Core section 5.3), for providers whose ID tokens hold no name."""

import logging
from collections.abc import Mapping
from typing import Any

from .claims import PROTOCOL_CLAIMS, printable_claims
from .errors import ProviderUnavailable, TokenRefused
from .http_client import HttpClient
from .metadata import ask, json_object

log = logging.getLogger(__name__)


def with_userinfo(
    claims: dict[str, Any], metadata: Mapping[str, Any], access_token: str | None, http: HttpClient
) -> dict[str, Any]:
    """`claims`, whose `name` is missing or no name, and what userinfo adds to them.

    Userinfo replaces the name, and nothing else that the ID token says.

    Without an answer the user is signed in all the same. Raises TokenRefused when the answer is about
    somebody else (section 5.3.2).
    """
    endpoint = metadata.get("userinfo_endpoint")
    if not endpoint or not access_token:
        return claims
    headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
    try:
        response = ask(http, "GET", endpoint, headers=headers)
        if response.status != 200:
            log.warning("userinfo answered %s", response.status)
            return claims
        userinfo = json_object(response, endpoint)
    except ProviderUnavailable as error:
        log.warning("userinfo: %s", error)
        return claims
    if userinfo.get("sub") != claims["sub"]:
        raise TokenRefused("userinfo is about another sub", check="userinfo")
    added = {name: value for name, value in userinfo.items() if name not in PROTOCOL_CLAIMS}
    kept = {name: value for name, value in claims.items() if name != "name" or name not in added}
    return printable_claims(added) | kept
