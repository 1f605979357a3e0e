"""The token endpoint.

It is a checklist in B2C's order with B2C's errors. An OAuth library would have to be overridden at almost
every step to get there.
"""

import base64
import hashlib
import re
import secrets

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from ..authorities.b2c_errors import B2CError, error_description
from ..model.grants import Grant, Ticket
from ..model.registrations import UserFlow
from ..model.signing import forge
from ..model.steering import changed
from ..state import TenantState
from .exchange import current_exchange

# RFC 7636, sections 4.1 and 4.2
PKCE_VALUE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def token() -> ResponseReturnValue:
    exchange = current_exchange()
    tenant = exchange.tenant
    try:
        grant, scopes = _checked_request(tenant, exchange.user_flow)
    except B2CError as error:
        description = error_description(error.text, tenant.clock.now())
        return jsonify(error=error.error, error_description=description), 400
    tokens = _issue_tokens(tenant, grant, scopes)
    asks_client_info = request.form.get("client_info") == "1"
    return jsonify(tenant.authority.token_response(grant, scopes, tokens, client_info=asks_client_info))


def _checked_request(tenant: TenantState, user_flow: UserFlow) -> tuple[Grant, tuple[str, ...]]:
    """The grant that the request redeems, and the scopes for it. Raises B2CError."""
    if request.method != "POST":
        raise B2CError("AADB2C90226")
    form = request.form
    grant_type = _required(form, "grant_type")
    if grant_type == "authorization_code":
        code, redirect_uri = _required(form, "code"), _required(form, "redirect_uri")
        _authenticate_client(tenant)
        ticket = _usable(tenant, user_flow, tenant.codes.find(code))
        _check_code(tenant, ticket, redirect_uri)
        scopes, reusable = ticket.grant.scopes, tenant.options.code_reuse
    elif grant_type == "refresh_token":
        refresh_token = _required(form, "refresh_token")
        _authenticate_client(tenant)
        ticket = _usable(tenant, user_flow, tenant.refresh_tokens.find(refresh_token), "sliding window ")
        scopes, reusable = _refreshed_scopes(tenant, ticket), tenant.options.refresh_token_reuse
    else:
        raise B2CError("AADB2C90086", grant_type)
    _check_account(tenant, ticket.grant)
    if not ticket.redeem() and not reusable:
        raise B2CError("AADB2C90129")
    return ticket.grant, scopes


def _required(form: MultiDict[str, str], name: str) -> str:
    if not form.get(name):
        raise B2CError("AADB2C90083", name)
    return form[name]


def _authenticate_client(tenant: TenantState) -> None:
    """Check the client ID and secret, from the form or from the header of HTTP Basic authentication."""
    header = request.authorization
    if header and header.type == "basic":
        client_id, secret = header.username or "", header.password or ""
    else:
        client_id, secret = _required(request.form, "client_id"), request.form.get("client_secret", "")
    if client_id != tenant.app.client_id:
        raise B2CError("AADB2C90018", client_id, tenant.authority.guid)
    if not secret:
        raise B2CError("AADB2C90079")
    if not tenant.app.has_secret(secret):
        raise B2CError("AADB2C90081")


def _usable(tenant: TenantState, user_flow: UserFlow, ticket: Ticket | None, window: str = "") -> Ticket:
    """The ticket, if this user flow issued it and it has not expired. `window` is a part of the error."""
    now = tenant.clock.now()
    if not ticket or ticket.grant.client_id != tenant.app.client_id:
        raise B2CError("AADB2C90090")
    if ticket.grant.user_flow != user_flow:
        raise B2CError("AADB2C90088", ticket.grant.user_flow.name, user_flow.name)
    if now > ticket.expires_at:
        raise B2CError("AADB2C90080", int(now), int(ticket.issued_at), window, int(ticket.expires_at))
    return ticket


def _check_code(tenant: TenantState, ticket: Ticket, redirect_uri: str) -> None:
    grant, verifier = ticket.grant, request.form.get("code_verifier", "")
    if redirect_uri != grant.redirect_uri:
        raise B2CError("AADB2C90006", redirect_uri, grant.client_id)
    if not tenant.options.pkce or not (grant.code_challenge or verifier):
        return
    # RFC 9700, section 4.8.2: a verifier without a challenge is an attempt at a PKCE downgrade.
    if not grant.code_challenge or not PKCE_VALUE.fullmatch(verifier):
        raise B2CError("AADB2C90183")
    if grant.code_challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not secrets.compare_digest(verifier, grant.code_challenge):
        raise B2CError("AADB2C90182")


def _refreshed_scopes(tenant: TenantState, ticket: Ticket) -> tuple[str, ...]:
    wanted = tenant.authority.granted_scopes(request.form.get("scope", ""))
    for scope in wanted:
        if scope not in ticket.grant.scopes:
            raise B2CError("AADB2C90117", scope)
    return wanted or ticket.grant.scopes


def _check_account(tenant: TenantState, grant: Grant) -> None:
    account = tenant.accounts.find_by_sub(grant.sub)
    if not account:
        raise B2CError("AADB2C90128")
    if account.locked or grant.issued_at < account.tokens_valid_from:
        raise B2CError("AADB2C90129")


def _issue_tokens(tenant: TenantState, grant: Grant, scopes: tuple[str, ...]) -> dict[str, str]:
    tokens = {}
    audience = tenant.authority.audience(scopes)
    if audience:
        claims = tenant.authority.access_token_claims(grant, scopes, audience)
        tokens["access_token"] = tenant.keys.sign(claims)
    if "openid" in scopes:
        id_token = _id_token(tenant, grant, tokens.get("access_token"))
        if id_token is not None:
            tokens["id_token"] = id_token
    if "offline_access" in scopes:
        lifetime = tenant.options.refresh_token_lifetime
        tokens["refresh_token"] = tenant.refresh_tokens.issue(grant, lifetime).value
    return tokens


def _id_token(tenant: TenantState, grant: Grant, access_token: str | None) -> str | None:
    """A signed ID token, or what the `id_token` fault puts in its place. None leaves it out."""
    claims = tenant.authority.id_token_claims(grant, access_token)
    previous, tenant.last_id_token = tenant.last_id_token, tenant.keys.sign(claims)
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
        return forge(changed(claims, fault), tenant.keys, fault, tenant.options.client_secret)
    return tenant.last_id_token
