"""Access tokens as the web APIs check them."""

import base64
import json
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from ..authorities.microsoft import API_CONTEXT
from ..state import TenantState


class TokenRefused(Exception):
    """The token is not an access token for this API. `str(refused)` says why."""


def checked_claims(tenant: TenantState, token: str, *audiences: str) -> dict[str, Any]:
    """The claims of an access token for one of the APIs with these client IDs. Raises TokenRefused."""
    registry = jwt.JWTClaimsRegistry(
        now=lambda: int(tenant.clock.now()),
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
        sub={"essential": True},
    )
    try:
        claims = tenant.keys.verify(token)
    except (JoseError, ValueError) as error:
        raise TokenRefused("No published key of the tenant has signed the access token.") from error
    if claims.get("aud") not in audiences:
        wanted = " or ".join(audiences)
        raise TokenRefused(f"The access token has the audience {claims.get('aud')}. This API's is {wanted}.")
    if not _is_from_here(tenant, claims):
        raise TokenRefused(f"The access token has the issuer {claims.get('iss')}, which is not this tenant.")
    try:
        registry.validate(claims)
    except (JoseError, ValueError) as error:
        raise TokenRefused("The access token has expired, or it lacks a claim.") from error
    return claims


def _is_from_here(tenant: TenantState, claims: dict[str, Any]) -> bool:
    """Whether the tenant issued the token, under any of its host names."""
    same_place = claims | {"iss": tenant.authority.origins.here(str(claims.get("iss")))}
    return tenant.authority.is_issuer_of(claims) or tenant.authority.is_issuer_of(same_place)


def insufficient_claims(tenant: TenantState, claims: dict[str, Any]) -> str:
    """The challenge for a token without the authentication context that the API wants. "" if it has it.

    Source: Microsoft Learn, "Claims challenges, claims requests, and client capabilities".
    """
    if not tenant.options.api_challenge or API_CONTEXT in claims.get("acrs", []):
        return ""
    wanted = {"access_token": {"acrs": {"essential": True, "value": API_CONTEXT}}}
    encoded = base64.b64encode(json.dumps(wanted).encode()).decode()
    authorization_uri = f"{tenant.authority.origins.pages}/common/oauth2/v2.0/authorize"
    return (
        f'Bearer realm="", authorization_uri="{authorization_uri}", error="insufficient_claims", '
        f'claims="{encoded}"'
    )
