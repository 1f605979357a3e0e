"""Which ID tokens are believed (OpenID Connect Core section 3.1.3.7, and each kind of provider's own rules).

MSAL only compares the nonce: it decodes ID tokens without checking them.
"""

import json
import time
from typing import Any

import jwt
from jwt.utils import base64url_decode

from .claims import printable_claims, short
from .errors import TokenRefused
from .metadata import Authority
from .providers import Provider

CLOCK_SKEW = 300  # seconds; what Microsoft's own stack allows (TokenValidationParameters.ClockSkew)

SIGNATURES = jwt.PyJWS(algorithms=["RS256"])

UNREADABLE = (jwt.PyJWTError, TypeError, ValueError, AttributeError, RecursionError)


def check_id_token(
    id_token: object, provider: Provider, authority: Authority, user_flow: str, client_id: str
) -> dict[str, Any]:
    """The claims of `id_token`, which came from the token endpoint.

    Everything is checked but the nonce: MSAL does that at sign-in, and a refreshed token need not have one.
    Raises TokenRefused, whose `check` names what failed; AccessBlocked; ProviderUnavailable or SetupFault
    if the keys cannot be fetched.
    """
    if not isinstance(id_token, str):
        raise TokenRefused("there is no ID token", check="id_token")
    # The key that the header names. Nothing else in the header is believed.
    try:
        key_id = json.loads(base64url_decode(id_token.partition(".")[0])).get("kid")
    except UNREADABLE as error:
        raise TokenRefused(f"the ID token's header cannot be read: {short(error)}", check="header") from error
    key = authority.signing_key(key_id)
    # The signature.
    claims = _verified_claims(id_token, key.key)
    # The issuer, and whether the key is one of this issuer's.
    metadata_issuer = authority.metadata["issuer"]
    if not isinstance(claims.get("iss"), str):
        raise TokenRefused("the ID token has no iss", check="iss")
    if claims["iss"] != provider.token_issuer(metadata_issuer, claims):
        raise TokenRefused(f"the ID token comes from {claims['iss']!r}", check="iss")
    if not provider.key_issuer_fits(key.issuer, claims):
        raise TokenRefused(
            f"the key is one of {key.issuer!r}, and not of {claims['iss']!r}", check="key_issuer"
        )
    # The audience: this client and no other.
    if claims.get("aud") not in (client_id, [client_id]):
        raise TokenRefused(f"the ID token is for {claims.get('aud')!r}", check="aud")
    if "azp" in claims and claims["azp"] != client_id:
        raise TokenRefused(f"the ID token was issued to {claims['azp']!r}", check="azp")
    # The times.
    _check_times(claims, requires_nbf=provider.requires_nbf)
    # The user.
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise TokenRefused("the ID token has no sub", check="sub")
    # What this kind of provider adds: tenant, user flow.
    provider.check_claims(claims, metadata_issuer, user_flow)
    return printable_claims(claims)


def _verified_claims(id_token: str, key: Any) -> dict[str, Any]:
    try:
        payload = SIGNATURES.decode(id_token, key, algorithms=["RS256"])
        claims = json.loads(payload)
    except UNREADABLE as error:
        raise TokenRefused(f"the signature is not valid: {short(error)}", check="signature") from error
    if not isinstance(claims, dict):
        raise TokenRefused("the ID token holds no claims", check="claims")
    return claims


def _check_times(claims: dict[str, Any], *, requires_nbf: bool) -> None:
    names = ["exp", "iat"] + (["nbf"] if requires_nbf or "nbf" in claims else [])
    for name in names:
        if type(claims.get(name)) is not int:
            raise TokenRefused(f"the ID token's {name} is {claims.get(name)!r}", check=name)
    now = time.time()
    if claims["exp"] <= now - CLOCK_SKEW:
        raise TokenRefused("the ID token has expired", check="exp")
    for name in names[1:]:
        if claims[name] > now + CLOCK_SKEW:
            raise TokenRefused(f"the ID token's {name} is in the future", check=name)
