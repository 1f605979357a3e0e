"""The URL shapes of a user flow's endpoints: name or GUID, /tfp/ or not, policy in the path or in `p`."""

import functools
from dataclasses import dataclass
from urllib.parse import quote

from flask import request

from .model import DOMAIN, USER_FLOWS, UserFlow


@dataclass(frozen=True)
class Address:
    """How a request named its user flow; the answer names it the same way, in lower case."""

    user_flow: UserFlow
    segment: str
    tfp: bool
    in_query: bool

    def url(self, origin, path):
        base = f"{origin}/tfp/{self.segment}" if self.tfp else f"{origin}/{self.segment}"
        name = self.user_flow.name.lower()
        return f"{base}/{path}?p={name}" if self.in_query else f"{base}/{name}/{path}"


def resolve(tenant, segment, policy):
    """The Address of the current request, or None where this tenant has no such user flow."""
    name = policy or request.args.get("p", "")
    user_flow = USER_FLOWS.get(name.lower())
    if not user_flow or segment.lower() not in (DOMAIN, tenant.guid):
        return None
    return Address(user_flow, segment.lower(), request.path.startswith("/tfp/"), policy is None)


def add_route(app, path, view, methods=("GET",)):
    """Route `path` of every user flow, in all its shapes, to `view`."""
    view = _without_url_values(view)
    for prefix in ("", "/tfp"):
        for shape in ("/<segment>/<policy>/", "/<segment>/"):
            app.add_url_rule(prefix + shape + path, view_func=view, methods=list(methods))


def _without_url_values(view):
    # The views read g.address instead: one name for all shapes.
    @functools.wraps(view)
    def wrapped(**_):
        return view()

    return wrapped


def same_url(**extra):
    """The current request's path and query with `extra` parameters replaced (None: left out)."""
    pairs = [(name, value) for name, value in request.args.items(multi=True) if name not in extra]
    pairs += [(name, value) for name, value in extra.items() if value is not None]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{request.path}?{query}"
