"""The checks of authorization requests, in the order of the service."""

from flask import request

from ..authorities.base import Address
from ..authorities.refusals import Reason, Refused
from ..model.grants import Session
from ..model.registrations import AppRegistration, UserFlow
from ..state import TenantState
from .answer import RESPONSE_MODES, TOKEN_RESPONSES, is_shown_on_page, response_types
from .journey import Journey
from .pkce import check_challenge
from .sessions import find_session

LONGEST_MAX_AGE = 2_147_483_647  # seconds


def find_app(tenant: TenantState) -> AppRegistration:
    """The app that sends the person here. Raises Refused."""
    client_id = request.args.get("client_id")
    if not client_id:
        raise Refused(Reason.CLIENT_ID_MISSING)
    app = tenant.apps.find(client_id)
    if not app:
        raise Refused(Reason.CLIENT_UNKNOWN, client_id=client_id, tenant=tenant.authority.guid)
    return app


def check_redirect_uri(tenant: TenantState, app: AppRegistration) -> str:
    """The redirect_uri that answers may go to. Raises Refused if there is none."""
    redirect_uri = request.args.get("redirect_uri")
    if not redirect_uri:
        raise Refused(Reason.REDIRECT_URI_MISSING)
    if app.accepts(redirect_uri):
        return redirect_uri
    unregistered = Refused(
        Reason.REDIRECT_URI_UNREGISTERED, redirect_uri=redirect_uri, client_id=app.client_id
    )
    stays_on_page = is_shown_on_page(tenant, unregistered) or tenant.options.unregistered_redirect == "page"
    if stays_on_page or not app.redirect_uris:
        raise unregistered
    return app.redirect_uris[0]


def begin_journey(tenant: TenantState, address: Address, app: AppRegistration, redirect_uri: str) -> Journey:
    """Check the rest of the authorization request. Raises Refused."""
    args, authority = request.args, tenant.authority
    if args["redirect_uri"] != redirect_uri:
        # B2C has been seen to send this error to a registered redirect_uri.
        raise Refused(
            Reason.REDIRECT_URI_UNREGISTERED,
            redirect_uri=args["redirect_uri"],
            client_id=args["client_id"],
        )
    authority.check_app(address, app.client_id)
    _check_response(tenant, app)
    if not args.get("scope", "").strip():
        raise Refused(Reason.SCOPE_MISSING)
    scopes = authority.authorized_scopes(args["scope"], app.client_id)
    authority.check_response_scopes(response_types(), scopes, app.client_id)
    if "id_token" in response_types() and not args.get("nonce"):
        raise Refused(Reason.PARAMETER_MISSING, name="nonce")
    prompts = authority.check_prompts(args.get("prompt", ""))
    _check_pkce(tenant, app)
    session = _usable_session(tenant, address.user_flow, app, prompts)
    if "none" in prompts and not session:
        raise Refused(Reason.SIGN_IN_NEEDED)
    return Journey(tenant, address, app, redirect_uri, scopes, prompts, session)


def _check_response(tenant: TenantState, app: AppRegistration) -> None:
    types, mode = response_types(), request.args.get("response_mode")
    if types not in [frozenset(known.split()) for known in tenant.authority.RESPONSE_TYPES]:
        raise Refused(Reason.RESPONSE_TYPE_UNSUPPORTED, value=request.args.get("response_type", ""))
    if "id_token" in types and not app.id_tokens:
        raise Refused(Reason.ID_TOKENS_NOT_ALLOWED)
    if "token" in types and not app.access_tokens:
        raise Refused(Reason.ACCESS_TOKENS_NOT_ALLOWED)
    tokens_in_query = mode == "query" and types & TOKEN_RESPONSES
    if mode is not None and (mode not in RESPONSE_MODES or tokens_in_query):
        raise Refused(Reason.RESPONSE_MODE_UNSUPPORTED, value=mode)


def _check_pkce(tenant: TenantState, app: AppRegistration) -> None:
    challenge = request.args.get("code_challenge")
    check_challenge(challenge, request.args.get("code_challenge_method"))
    needs_challenge = app.type == "spa" and "code" in response_types()
    if needs_challenge and not challenge and tenant.authority.refuses_request_without_pkce:
        raise Refused(Reason.CHALLENGE_MISSING)


def _usable_session(
    tenant: TenantState, user_flow: UserFlow, app: AppRegistration, prompts: list[str]
) -> Session | None:
    """The person's session, if it is young enough for `max_age` and of the person the app asks for."""
    max_age = _max_age()
    session = find_session(tenant, user_flow, app.client_id)
    # Later steps of the user flow go on with the session that the first ones have checked or started.
    if not session or "step" in request.args:
        return session
    if max_age is not None and tenant.clock.now() - session.auth_time > max_age:
        if "none" in prompts:
            raise Refused(Reason.SESSION_TOO_OLD, max_age=max_age)
        return None
    return session if tenant.authority.fits_hint(session, request.args.get("login_hint", "")) else None


def _max_age() -> int | None:
    """`max_age` in seconds. Raises Refused."""
    text = request.args.get("max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[:11]) > LONGEST_MAX_AGE:
        raise Refused(Reason.MAX_AGE_INVALID, value=text, longest=LONGEST_MAX_AGE)
    return int(text)
