"""The token endpoint.

It is a checklist in B2C's order, with the errors of the tenant's kind. An OAuth library would have to be
overridden at almost every step to get there.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import replace

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from ..authorities.base import Reason, Refused
from ..model.accounts import Account
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
    except Refused as refused:
        members, status = tenant.authority.token_error(exchange.note_refusal(refused))
        return jsonify(members), status
    tokens = _issue_tokens(tenant, grant, scopes)
    asks_client_info = request.form.get("client_info") == "1"
    return jsonify(tenant.authority.token_response(grant, scopes, tokens, client_info=asks_client_info))


def _checked_request(tenant: TenantState, user_flow: UserFlow) -> tuple[Grant, tuple[str, ...]]:
    """The grant that the request redeems, and the scopes for it. Raises Refused."""
    if request.method != "POST":
        raise Refused(Reason.GET_REFUSED)
    form = request.form
    grant_type = _required(form, "grant_type")
    if grant_type == "authorization_code":
        code, redirect_uri = _required(form, "code"), _required(form, "redirect_uri")
        _authenticate_client(tenant)
        ticket = _usable(tenant, user_flow, tenant.codes.find(code))
        _check_code(tenant, ticket, redirect_uri)
        account = _check_account(tenant, ticket.grant)
        scopes = tenant.authority.redeemed_scopes(form.get("scope", ""), ticket.grant, account)
        reusable, used = tenant.options.code_reuse, Reason.CODE_USED
    elif grant_type == "refresh_token":
        refresh_token = _required(form, "refresh_token")
        _authenticate_client(tenant)
        found = tenant.refresh_tokens.find(refresh_token)
        ticket = _usable(tenant, user_flow, found, Reason.REFRESH_TOKEN_EXPIRED)
        account = _check_account(tenant, ticket.grant)
        scopes = tenant.authority.refreshed_scopes(form.get("scope", ""), ticket.grant, account)
        reusable, used = tenant.options.refresh_token_reuse, Reason.GRANT_REVOKED
    else:
        raise Refused(Reason.GRANT_TYPE_UNSUPPORTED, value=grant_type)
    tenant.authority.check_contexts(form.get("claims", ""), ticket.grant)
    if not ticket.redeem() and not reusable:
        raise Refused(used)
    return replace(ticket.grant, claims=tenant.authority.current_claims(ticket.grant, account)), scopes


def _required(form: MultiDict[str, str], name: str) -> str:
    if not form.get(name):
        raise Refused(Reason.PARAMETER_MISSING, name=name)
    return form[name]


def _authenticate_client(tenant: TenantState) -> None:
    """Check the client ID and secret, from the form or from the header of HTTP Basic authentication."""
    header = request.authorization
    if header and header.type == "basic":
        client_id, secret = header.username or "", header.password or ""
    else:
        client_id, secret = _required(request.form, "client_id"), request.form.get("client_secret", "")
    if client_id != tenant.app.client_id:
        raise Refused(Reason.CLIENT_UNKNOWN, client_id=client_id, tenant=tenant.authority.guid)
    if not secret:
        raise Refused(Reason.SECRET_MISSING)
    if not tenant.app.has_secret(secret):
        raise Refused(Reason.SECRET_WRONG)


def _usable(
    tenant: TenantState, user_flow: UserFlow, ticket: Ticket | None, expired: Reason = Reason.CODE_EXPIRED
) -> Ticket:
    """The ticket, if this user flow issued it and it has not expired. Raises Refused."""
    now = tenant.clock.now()
    if not ticket or ticket.grant.client_id != tenant.app.client_id:
        raise Refused(Reason.GRANT_UNREADABLE)
    if ticket.grant.user_flow != user_flow:
        actual, expected = ticket.grant.user_flow.name, user_flow.name
        raise Refused(Reason.GRANT_OF_OTHER_FLOW, actual=actual, expected=expected)
    if now > ticket.expires_at:
        issued, expires = int(ticket.issued_at), int(ticket.expires_at)
        raise Refused(expired, now=int(now), issued=issued, expires=expires)
    return ticket


def _check_code(tenant: TenantState, ticket: Ticket, redirect_uri: str) -> None:
    grant, verifier = ticket.grant, request.form.get("code_verifier", "")
    if redirect_uri != grant.redirect_uri:
        raise Refused(Reason.REDIRECT_URI_UNREGISTERED, redirect_uri=redirect_uri, client_id=grant.client_id)
    if not tenant.options.pkce or not (grant.code_challenge or verifier):
        return
    # RFC 9700, section 4.8.2: a verifier without a challenge is an attempt at a PKCE downgrade.
    if not grant.code_challenge or not PKCE_VALUE.fullmatch(verifier):
        raise Refused(Reason.VERIFIER_MALFORMED)
    if grant.code_challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not secrets.compare_digest(verifier, grant.code_challenge):
        raise Refused(Reason.VERIFIER_WRONG)


def _check_account(tenant: TenantState, grant: Grant) -> Account:
    account = tenant.accounts.find_by_sub(grant.sub)
    if not account:
        raise Refused(Reason.ACCOUNT_GONE)
    if account.locked:
        raise Refused(Reason.ACCOUNT_DISABLED)
    if grant.issued_at < account.tokens_valid_from:
        raise Refused(Reason.GRANT_REVOKED)
    return account


def _issue_tokens(tenant: TenantState, grant: Grant, scopes: tuple[str, ...]) -> dict[str, str]:
    tokens = {}
    audience = tenant.authority.audience(scopes)
    if audience:
        claims = tenant.authority.access_token_claims(grant, scopes, audience)
        tokens["access_token"] = tenant.keys.sign(claims, tenant.authority.signing_key(tenant.keys, grant))
    if "openid" in scopes:
        id_token = _id_token(tenant, grant, scopes, tokens.get("access_token"))
        if id_token is not None:
            tokens["id_token"] = id_token
    if "offline_access" in scopes:
        lifetime = tenant.options.refresh_token_lifetime
        tokens["refresh_token"] = tenant.refresh_tokens.issue(grant, lifetime).value
    return tokens


def _id_token(
    tenant: TenantState, grant: Grant, scopes: tuple[str, ...], access_token: str | None
) -> str | None:
    """A signed ID token, or what the `id_token` fault puts in its place. None leaves it out."""
    claims = tenant.authority.id_token_claims(grant, scopes, access_token)
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
        return forge(changed(claims, fault), tenant.keys, key, fault, tenant.options.client_secret)
    return tenant.last_id_token
