"""The way back to the app, in the response mode it asked for."""

from flask import render_template, request

from .current import tenant
from .errors import encode
from .faults import changed


def go_back(redirect_uri, params):
    """Send the browser back to the app in the asked response mode, as (status, body, headers)."""
    params = _with_fault(params)
    mode = request.args.get("response_mode", "query")
    if mode == "form_post":
        body = render_template("form_post.html", action=redirect_uri, params=params)
        return 200, body, [("Content-Type", "text/html; charset=utf-8")]
    mark = "#" if mode == "fragment" else "&" if "?" in redirect_uri else "?"
    return 302, "", [("Location", f"{redirect_uri}{mark}{encode(params)}")]


def _with_fault(params):
    fault = tenant().faults.take("authorize")
    members = changed(dict(params), fault)
    values = {name: value if isinstance(value, list) else [value] for name, value in members.items()}
    return [(name, value) for name, many in values.items() for value in many]


def with_state(params, first=False):
    state = request.args.get("state")
    if state is None:
        return params
    return [("state", state), *params] if first else [*params, ("state", state)]
