"""The way back to the app: authorization responses and errors in the response mode that it asked for."""

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..authorities.refusals import Refused, ServiceError
from ..model.steering import Fault, changed
from ..state import TenantState
from .exchange import current_exchange
from .form_encoding import form_encode

RESPONSE_MODES = ("query", "fragment", "form_post")
TOKEN_RESPONSES = {"id_token", "token"}

Parameters = list[tuple[str, str]]


def response_types() -> frozenset[str]:
    """The values of `response_type`, whose order does not matter."""
    return frozenset(request.args.get("response_type", "").split())


def response_mode() -> str:
    """The mode in which the request is answered.

    Tokens never go into a query, which ends up in logs and in the Referer header. Neither do errors in their
    place (OAuth 2.0 Multiple Response Type Encoding Practices, section 5).
    """
    asked, brings_tokens = request.args.get("response_mode"), response_types() & TOKEN_RESPONSES
    if asked in RESPONSE_MODES and not (asked == "query" and brings_tokens):
        return asked
    return "fragment" if brings_tokens else "query"


def state_parameter() -> Parameters:
    state = request.args.get("state")
    return [] if state is None else [("state", state)]


def back_to_app(redirect_uri: str, parameters: Parameters, fault: Fault) -> ResponseReturnValue:
    """Take the parameters to the app, changed by the fault."""
    parameters = [
        (name, str(value))
        for name, values in changed(dict(parameters), fault).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    mode = response_mode()
    if mode == "form_post":
        return render_template("form_post.html", action=redirect_uri, parameters=parameters)
    mark = "#" if mode == "fragment" else "&" if "?" in redirect_uri else "?"
    return redirect(f"{redirect_uri}{mark}{form_encode(parameters)}")


def is_shown_on_page(tenant: TenantState, refused: Refused) -> bool:
    return refused.reason in tenant.authority.SHOWN_ON_PAGE


def answer_refusal(redirect_uri: str, refused: Refused) -> ResponseReturnValue:
    """Take an error back to the app. Raises it again where the service shows it on a page."""
    tenant = current_exchange().tenant
    if is_shown_on_page(tenant, refused):
        raise refused
    error = current_exchange().note_refusal(refused)
    return _answer_error(redirect_uri, error, tenant, tenant.faults.take("authorize"))


def forced_error(tenant: TenantState, redirect_uri: str) -> ResponseReturnValue | None:
    """The error that the `authorize` fault answers with at once, if a test has set one."""
    if request.method != "GET" or not tenant.faults.current().get("authorize", {}).get("error"):
        return None
    forced = tenant.faults.take("authorize")["error"]
    if "code" in forced:
        error = tenant.authority.error_with_code(forced["code"])
        return _answer_error(redirect_uri, error, tenant, {}) if error else None
    current_exchange().note_error("A test asked for this answer.", error=forced.get("error"))
    return back_to_app(redirect_uri, [*forced.items(), *state_parameter()], {})


def _answer_error(
    redirect_uri: str, error: ServiceError, tenant: TenantState, fault: Fault
) -> ResponseReturnValue:
    current_exchange().note_error(error.text, error=error.error, code=error.code)
    parameters = [*tenant.authority.redirect_parameters(error), *state_parameter()]
    return back_to_app(redirect_uri, parameters, fault)
