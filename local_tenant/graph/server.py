"""LocalGraph: the stand-in, running in threads of this process."""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from ..model.origins import LOOPBACK
from ..server import WebServer
from ..tls import temporary_authority, write_ca_files
from .api import GraphApi, Request, read_body
from .directory import Directory
from .refusal import Refusal
from .sign_in import SignInService


@dataclass
class Fault:
    """What goes wrong with the next requests whose method (`POST|PATCH`: either) and path fit.

    Without a `status` the connection is reset. It happens before the request is carried out, or with `after`
    when it is done.
    """

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    skip: int = 0
    after: bool = False

    def takes(self, method: str, path: str) -> bool:
        """Whether this request fails. The first `skip` that fit do not."""
        if not self.times or method not in self.method.split("|") or self.path not in path:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class LocalGraph:
    """A running stand-in, as a context manager.

    `url` is both Microsoft Graph's origin and the sign-in service's. `ca_bundle` is the path of the CA file
    that trusts it. `requests` are those that Graph has seen, with the body and the status of each.
    """

    url: str
    ca_bundle: str

    def __init__(self, directory: Directory | None = None, port: int = 0):
        self.directory = directory or Directory()
        self.api, self.sign_in = GraphApi(self.directory), SignInService(self.directory)
        self.requests: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self._port = port
        self._running = ExitStack()

    def __enter__(self) -> "LocalGraph":
        folder = self._running.enter_context(tempfile.TemporaryDirectory(prefix="local-graph-"))
        authority = temporary_authority()
        self.ca_bundle = str(write_ca_files(Path(folder), authority).bundle)
        server = WebServer(self._port, self._app(), authority.server_context())
        self._running.callback(server.stop)
        self.url = self.sign_in.origin = f"https://{LOOPBACK}:{server.port}"
        server.serve_in_background()
        return self

    def start_over(self, directory: Directory) -> None:
        """Serve another directory, and forget faults and requests."""
        self.directory = directory
        self.api, self.faults, self.requests = GraphApi(directory), [], []
        self.sign_in.start_over(directory)

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of the requests that may have changed something."""
        return [(one["method"], one["path"]) for one in self.requests if one["method"] != "GET"]

    def access_token(self, *scopes: str) -> str:
        """An access token with these permissions, for an operator who has signed in."""
        return str(self.sign_in.issue(" ".join(f"{self.url}/{scope}" for scope in scopes))["access_token"])

    def _app(self) -> Flask:
        app = Flask(__package__ or "", static_folder=None)
        app.register_blueprint(self.sign_in.blueprint())
        methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        app.add_url_rule("/v1.0/<path:path>", "graph", self._graph, methods=methods)
        app.register_error_handler(Refusal, self._refuse)
        return app

    def _refuse(self, refusal: Refusal) -> ResponseReturnValue:
        self.requests[-1]["status"] = refusal.status
        return refusal.body(), refusal.status

    def _graph(self, path: str) -> ResponseReturnValue:
        path = f"/{path}"
        entry: dict[str, Any] = {"method": request.method, "path": path, "at": time.time()}
        self.requests.append(entry)
        fault = next((fault for fault in self.faults if fault.takes(request.method, path)), None)
        if fault and not fault.after:
            return self._fail(fault)
        scheme, _, access_token = request.headers.get("Authorization", "").partition(" ")
        scopes = self.sign_in.scopes_of(access_token) if scheme == "Bearer" else None
        if scopes is None:
            raise Refusal(401, "InvalidAuthenticationToken", "Access token is empty, unknown or expired.")
        entry["body"] = read_body(request.get_data())
        status, answer = self.api.answer(
            Request(request.method, path, request.args, dict(request.headers), entry["body"], scopes)
        )
        entry["status"] = status
        if fault:
            return self._fail(fault)
        if answer is None:
            return Response(status=status)
        return jsonify(self._with_next_link(answer, path)), status

    def _with_next_link(self, answer: dict[str, Any], path: str) -> dict[str, Any]:
        if "next" not in answer:
            return answer
        options = request.args.to_dict() | {"$skiptoken": str(answer["next"])}
        link = f"{self.url}/v1.0{path}?{urlencode(options)}"
        return {"value": answer["value"], "@odata.nextLink": link}

    def _fail(self, fault: Fault) -> ResponseReturnValue:
        self.requests[-1]["status"] = fault.status
        if fault.status is None:
            request.environ["local_tenant.reset_connection"]()
            return Response(status=204)
        body = Refusal(fault.status, "TooManyRequests", "This request is throttled.").body()
        return body, fault.status, fault.headers
