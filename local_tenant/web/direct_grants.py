"""Grants without an authorization request: a person's password, and the app's own secret.

Sources: Microsoft Learn, "Set up a resource owner password credentials flow in Azure Active Directory B2C",
"Set up OAuth 2.0 client credentials flow in Azure Active Directory B2C".
"""

import uuid

from flask import request

from ..authorities.base import Tokens
from ..authorities.refusals import Reason, Refused
from ..model.accounts import FormError
from ..model.grants import Grant, Session
from ..model.registrations import AppRegistration, UserFlow
from ..state import TenantState
from .clients import authenticated_client, required
from .issue import issue_access_token

# A response to client credentials is about no person and has no other members.
APP_MEMBERS = ("access_token", "token_type", "not_before", "expires_in", "expires_on", "resource")


def password_grant(tenant: TenantState, user_flow: UserFlow) -> tuple[Grant, tuple[str, ...]]:
    """The grant for a person's name and password, and its scopes. Raises Refused."""
    form = request.form
    email, password, scope = (required(form, name) for name in ("username", "password", "scope"))
    app = authenticated_client(tenant)
    if app.type == "spa":
        raise Refused(Reason.PASSWORD_GRANT_NOT_ALLOWED)
    scopes = tenant.authority.authorized_scopes(scope, app.client_id)
    try:
        account = tenant.accounts.authenticate(email, password)
    except FormError as error:
        raise Refused(Reason.PASSWORD_WRONG) from error
    session = Session(account, int(tenant.clock.now()), 0)
    claims = tenant.authority.account_claims(account, session, new_user=False)
    return _new_grant(tenant, app, user_flow, account.sub, scopes, claims), scopes


def client_credentials_response(tenant: TenantState, user_flow: UserFlow) -> dict[str, object]:
    """The response with an access token for the app itself. Raises Refused."""
    scope = required(request.form, "scope")
    app = authenticated_client(tenant)
    if app.is_public:
        raise Refused(Reason.SECRET_MISSING)
    scopes = tenant.authority.default_scopes(scope, app.client_id)
    # The object ID of the app's service principal
    subject = str(uuid.uuid5(uuid.UUID(tenant.authority.guid), app.client_id))
    grant = _new_grant(tenant, app, user_flow, subject, scopes, {})
    tokens = Tokens(access_token=issue_access_token(tenant, grant, scopes) or "")
    response = tenant.authority.token_response(grant, scopes, tokens, client_info=True)
    return {name: response[name] for name in APP_MEMBERS}


def _new_grant(
    tenant: TenantState,
    app: AppRegistration,
    user_flow: UserFlow,
    subject: str,
    scopes: tuple[str, ...],
    claims: dict[str, object],
) -> Grant:
    now = tenant.clock.now()
    return Grant(
        user_flow=user_flow,
        client_id=app.client_id,
        redirect_uri="",
        scopes=scopes,
        nonce=None,
        sub=subject,
        auth_time=int(now),
        claims=claims,
        code_challenge=None,
        code_challenge_method="plain",
        issued_at=now,
    )
