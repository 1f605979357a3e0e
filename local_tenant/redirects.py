"""The way back to the app, in the response mode it asked for."""

from flask import g, make_response, redirect, render_template, request

from .current import tenant
from .errors import encode
from .faults import changed


def go_back(redirect_uri, params):
    """The response that sends the browser back to the app, in the response mode it asked for."""
    # A forced error has used up its turn of the fault already.
    params = params if g.get("forced") else _with_fault(params)
    mode = request.args.get("response_mode", "query")
    if mode == "form_post":
        return make_response(render_template("form_post.html", action=redirect_uri, params=params))
    mark = "#" if mode == "fragment" else "&" if "?" in redirect_uri else "?"
    return redirect(f"{redirect_uri}{mark}{encode(params)}")


def _with_fault(params):
    fault = tenant().faults.take("authorize")
    members = changed(dict(params), fault)
    values = {name: value if isinstance(value, list) else [value] for name, value in members.items()}
    return [(name, str(value)) for name, many in values.items() for value in many]


def with_state(params, first=False):
    state = request.args.get("state")
    if state is None:
        return params
    return [("state", state), *params] if first else [*params, ("state", state)]
