"""Authorization requests: their checks, the journey that they begin, and the way back to the app."""

from dataclasses import dataclass

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..authorities.b2c import RESPONSE_MODES, RESPONSE_TYPES
from ..authorities.b2c_errors import B2CError, error_description, form_encode
from ..model.accounts import Account
from ..model.grants import Grant, Session
from ..model.registrations import UserFlow
from ..model.steering import Fault, changed
from ..state import TenantState
from .exchange import current_exchange
from .token import PKCE_VALUE

PROMPTS = {"none", "login", "consent", "select_account"}

Parameters = list[tuple[str, str]]


@dataclass
class Journey:
    """A person's way through a user flow, from the checked authorization request to the code."""

    tenant: TenantState
    user_flow: UserFlow
    redirect_uri: str
    scopes: tuple[str, ...]
    prompts: list[str]
    session: Session | None
    new_session_id: str = ""
    new_user: bool = False

    def needs_page(self) -> None:
        """Raise B2CError when the app does not want any page to be shown."""
        if "none" in self.prompts:
            raise B2CError("AADB2C90077")

    def start_session(self, account: Account) -> None:
        self.new_session_id, self.session = self.tenant.sessions.start(account)

    def finish(self) -> ResponseReturnValue:
        """Issue a code for the person who is signed in, and go back to the app."""
        if not self.session:
            raise B2CError("AADB2C90077")
        tenant, account, args = self.tenant, self.session.account, request.args
        grant = Grant(
            user_flow=self.user_flow,
            client_id=tenant.app.client_id,
            redirect_uri=self.redirect_uri,
            scopes=self.scopes,
            nonce=args.get("nonce"),
            sub=account.sub,
            auth_time=self.session.auth_time,
            claims=tenant.authority.account_claims(account, new_user=self.new_user),
            code_challenge=args.get("code_challenge"),
            code_challenge_method=args.get("code_challenge_method", "plain"),
            issued_at=tenant.clock.now(),
        )
        parameters = _state()
        if args.get("client_info") == "1":
            parameters.append(("client_info", tenant.authority.client_info(grant)))
        parameters.append(("code", tenant.codes.issue(grant, tenant.options.code_lifetime).value))
        return _back_to_app(self.redirect_uri, parameters, tenant.faults.take("authorize"))


def check_redirect_uri(tenant: TenantState) -> str:
    """The redirect_uri that answers may go to. Raises B2CError for a request that is not our app's."""
    client_id, redirect_uri = request.args.get("client_id"), request.args.get("redirect_uri")
    if not client_id:
        raise B2CError("AADB2C90008")
    if client_id != tenant.app.client_id:
        raise B2CError("AADB2C90018", client_id, tenant.authority.guid)
    if not redirect_uri:
        raise B2CError("AADB2C90004")
    if redirect_uri in tenant.app.redirect_uris:
        return redirect_uri
    if tenant.options.unregistered_redirect == "page":
        raise B2CError("AADB2C90006", redirect_uri, client_id)
    return tenant.app.redirect_uris[0]


def begin_journey(tenant: TenantState, user_flow: UserFlow, redirect_uri: str) -> Journey:
    """Check the rest of the authorization request. Raises B2CError."""
    args = request.args
    if args["redirect_uri"] != redirect_uri:
        # B2C has been seen to send this error to a registered redirect_uri.
        raise B2CError("AADB2C90006", args["redirect_uri"], args["client_id"])
    if args.get("response_type") not in RESPONSE_TYPES:
        raise B2CError("AADB2C90013", args.get("response_type", ""))
    if args["response_type"] != "code":
        raise B2CError("AADB2C90057")
    if args.get("response_mode", "query") not in RESPONSE_MODES:
        raise B2CError("AADB2C90014", args["response_mode"])
    if not args.get("scope", "").strip():
        raise B2CError("AADB2C90010")
    scopes = tenant.authority.granted_scopes(args["scope"])
    prompts = args.get("prompt", "").split()
    if set(prompts) - PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise B2CError("AADB2C90043")
    challenge, method = args.get("code_challenge"), args.get("code_challenge_method")
    if (challenge or method) and not PKCE_VALUE.fullmatch(challenge or ""):
        raise B2CError("AADB2C90184")
    if method not in (None, "plain", "S256"):
        raise B2CError("AADB2C90184")
    session = tenant.sessions.find(request.cookies.get(tenant.cookie_name, ""))
    if "none" in prompts and not session:
        raise B2CError("AADB2C90077")
    return Journey(tenant, user_flow, redirect_uri, scopes, prompts, session)


def forced_error(tenant: TenantState, redirect_uri: str) -> ResponseReturnValue | None:
    """The error that the `authorize` fault answers with at once, if a test has set one."""
    if request.method != "GET" or not tenant.faults.current().get("authorize", {}).get("error"):
        return None
    forced = tenant.faults.take("authorize")["error"]
    if "code" in forced:
        return _answer_error(redirect_uri, B2CError(forced["code"]), tenant, {})
    return _back_to_app(redirect_uri, [*forced.items(), *_state()], {})


def answer_error(redirect_uri: str, error: B2CError) -> ResponseReturnValue:
    """Take an error back to the app."""
    tenant = current_exchange().tenant
    return _answer_error(redirect_uri, error, tenant, tenant.faults.take("authorize"))


def _answer_error(
    redirect_uri: str, error: B2CError, tenant: TenantState, fault: Fault
) -> ResponseReturnValue:
    description = error_description(error.text, tenant.clock.now())
    parameters = [("error", error.error), ("error_description", description), *_state()]
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
