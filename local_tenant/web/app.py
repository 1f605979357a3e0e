"""The Flask app of the tenant: which URL leads to which view, and what all requests have in common."""

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue, RouteCallable
from werkzeug.exceptions import HTTPException

from ..authorities.refusals import Refused
from ..state import TenantState
from ..tls import CaFiles
from . import control, desk, endpoints, graph, pages, sign_out, userinfo
from .cors import add_cors_headers, is_preflight
from .exchange import Exchange, apply_fault, current_exchange, finish_exchange, start_exchange
from .sent_by_post import is_sent_by_app, repeat_as_get
from .this_machine import refuse_other_hosts
from .token import token

# Endpoints that faults can be injected into, by the names of their views.
LEGS = {"discovery", "keys", "token", "logout"}
USER_FLOW_ENDPOINTS = {*LEGS, "authorize"}
# What a developer looks at is no request of an app.
UNRECORDED_PATHS = ("/static/", "/favicon.ico", "/mailbox")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create_app(tenant: TenantState, *, with_control: bool, ca_files: CaFiles) -> Flask:
    """The app of the pages and the protocol endpoints, and of the control API if it is asked for.

    `ca_files` are for the root page, which names them.
    """
    app = Flask(__package__ or "")
    app.config["CA_FILES"] = ca_files
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}

    def add_user_flow_rule(path: str, view: RouteCallable, *methods: str) -> None:
        for prefix in tenant.authority.URL_PREFIXES:
            app.add_url_rule(prefix + path, view_func=view, methods=methods)

    add_user_flow_rule("v2.0/.well-known/openid-configuration", endpoints.discovery, "GET")
    add_user_flow_rule("discovery/v2.0/keys", endpoints.keys, "GET")
    add_user_flow_rule("oauth2/v2.0/authorize", pages.authorize, "GET", "POST")
    add_user_flow_rule("oauth2/v2.0/token", token, "GET", "POST")
    add_user_flow_rule("oauth2/v2.0/logout", sign_out.logout, "GET", "POST")
    app.register_blueprint(desk.blueprint)
    app.add_url_rule("/mailbox", view_func=pages.mailbox)
    app.add_url_rule("/favicon.ico", view_func=pages.favicon)
    app.register_blueprint(control.blueprint if with_control else control.switched_off)
    if tenant.authority.has_graph:
        # Metadata names userinfo at an https address, so it is here besides the other addresses of Graph.
        app.add_url_rule("/oidc/userinfo", view_func=graph.userinfo, methods=["GET", "POST"])
    else:
        add_user_flow_rule("openid/v2.0/userinfo", userinfo.userinfo, "GET", "POST")

    @app.context_processor
    def names() -> dict[str, object]:
        return {"authority": tenant.authority}

    @app.url_value_preprocessor
    def start(endpoint: str | None, values: dict[str, str] | None) -> None:
        """Start the exchange. It takes the variables of the URL, so views have no arguments for them."""
        names = values or {}
        segment, policy = names.pop("segment", ""), names.pop("policy", None)
        address = tenant.authority.find_address(request.path, request.args, segment, policy)
        policy = policy or request.args.get("p", "")
        start_exchange(Exchange(tenant, _name_in_record(endpoint), policy, address))

    @app.before_request
    def prepare() -> ResponseReturnValue | None:
        """Add the request to the record, and apply a fault."""
        exchange = current_exchange()
        if is_sent_by_app():
            refuse_other_hosts(tenant)
            return repeat_as_get()
        is_unrecorded = request.path.startswith(UNRECORDED_PATHS) or _is_control_api()
        if not is_unrecorded and request.blueprint != desk.blueprint.name:
            exchange.add_to_record()
        refuse_other_hosts(tenant)
        tenant.authority.origins.answer_as(request.host_url.rstrip("/").lower())
        if request.endpoint in USER_FLOW_ENDPOINTS and not exchange.named_address:
            return endpoints.unknown_authority(tenant)
        return apply_fault(exchange.endpoint) if exchange.endpoint in LEGS else None

    @app.after_request
    def finish(response: Response) -> Response:
        add_cors_headers(tenant, response)
        response = finish_exchange(response)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.errorhandler(Refused)
    def refuse(refused: Refused) -> ResponseReturnValue:
        return endpoints.error_page(tenant, current_exchange().note_refusal(refused).text)

    @app.errorhandler(HTTPException)
    def fail(error: HTTPException) -> ResponseReturnValue:
        status = error.code or 500
        if _is_control_api():
            return {"error": error.description}, status
        return endpoints.error_page(tenant, f"{status} {error.name}", status)

    return app


def _is_control_api() -> bool:
    return f"{request.path}/".startswith("/control/")


def _name_in_record(endpoint: str | None) -> str:
    """The name of the request's endpoint in the record. What people do on pages is "page"."""
    if is_preflight():
        return "preflight"
    if endpoint == "userinfo":
        return endpoint
    on_page = request.method != "GET" or "step" in request.args
    if endpoint not in USER_FLOW_ENDPOINTS or (endpoint == "authorize" and on_page):
        return "page"
    return endpoint
