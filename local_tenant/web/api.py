"""The protected web API: GET /tasks needs the scope tasks.read, POST /tasks needs tasks.write.

Microsoft Graph is on the same server, for the kinds that have it.
"""

from typing import Any, NoReturn

from flask import Flask, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue

from ..state import TenantState
from . import graph
from .bearer import TokenRefused, checked_claims, insufficient_claims
from .cors import add_cors_headers, is_preflight
from .exchange import Exchange, apply_fault, current_exchange, finish_exchange, start_exchange
from .this_machine import refuse_other_hosts

CHALLENGE = 'Bearer realm="tasks"'

Task = dict[str, Any]


def create_api(tenant: TenantState) -> Flask:
    """The Flask app of the web API."""
    app = Flask("local_tenant_api", static_folder=None)
    tasks_by_sub: dict[str, list[Task]] = {}

    @app.before_request
    def start() -> Response | None:
        exchange = Exchange(tenant, "preflight" if is_preflight() else "api")
        tenant.authority.origins.answer_as("")
        start_exchange(exchange)
        exchange.add_to_record()
        refuse_other_hosts(tenant)
        return apply_fault("api") if exchange.endpoint == "api" else None

    @app.after_request
    def finish(response: Response) -> Response:
        add_cors_headers(tenant, response)
        return finish_exchange(response)

    if tenant.authority.has_graph:
        app.register_blueprint(graph.blueprint)

    @app.get("/tasks")
    def list_tasks() -> ResponseReturnValue:
        claims = _require_scope("tasks.read")
        tasks = tasks_by_sub.setdefault(claims["sub"], _first_tasks())
        return jsonify(owner=claims.get("name"), tasks=tasks)

    @app.post("/tasks")
    def add_task() -> ResponseReturnValue:
        claims = _require_scope("tasks.write")
        body = request.get_json(silent=True)
        title = body.get("title") if isinstance(body, dict) else None
        if not isinstance(title, str) or not title.strip():
            return {"error": 'Send JSON with a title, such as {"title": "Water the plants"}.'}, 400
        tasks = tasks_by_sub.setdefault(claims["sub"], _first_tasks())
        tasks.append({"id": len(tasks) + 1, "title": title.strip(), "done": False})
        return tasks[-1], 201

    return app


def _first_tasks() -> list[Task]:
    return [
        {"id": 1, "title": "Read how the sign-in works", "done": True},
        {"id": 2, "title": "Call a web API of my own", "done": False},
    ]


def _require_scope(scope: str) -> dict[str, Any]:
    """The claims of the request's access token. Aborts as RFC 6750, section 3, wants it."""
    header = request.authorization
    if not header or header.type != "bearer":
        # A request without a token gets a challenge without an error code.
        _refuse(401, "", "The request has no bearer token.")
    tenant = current_exchange().tenant
    try:
        claims = checked_claims(tenant, header.token or "", tenant.authority.tasks_api.client_id)
    except TokenRefused as refused:
        _refuse(401, "invalid_token", str(refused))
    if challenge := insufficient_claims(tenant, claims):
        _refuse(401, "insufficient_claims", "The user has to do more to sign in.", challenge=challenge)
    if scope not in str(claims.get("scp", "")).split():
        _refuse(
            403,
            "insufficient_scope",
            f"The access token lacks the scope {scope}.",
            challenge=f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"',
        )
    return claims


def _refuse(status: int, error: str, description: str, challenge: str = "") -> NoReturn:
    current_exchange().note_error(description, error=error or None)
    challenge = challenge or (f'{CHALLENGE}, error="{error}"' if error else CHALLENGE)
    response = jsonify(error=error) if error else Response()
    response.status_code = status
    response.headers["WWW-Authenticate"] = challenge
    abort(response)
