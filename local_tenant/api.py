"""The protected web API: GET /tasks needs the scope tasks.read, POST /tasks needs tasks.write."""

from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.integrations.flask_oauth2.errors import raise_http_exception
from authlib.oauth2.rfc6749 import MissingAuthorizationError, UnsupportedTokenTypeError
from authlib.oauth2.rfc6750 import BearerTokenValidator, InsufficientScopeError
from flask import Flask, Response, g, json, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError

from .faults import after_answer, before_answer
from .model import USER_FLOWS

REALM = "tasks"
NEEDED = {"GET": "tasks.read", "HEAD": "tasks.read", "POST": "tasks.write"}


class Token(dict):
    """Claims of a checked access token, as Authlib asks about them."""

    def is_expired(self):
        return False  # the decoder has refused it already

    def is_revoked(self):
        return False  # B2C's access tokens cannot be revoked

    def get_scope(self):
        return self.get("scp", "")


class Validator(BearerTokenValidator):
    """Checks signature, issuer, audience and time of a bearer token."""

    def __init__(self, tenant):
        super().__init__(realm=REALM)
        self._tenant = tenant

    def authenticate_token(self, token_string):
        tenant = self._tenant
        claims = jwt.JWTClaimsRegistry(
            now=lambda: int(tenant.clock.now()),
            iss={"essential": True, "values": [tenant.issuer(flow) for flow in USER_FLOWS.values()]},
            aud={"essential": True, "value": tenant.tasks_api.client_id},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            token = Token(tenant.keys.verify(token_string))
            claims.validate(token)
        except (JoseError, ValueError):
            return None
        return token


class Protector(ResourceProtector):
    """Answers refusals as RFC 6750 section 3 wants them."""

    def raise_error_response(self, error):
        if isinstance(error, (MissingAuthorizationError, UnsupportedTokenTypeError)):
            # A request without a token gets a challenge without an error code.
            challenge = f'Bearer realm="{REALM}"'
            raise_http_exception(401, "", [("WWW-Authenticate", challenge)])
        if isinstance(error, InsufficientScopeError):
            challenge = f'Bearer realm="{REALM}", error="{error.error}", scope="{NEEDED[request.method]}"'
            body = json.dumps(dict(error.get_body()))
            headers = [*error.get_headers(), ("WWW-Authenticate", challenge)]
            raise_http_exception(error.status_code, body, headers)
        super().raise_error_response(error)


def make_api(tenant):
    """The Flask app of the web API of one Tenant."""
    app = Flask("local_tenant_api", static_folder=None)
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]
    protect = Protector()
    protect.register_token_validator(Validator(tenant))
    tasks = {}

    @app.before_request
    def before():
        g.entry = tenant.record.arrived("api", None)
        return before_answer(tenant.faults, "api")

    @app.after_request
    def after(response: Response):
        response = after_answer(response, tenant.clock)
        g.entry["status"] = response.status_code
        return response

    @app.get("/tasks")
    @protect("tasks.read")
    def list_tasks():
        return jsonify(
            owner=current_token.get("name"), tasks=tasks.setdefault(current_token["sub"], first_tasks())
        )

    @app.post("/tasks")
    @protect("tasks.write")
    def add_task():
        body = request.get_json(silent=True)
        title = body.get("title") if isinstance(body, dict) else None
        if not isinstance(title, str) or not title.strip():
            return {"error": 'Send JSON with a title, such as {"title": "Water the plants"}.'}, 400
        mine = tasks.setdefault(current_token["sub"], first_tasks())
        mine.append({"id": len(mine) + 1, "title": title.strip(), "done": False})
        return mine[-1], 201

    return app


def first_tasks():
    return [
        {"id": 1, "title": "Read how the sign-in works", "done": True},
        {"id": 2, "title": "Call a web API of my own", "done": False},
    ]
