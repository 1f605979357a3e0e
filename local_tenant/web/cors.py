"""Which other origins' scripts may read an answer (Fetch Standard, "HTTP CORS protocol")."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Response, request

from ..model.registrations import AppRegistration
from ..state import TenantState

# Views that single-page apps call. The API server has no others.
CALLED_BY_SCRIPTS = {"discovery", "keys", "token", "userinfo", "list_tasks", "add_task", "graph"}
PREFLIGHT_SECONDS = 3600


def is_preflight() -> bool:
    """Whether the browser asks first if a script may send its request."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def add_cors_headers(tenant: TenantState, response: Response) -> None:
    """Let scripts read the response: those of any origin, or only those of registered single-page apps."""
    view = (request.endpoint or "").partition(".")[0]  # of Graph's views, the name of their blueprint
    origin = request.headers.get("Origin")
    if not origin or view not in CALLED_BY_SCRIPTS:
        return
    if view in tenant.authority.OPEN_TO_ANY_ORIGIN:
        response.headers["Access-Control-Allow-Origin"] = "*"
    elif origin in _spa_origins(tenant.apps):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.vary.add("Origin")
    else:
        response.vary.add("Origin")
        return
    if is_preflight():
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH"
        wanted = request.headers.get("Access-Control-Request-Headers", "")
        response.headers["Access-Control-Allow-Headers"] = wanted
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    else:
        response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, Retry-After"


def _spa_origins(apps: Iterable[AppRegistration]) -> set[str]:
    addresses = [urlsplit(uri) for app in apps if app.type == "spa" for uri in app.redirect_uris]
    return {f"{address.scheme}://{address.netloc.lower()}" for address in addresses}
