"""Access tokens and ID tokens, as both the authorization and the token endpoint issue them."""

from collections.abc import Mapping

from ..model.grants import Grant
from ..model.signing import forge
from ..model.steering import changed
from ..state import TenantState


def issue_access_token(tenant: TenantState, grant: Grant, scopes: tuple[str, ...]) -> str | None:
    """An access token for the API of these scopes. None if they are of no API."""
    audience = tenant.authority.audience(scopes, grant.client_id)
    if not audience:
        return None
    claims = tenant.authority.access_token_claims(grant, scopes, audience)
    return tenant.keys.sign(claims, tenant.authority.signing_key(tenant.keys, grant))


def issue_id_token(
    tenant: TenantState,
    grant: Grant,
    scopes: tuple[str, ...],
    access_token: str | None,
    hashes: Mapping[str, object],
) -> str | None:
    """A signed ID token, or what the `id_token` fault puts in its place. None leaves it out.

    `hashes` are the claims about what is issued with it.
    """
    claims = {**tenant.authority.id_token_claims(grant, scopes), **hashes}
    key = tenant.authority.signing_key(tenant.keys, grant)
    previous, tenant.last_id_token = tenant.last_id_token, tenant.keys.sign(claims, key)
    fault = tenant.faults.take("id_token")
    if fault.get("omit"):
        return None
    if fault.get("replay") and previous:
        return previous
    if fault.get("access_token"):
        return access_token
    if "raw" in fault:
        return str(fault["raw"])
    if fault:
        return forge(changed(claims, fault), tenant.keys, key, fault, tenant.app.client_secret)
    return tenant.last_id_token
