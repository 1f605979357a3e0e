"""The UserInfo endpoint of Azure AD B2C. Real user flows have none, custom policies can.

Source: Microsoft Learn, "UserInfo endpoint" of Azure AD B2C.
"""

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from ..model.grants import Session
from .bearer import TokenRefused, checked_claims
from .endpoints import unknown_authority
from .exchange import current_exchange


def userinfo() -> ResponseReturnValue:
    """What the user flow says about the person whose access token the request has."""
    exchange = current_exchange()
    tenant, header = exchange.tenant, request.authorization
    if not exchange.named_address or not exchange.user_flow.userinfo:
        return unknown_authority(tenant)
    audiences = [app.client_id for app in tenant.apps] + [api.client_id for api in tenant.authority.apis]
    if not header or header.type != "bearer":
        # A request without a token gets a challenge without an error code (RFC 6750, section 3.1).
        exchange.note_error("The request has no bearer token.")
        return "", 401, {"WWW-Authenticate": "Bearer"}
    try:
        claims = checked_claims(tenant, header.token or "", *audiences)
    except TokenRefused as refused:
        return _refuse(str(refused))
    account = tenant.accounts.find_by_sub(claims["sub"]) if "azp" in claims else None
    if not account or not tenant.authority.is_of_user_flow(claims, exchange.user_flow):
        return _refuse("The token is not a user's access token from this user flow.")
    session = Session(account, auth_time=0, used_at=0)
    about_person = tenant.authority.account_claims(account, session, new_user=False)
    return jsonify(sub=account.sub, **exchange.user_flow.returned(about_person))


def _refuse(description: str) -> ResponseReturnValue:
    current_exchange().note_error(description, error="invalid_token")
    return {"error": "invalid_token"}, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}
