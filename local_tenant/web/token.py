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

from ..authorities.base import Reason, Refused
from ..model.accounts import Account
from ..model.grants import Grant, Ticket
from ..model.registrations import AppRegistration, UserFlow
from ..state import TenantState
from .clients import authenticated_client, required
from .exchange import current_exchange
from .issue import issue_access_token, issue_id_token

# RFC 7636, sections 4.1 and 4.2
PKCE_VALUE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def token() -> ResponseReturnValue:
    exchange = current_exchange()
    tenant = exchange.tenant
    try:
        grant, scopes = _checked_request(tenant, exchange.user_flow)
    except Refused as refused:
        members, status = tenant.authority.token_error(tenant.authority.error_for(refused))
        return jsonify(members), status
    tokens = _issue_tokens(tenant, grant, scopes)
    asks_client_info = request.form.get("client_info") == "1"
    return jsonify(tenant.authority.token_response(grant, scopes, tokens, client_info=asks_client_info))


def _checked_request(tenant: TenantState, user_flow: UserFlow) -> tuple[Grant, tuple[str, ...]]:
    """The grant that the request redeems, and the scopes for it. Raises Refused."""
    if request.method != "POST":
        raise Refused(Reason.GET_REFUSED)
    form = request.form
    grant_type = required(form, "grant_type")
    if grant_type == "authorization_code":
        code, redirect_uri = required(form, "code"), required(form, "redirect_uri")
        app = authenticated_client(tenant)
        ticket = _usable(tenant, app, user_flow, tenant.codes.find(code))
        _check_code(tenant, ticket, redirect_uri)
        account = _check_account(tenant, ticket.grant)
        scopes = tenant.authority.redeemed_scopes(form.get("scope", ""), ticket.grant, account)
        reusable, used = tenant.options.code_reuse, Reason.CODE_USED
    elif grant_type == "refresh_token":
        refresh_token = required(form, "refresh_token")
        app = authenticated_client(tenant)
        found = tenant.refresh_tokens.find(refresh_token)
        ticket = _usable(tenant, app, user_flow, found, Reason.REFRESH_TOKEN_EXPIRED)
        account = _check_account(tenant, ticket.grant)
        scopes = tenant.authority.refreshed_scopes(form.get("scope", ""), ticket.grant, account)
        reusable, used = tenant.options.refresh_token_reuse, Reason.GRANT_REVOKED
    else:
        raise Refused(Reason.GRANT_TYPE_UNSUPPORTED, value=grant_type)
    tenant.authority.check_contexts(form.get("claims", ""), ticket.grant)
    if not ticket.redeem() and not reusable:
        raise Refused(used)
    return replace(ticket.grant, claims=tenant.authority.current_claims(ticket.grant, account)), scopes


def _usable(
    tenant: TenantState,
    app: AppRegistration,
    user_flow: UserFlow,
    ticket: Ticket | None,
    expired: Reason = Reason.CODE_EXPIRED,
) -> Ticket:
    """The ticket, if this user flow issued it to this app and it has not expired. Raises Refused."""
    now = tenant.clock.now()
    if not ticket:
        raise Refused(Reason.GRANT_UNREADABLE)
    if ticket.grant.client_id != app.client_id:
        raise Refused(Reason.GRANT_OF_OTHER_APP)
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
    access_token = issue_access_token(tenant, grant, scopes)
    if access_token:
        tokens["access_token"] = access_token
    if "openid" in scopes:
        id_token = issue_id_token(tenant, grant, scopes, access_token)
        if id_token is not None:
            tokens["id_token"] = id_token
    if "offline_access" in scopes:
        lifetime = tenant.options.refresh_token_lifetime
        tokens["refresh_token"] = tenant.refresh_tokens.issue(grant, lifetime).value
    return tokens
