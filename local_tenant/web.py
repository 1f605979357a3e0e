"""Puts the tenant's Flask app together: routes, the record of requests, faults, headers and error pages."""

from authlib.oauth2 import OAuth2Error
from flask import Flask, g, request
from werkzeug.exceptions import HTTPException

from . import control, pages, protocol
from .address import resolve
from .current import tenant
from .errors import B2CError
from .faults import after_answer, before_answer
from .grants import make_server

MACHINE_LEGS = {"discovery", "keys", "token", "logout"}
UNRECORDED = ("/control/", "/static/", "/favicon.ico")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def make_app(tenant):
    """The Flask app of the pages, the protocol endpoints and the control API of one Tenant."""
    app = Flask("local_tenant")
    app.extensions["tenant"] = tenant
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]
    app.json.sort_keys = False
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.extensions["authorization_server"] = make_server(app)
    protocol.add_endpoints(app)
    pages.add_pages(app)
    app.register_blueprint(control.blueprint)
    app.before_request(before)
    app.after_request(after)
    app.register_error_handler(OAuth2Error, refused)
    app.register_error_handler(HTTPException, failed)
    return app


def before():
    """Name the request's endpoint and user flow, write it down, and let a fault step in."""
    view_args = request.view_args or {}
    named = "segment" in view_args
    address = resolve(tenant(), view_args["segment"], view_args.get("policy")) if named else None
    g.address, g.user_flow = address, address and address.user_flow
    if not request.path.startswith(UNRECORDED):
        g.entry = tenant().record.arrived(_endpoint(), g.user_flow and g.user_flow.name)
    if named and not address:
        text = B2CError(
            "AADB2C90066", view_args.get("policy") or request.args.get("p", ""), tenant().guid
        ).text
        return protocol.error_page(text, 404)
    if request.endpoint in MACHINE_LEGS:
        return before_answer(tenant().faults, request.endpoint)
    return None


def _endpoint():
    if request.endpoint == "authorize" and (request.method != "GET" or "step" in request.args):
        return "page"
    return request.endpoint if request.endpoint in MACHINE_LEGS | {"authorize"} else "page"


def after(response):
    response = after_answer(response, tenant().clock)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if "entry" in g:
        g.entry["status"] = response.status_code
    return response


def refused(error):
    text = error.text if isinstance(error, B2CError) else f"AADB2C90085: {error.get_error_description()}"
    return protocol.refuse_authorization(error, text)


def failed(error):
    if request.path.startswith("/control/"):
        return {"error": error.description}, error.code
    return protocol.error_page(f"{error.code} {error.name}", error.code)
