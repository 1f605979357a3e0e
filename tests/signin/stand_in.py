"""A provider for tests: any host's metadata, keys, tokens and userinfo, behind TLS and a proxy.

The client speaks to `https://login.microsoftonline.com` and the like: HTTPS_PROXY leads every host here.
"""

import json
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
import trustme
from jwt.algorithms import RSAAlgorithm

from tests.helpers.keys import rsa_key

HOSTS = [
    "login.microsoftonline.com",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "contoso.ciamlogin.com",
    "contoso.b2clogin.com",
    "login.contoso.com",
    "op.example",
    "other.example",
]


@dataclass
class Provider:
    """What the stand-in answers. A test changes it as it likes."""

    metadata: dict[str, dict[str, Any] | tuple[int, dict[str, Any]]] = field(default_factory=dict)  # by URL
    key_issuers: dict[str, str | None] = field(default_factory=lambda: {"k1": None})  # by kid
    claims: dict[str, Any] = field(default_factory=dict)
    signed_with: str = "k1"
    algorithm: str = "RS256"
    key_id: str | None = "k1"
    token_answer: dict[str, Any] = field(default_factory=dict)  # members to add; None removes one
    token_error: dict[str, Any] | None = None
    userinfo: dict[str, Any] | None = None
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    delay: float = 0.0  # seconds before each answer
    released: threading.Event = field(default_factory=threading.Event)  # clear it to hold every answer

    def __post_init__(self) -> None:
        self.released.set()

    def seen(self, ending: str) -> list[dict[str, str]]:
        """The forms of the requests to URLs that end like this."""
        return [form for url, form, _ in self.requests if url.endswith(ending)]

    def answer(self, url: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.requests.append((url, form, headers))
        time.sleep(self.delay)
        self.released.wait(10)
        if url in self.metadata:
            found = self.metadata[url]
            return found if isinstance(found, tuple) else (200, found)
        if url.endswith("/keys"):
            return 200, {"keys": [self._jwk(kid) for kid in self.key_issuers]}
        if url.endswith("/token"):
            return (400, self.token_error) if self.token_error else (200, self._tokens())
        if url.endswith("/userinfo") and self.userinfo is not None:
            return 200, self.userinfo
        return 404, {}

    def _jwk(self, kid: str) -> dict[str, Any]:
        jwk: dict[str, Any] = RSAAlgorithm.to_jwk(rsa_key(kid).public_key(), as_dict=True)
        issuer = self.key_issuers[kid]
        return jwk | {"kid": kid, "use": "sig"} | ({"issuer": issuer} if issuer else {})

    def _tokens(self) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iat": now, "nbf": now, "exp": now + 3600, "sub": "some-sub"} | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": self.key_id} if self.key_id else None
        payload = json.dumps(claims).encode()  # jwt.encode would refuse some of the bad ones
        id_token = jwt.PyJWS().encode(payload, rsa_key(self.signed_with), self.algorithm, headers)
        answer = {
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": id_token,
            "access_token": secrets.token_urlsafe(),
            "refresh_token": secrets.token_urlsafe(),
        } | self.token_answer
        return {name: value for name, value in answer.items() if value is not None}


class StandIn:
    """The servers. `provider` is replaced by each test."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.ca = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*HOSTS).configure_cert(context)
        self._tls = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._tls.socket = context.wrap_socket(self._tls.socket, server_side=True)
        self._proxy = socket.create_server(("127.0.0.1", 0))
        self.proxy_url = f"http://127.0.0.1:{self._proxy.getsockname()[1]}"
        threading.Thread(target=self._tls.serve_forever, args=(0.05,), daemon=True).start()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._tls.shutdown()
        self._tls.server_close()
        self._proxy.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one piece

            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(dict(parse_qsl(body)))

            def _answer(self, form: dict[str, str]) -> None:
                url = f"https://{self.headers['Host']}{self.path}"
                status, members = stand_in.provider.answer(url, form, dict(self.headers))
                body = json.dumps(members).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._proxy.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        """Answer CONNECT, whatever the host, and pass bytes on both ways."""
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(4096)
        server = socket.create_connection(("127.0.0.1", self._tls.server_port))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
        _pass_on(client, server)


def serve_on(servers: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Lead every client that is made from now on to the stand-in, with nothing set."""
    bundle = folder / "stand-in-ca.pem"
    servers.ca.cert_pem.write_to_path(str(bundle))
    for name, value in {"HTTPS_PROXY": servers.proxy_url, "NO_PROXY": ""}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    servers.provider = Provider()
    return servers.provider


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    finally:
        target.close()


def query(uri: str) -> dict[str, str]:
    """The parameters of a URI, each given once."""
    parameters = parse_qs(urlsplit(uri).query)
    assert all(len(values) == 1 for values in parameters.values())
    return {name: values[0] for name, values in parameters.items()}
