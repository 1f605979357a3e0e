"""The token endpoint.

It is a checklist in B2C's order, with the errors of the tenant's kind. An OAuth library would have to be
overridden at almost every step to get there.
"""

from dataclasses import replace

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from ..authorities.base import Tokens
from ..authorities.refusals import Reason, Refused
from ..model.accounts import Account
from ..model.grants import Grant, Ticket
from ..model.registrations import AppRegistration, UserFlow
from ..model.signing import half_hash
from ..state import TenantState
from .clients import authenticated_client, required
from .direct_grants import client_credentials_response, password_grant
from .exchange import current_exchange
from .issue import issue_access_token, issue_id_token
from .pkce import check_verifier

SPA_REFRESH_SECONDS = 24 * 3600  # from the sign-in on, however often the app refreshes


def token() -> ResponseReturnValue:
    exchange = current_exchange()
    tenant = exchange.tenant
    try:
        if _asks_for_app_token(tenant, exchange.user_flow):
            return jsonify(client_credentials_response(tenant, exchange.user_flow))
        grant, scopes = _checked_request(tenant, exchange.user_flow)
    except Refused as refused:
        members, status = tenant.authority.token_error(exchange.note_refusal(refused))
        return jsonify(members), status
    tokens = _issue_tokens(tenant, grant, scopes)
    asks_client_info = request.form.get("client_info") == "1"
    return jsonify(tenant.authority.token_response(grant, scopes, tokens, client_info=asks_client_info))


def _asks_for_app_token(tenant: TenantState, user_flow: UserFlow) -> bool:
    is_asked = request.method == "POST" and request.form.get("grant_type") == "client_credentials"
    return is_asked and tenant.authority.has_direct_grants and user_flow.kind != "ropc"


def _checked_request(tenant: TenantState, user_flow: UserFlow) -> tuple[Grant, tuple[str, ...]]:
    """The grant that the request redeems, and the scopes for it. Raises Refused."""
    if request.method != "POST":
        raise Refused(Reason.GET_REFUSED)
    form = request.form
    grant_type = required(form, "grant_type")
    if grant_type == "password" and user_flow.kind == "ropc":
        return password_grant(tenant, user_flow)
    if grant_type == "authorization_code":
        code, redirect_uri = required(form, "code"), required(form, "redirect_uri")
        app = authenticated_client(tenant)
        ticket = _usable(tenant, app, user_flow, tenant.codes.find(code), Reason.CODE_EXPIRED)
        _check_code(tenant, app, ticket.grant, redirect_uri)
        account = _check_account(tenant, ticket.grant)
        scopes = tenant.authority.redeemed_scopes(form.get("scope", ""), ticket.grant, account)
        reusable, used = tenant.options.code_reuse, Reason.CODE_USED
    elif grant_type == "refresh_token":
        refresh_token = required(form, "refresh_token")
        app = authenticated_client(tenant)
        is_spa = app.type == "spa"
        expired = Reason.REFRESH_TOKEN_OF_SPA_EXPIRED if is_spa else Reason.REFRESH_TOKEN_EXPIRED
        ticket = _usable(tenant, app, user_flow, tenant.refresh_tokens.find(refresh_token), expired)
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
    tenant: TenantState, app: AppRegistration, user_flow: UserFlow, ticket: Ticket | None, expired: Reason
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


def _check_code(tenant: TenantState, app: AppRegistration, grant: Grant, redirect_uri: str) -> None:
    if redirect_uri != grant.redirect_uri:
        raise Refused(Reason.REDIRECT_URI_CHANGED, redirect_uri=redirect_uri, client_id=grant.client_id)
    if app.type == "spa" and not grant.code_challenge:
        raise Refused(Reason.CHALLENGE_MISSING)
    if tenant.options.pkce:
        check_verifier(request.form.get("code_verifier", ""), grant)


def _check_account(tenant: TenantState, grant: Grant) -> Account:
    account = tenant.accounts.find_by_sub(grant.sub)
    if not account:
        raise Refused(Reason.ACCOUNT_GONE)
    if account.locked:
        raise Refused(Reason.ACCOUNT_DISABLED)
    if grant.issued_at < account.tokens_valid_from:
        raise Refused(Reason.GRANT_REVOKED)
    return account


def _issue_tokens(tenant: TenantState, grant: Grant, scopes: tuple[str, ...]) -> Tokens:
    access_token, id_token, refresh_token, lifetime = issue_access_token(tenant, grant, scopes), None, "", 0
    if "openid" in scopes:
        hashes = {}
        if access_token and tenant.authority.HASHES_ACCESS_TOKENS:
            hashes["at_hash"] = half_hash(access_token)
        id_token = issue_id_token(tenant, grant, scopes, access_token, hashes)
    if "offline_access" in scopes:
        lifetime = _refresh_lifetime(tenant, grant)
        refresh_token = tenant.refresh_tokens.issue(grant, lifetime).value
    return Tokens(access_token or "", id_token or "", refresh_token, lifetime)


def _refresh_lifetime(tenant: TenantState, grant: Grant) -> int:
    """How long a refresh token is good for, in seconds."""
    app, lifetime = tenant.apps.find(grant.client_id), tenant.options.refresh_token_lifetime
    if not app or app.type != "spa":
        return lifetime
    since_sign_in = int(tenant.clock.now() - grant.issued_at)
    return min(lifetime, SPA_REFRESH_SECONDS - since_sign_in)
