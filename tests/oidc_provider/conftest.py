"""npm's oidc-provider, a web API that accepts its tokens, and the app as a client of it."""

import json
import secrets
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests
import trustme

from tests.helpers import npm
from tests.helpers.app import RunningApp, import_app
from tests.helpers.browser import Visitor
from tests.helpers.processes import Program

FOLDER = Path(__file__).resolve().parent


class OidcProvider(Program):
    """The provider, served over TLS on a port of its own."""

    def __init__(self, folder: Path):
        node = npm.node()
        npm.install(FOLDER)
        certificates = trustme.CA()
        self.ca_bundle = folder / "ca.pem"
        certificates.cert_pem.write_to_path(str(self.ca_bundle))
        certificate = certificates.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
        command = [node, "server.js", str(folder / "certificate.pem"), str(folder / "key.pem")]
        super().__init__(command, folder, cwd=FOLDER)
        self.wait_until_ready(lambda: "issuer=" in self.output())
        self.issuer = next(
            line.removeprefix("issuer=") for line in self.output().splitlines() if line.startswith("issuer=")
        )

    def register(self, **metadata: object) -> dict[str, Any]:
        """Register a client (OpenID Connect Dynamic Client Registration section 3.1)."""
        answer = requests.post(f"{self.issuer}/reg", json=metadata, verify=str(self.ca_bundle), timeout=10)
        assert answer.status_code == 201, answer.text
        registered: dict[str, Any] = answer.json()
        return registered

    def settings_for(self, app_url: str, **metadata: object) -> dict[str, str]:
        """The app's settings as a newly registered client of this provider."""
        defaults = {
            "redirect_uris": [f"{app_url}/getAToken"],
            "post_logout_redirect_uris": [f"{app_url}/"],
            "token_endpoint_auth_method": "client_secret_post",
        }
        registered = self.register(**{**defaults, **metadata})
        return {
            "OIDC_AUTHORITY": self.issuer,
            "CLIENT_ID": registered["client_id"],
            "CLIENT_SECRET": registered.get("client_secret", ""),
            "REDIRECT_URI": f"{app_url}/getAToken",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "REQUESTS_CA_BUNDLE": str(self.ca_bundle),
        }


class WebApi:
    """A web API that asks the provider about each access token (RFC 7662)."""

    def __init__(self, provider: OidcProvider):
        self.tokens: list[str] = []  # that it has accepted
        api, client = (
            self,
            provider.register(
                redirect_uris=["https://api.example/unused"], token_endpoint_auth_method="client_secret_post"
            ),
        )

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                answer = requests.post(
                    f"{provider.issuer}/token/introspection",
                    {"token": token, "client_id": client["client_id"]}
                    | {"client_secret": client["client_secret"]},
                    verify=str(provider.ca_bundle),
                    timeout=10,
                ).json()
                accepted = answer.get("active") and "tasks.read" in answer["scope"].split()
                body = json.dumps({"user": answer["sub"]} if accepted else {"error": "invalid_token"})
                self.send_response(200 if accepted else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())
                if accepted:
                    api.tokens.append(token)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Person(Visitor):
    """A visitor who signs in on the provider's development pages."""

    def __init__(self, app_url: str, provider: OidcProvider):
        super().__init__(app_url)
        self.provider = provider
        self.http.verify = str(provider.ca_bundle)

    def sign_in(self, login: str = "ada", start: str = "/login") -> requests.Response:
        """Sign in from `start`, and consent to what the app asks for."""
        self.get(start)
        self.submit_form(login=login, password="any")
        return self.submit_form()


class ServeClient(Protocol):
    """Serves the app as a client of the provider that is registered with this metadata."""

    def __call__(self, settings: dict[str, str] | None = None, /, **metadata: object) -> RunningApp: ...


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """The provider for the whole run. Skips where there is no Node.js."""
    with OidcProvider(tmp_path_factory.mktemp("oidc-provider")) as running:
        yield running


@pytest.fixture(scope="session")
def web_api(provider: OidcProvider) -> Iterator[WebApi]:
    api = WebApi(provider)
    yield api
    api.close()


@pytest.fixture(scope="session")
def serve_client(
    provider: OidcProvider, web_api: WebApi, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServeClient]:
    """A function that serves the app as a client of the provider."""
    running: list[RunningApp] = []

    def serve_one(settings: dict[str, str] | None = None, /, **metadata: object) -> RunningApp:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        environ = provider.settings_for(f"http://localhost:{listener.getsockname()[1]}", **metadata)
        environ |= {"ENDPOINT": web_api.url, "SCOPE": "tasks.read"}
        environ |= {"SESSION_DIR": str(tmp_path_factory.mktemp("sessions")), **(settings or {})}
        running.append(RunningApp(environ, import_app(environ), listener))
        return running[-1]

    yield serve_one
    for app in running:
        app.stop()


@pytest.fixture(scope="session")
def client_app(serve_client: ServeClient) -> RunningApp:
    """The app as a client that gets refresh tokens."""
    return serve_client(grant_types=["authorization_code", "refresh_token"])


@pytest.fixture
def person(client_app: RunningApp, provider: OidcProvider) -> Iterator[Person]:
    with Person(client_app.url, provider) as person:
        yield person
