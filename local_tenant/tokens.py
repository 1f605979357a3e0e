"""Claims of the tokens, and the token response in B2C's two families."""

import json

from authlib.oidc.core.grants.util import create_half_hash

from .faults import changed
from .model import OIDC_SCOPES
from .scopes import resource_of
from .signing import base64url, forge


def _common(tenant, grant, audience, lifetime):
    now = int(tenant.clock.now())
    claim = tenant.options.policy_claim
    policy = grant.user_flow.name if claim == "tfp" else grant.user_flow.name.lower()
    return {
        "exp": now + lifetime,
        "nbf": now,
        "ver": "1.0",
        "iss": tenant.issuer(grant.user_flow),
        "sub": grant.sub,
        "aud": audience,
        **({"nonce": grant.nonce} if grant.nonce else {}),
        "iat": now,
        **grant.claims,
        claim: policy,
    }


def access_token(tenant, grant, scopes):
    """A signed access token for the API the scopes belong to."""
    audience, short_names = resource_of(tenant, scopes)
    claims = _common(tenant, grant, audience, tenant.options.access_token_lifetime)
    if short_names:
        claims["scp"] = " ".join(short_names)
    claims["azp"] = grant.client_id
    return tenant.keys.sign(claims)


def id_token(tenant, grant, access_token):
    """A signed ID token, or what the `id_token` fault puts in its place (None: nothing at all)."""
    claims = _common(tenant, grant, grant.client_id, tenant.options.id_token_lifetime)
    claims["auth_time"] = grant.auth_time
    if access_token:
        claims["at_hash"] = create_half_hash(access_token, "RS256").decode()
    fault = tenant.faults.take("id_token")
    before, tenant.last_id_token = tenant.last_id_token, tenant.keys.sign(claims)
    if fault.get("omit"):
        return None
    if fault.get("replay") and before:
        return before
    if fault.get("access_token"):
        return access_token
    if "raw" in fault:
        return fault["raw"]
    if fault:
        return forge(changed(claims, fault), tenant.keys, fault, tenant.options.client_secret)
    return tenant.last_id_token


def response(tenant, grant, scopes, tokens, asked_client_info):
    """The token response's members in B2C's order; `tokens` holds those that were issued."""
    now, options = int(tenant.clock.now()), tenant.options
    answer = {name: tokens[name] for name in ("access_token", "id_token") if tokens.get(name)}
    answer |= {"token_type": "Bearer", "not_before": now}
    if "access_token" in answer:
        answer["expires_in"] = options.access_token_lifetime
        answer["expires_on"] = now + options.access_token_lifetime
        answer["resource"] = resource_of(tenant, scopes)[0]
    answer |= (
        _msal_family(tenant, grant, scopes) if asked_client_info else _other_family(tenant, grant, scopes)
    )
    if not asked_client_info and "id_token" in answer:
        answer["id_token_expires_in"] = options.id_token_lifetime
    if "refresh_token" in tokens:
        answer["refresh_token"] = tokens["refresh_token"]
        answer["refresh_token_expires_in"] = options.refresh_token_lifetime
    return answer


def client_info(tenant, grant):
    """Who signed in, in the form MSAL keys its accounts by: one account per person and user flow."""
    uid = f"{grant.sub}-{grant.user_flow.name.lower()}"
    return _json_segment({"uid": uid, "utid": tenant.guid})


def _msal_family(tenant, grant, scopes):
    resource_scopes = [name for name in scopes if name not in OIDC_SCOPES]
    return {"client_info": client_info(tenant, grant), "scope": " ".join(resource_scopes)}


def _other_family(tenant, grant, scopes):
    profile = {
        "ver": "1.0",
        "tid": tenant.guid,
        "sub": None,
        "name": grant.claims["name"],
        "preferred_username": None,
        "idp": "LocalAccount",
    }
    return {"profile_info": _json_segment(profile), "scope": " ".join(scopes)}


def _json_segment(value):
    return base64url(json.dumps(value, separators=(",", ":")).encode())
