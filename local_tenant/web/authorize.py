"""Authorization requests: their checks, the journey that they begin, and the way back to the app."""

from dataclasses import dataclass

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..authorities.b2c import RESPONSE_MODES, RESPONSE_TYPES
from ..authorities.base import Address, Reason, Refused, ServiceError
from ..model.accounts import Account
from ..model.grants import Grant, Session
from ..model.registrations import AppRegistration
from ..model.steering import Fault, changed
from ..state import TenantState
from .exchange import current_exchange
from .form_encoding import form_encode
from .pkce import check_challenge
from .sessions import find_session

Parameters = list[tuple[str, str]]


@dataclass
class Journey:
    """A person's way through a user flow, from the checked authorization request to the code."""

    tenant: TenantState
    address: Address
    app: AppRegistration
    redirect_uri: str
    scopes: tuple[str, ...]
    prompts: list[str]
    session: Session | None
    new_session_id: str = ""
    new_user: bool = False

    def needs_page(self) -> None:
        """Raise Refused when the app does not want any page to be shown."""
        if "none" in self.prompts:
            raise Refused(Reason.SIGN_IN_NEEDED)

    def start_session(self, account: Account) -> None:
        self.new_session_id, self.session = self.tenant.sessions.start(account)

    def finish(self) -> ResponseReturnValue:
        """Issue a code for the person who is signed in, and go back to the app."""
        if not self.session:
            raise Refused(Reason.SIGN_IN_NEEDED)
        tenant, session, args = self.tenant, self.session, request.args
        account = session.account
        session.client_ids.add(self.app.client_id)
        grant = Grant(
            user_flow=self.address.user_flow,
            client_id=self.app.client_id,
            redirect_uri=self.redirect_uri,
            scopes=self.scopes,
            nonce=args.get("nonce"),
            sub=account.sub,
            auth_time=session.auth_time,
            claims=tenant.authority.account_claims(account, session, new_user=self.new_user),
            code_challenge=args.get("code_challenge"),
            code_challenge_method=args.get("code_challenge_method", "plain"),
            issued_at=tenant.clock.now(),
            contexts=tenant.authority.contexts_in(args.get("claims", "")),
        )
        parameters = _state()
        if args.get("client_info") == "1":
            parameters.append(("client_info", tenant.authority.client_info(grant)))
        parameters.append(("code", tenant.codes.issue(grant, tenant.options.code_lifetime).value))
        return _back_to_app(self.redirect_uri, parameters, tenant.faults.take("authorize"))


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
    stays_on_page = _is_shown_on_page(tenant, unregistered) or tenant.options.unregistered_redirect == "page"
    if stays_on_page or not app.redirect_uris:
        raise unregistered
    return app.redirect_uris[0]


def begin_journey(tenant: TenantState, address: Address, app: AppRegistration, redirect_uri: str) -> Journey:
    """Check the rest of the authorization request. Raises Refused."""
    args = request.args
    if args["redirect_uri"] != redirect_uri:
        # B2C has been seen to send this error to a registered redirect_uri.
        raise Refused(
            Reason.REDIRECT_URI_UNREGISTERED,
            redirect_uri=args["redirect_uri"],
            client_id=args["client_id"],
        )
    tenant.authority.check_app(address, app.client_id)
    if args.get("response_type") not in RESPONSE_TYPES:
        raise Refused(Reason.RESPONSE_TYPE_UNSUPPORTED, value=args.get("response_type", ""))
    if args["response_type"] != "code":
        raise Refused(Reason.RESPONSE_TYPE_NOT_ALLOWED)
    if args.get("response_mode", "query") not in RESPONSE_MODES:
        raise Refused(Reason.RESPONSE_MODE_UNSUPPORTED, value=args["response_mode"])
    if not args.get("scope", "").strip():
        raise Refused(Reason.SCOPE_MISSING)
    scopes = tenant.authority.authorized_scopes(args["scope"], app.client_id)
    prompts = tenant.authority.check_prompts(args.get("prompt", ""))
    challenge = args.get("code_challenge")
    check_challenge(challenge, args.get("code_challenge_method"))
    if app.type == "spa" and not challenge and tenant.authority.refuses_request_without_pkce:
        raise Refused(Reason.CHALLENGE_MISSING)
    session = find_session(tenant, address.user_flow, app.client_id)
    if "none" in prompts and not session:
        raise Refused(Reason.SIGN_IN_NEEDED)
    return Journey(tenant, address, app, redirect_uri, scopes, prompts, session)


def forced_error(tenant: TenantState, redirect_uri: str) -> ResponseReturnValue | None:
    """The error that the `authorize` fault answers with at once, if a test has set one."""
    if request.method != "GET" or not tenant.faults.current().get("authorize", {}).get("error"):
        return None
    forced = tenant.faults.take("authorize")["error"]
    if "code" in forced:
        error = tenant.authority.error_with_code(forced["code"])
        return _answer_error(redirect_uri, error, tenant, {}) if error else None
    return _back_to_app(redirect_uri, [*forced.items(), *_state()], {})


def answer_refusal(redirect_uri: str, refused: Refused) -> ResponseReturnValue:
    """Take an error back to the app. Raises it again where the service shows it on a page."""
    tenant = current_exchange().tenant
    if _is_shown_on_page(tenant, refused):
        raise refused
    error = tenant.authority.error_for(refused)
    return _answer_error(redirect_uri, error, tenant, tenant.faults.take("authorize"))


def _is_shown_on_page(tenant: TenantState, refused: Refused) -> bool:
    return refused.reason in tenant.authority.SHOWN_ON_PAGE


def _answer_error(
    redirect_uri: str, error: ServiceError, tenant: TenantState, fault: Fault
) -> ResponseReturnValue:
    parameters = [*tenant.authority.redirect_parameters(error), *_state()]
    return _back_to_app(redirect_uri, parameters, fault)


def _back_to_app(redirect_uri: str, parameters: Parameters, fault: Fault) -> ResponseReturnValue:
    """Take the parameters to the app in the response mode that it asked for, changed by the fault."""
    parameters = [
        (name, str(value))
        for name, values in changed(dict(parameters), fault).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    mode = request.args.get("response_mode", "query")
    if mode == "form_post":
        return render_template("form_post.html", action=redirect_uri, parameters=parameters)
    mark = "#" if mode == "fragment" else "&" if "?" in redirect_uri else "?"
    return redirect(f"{redirect_uri}{mark}{form_encode(parameters)}")


def _state() -> Parameters:
    state = request.args.get("state")
    return [] if state is None else [("state", state)]
