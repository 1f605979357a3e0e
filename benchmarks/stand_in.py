"""A tenant and a web API that answer at once, so that a measurement shows the app and not its neighbours.

Run as ``python -m benchmarks.stand_in DIRECTORY``: writes its certificate authority there (alone as
``ca.pem``, beside the public ones as ``bundle.pem``), prints its addresses as one line of JSON and serves
until its standard input closes.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import ssl
import sys
import time
import uuid
from collections import Counter
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import certifi
import trustme
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

TENANT_ID = "6f1c2b0e-54d3-4c5c-9a51-9f1d8a3f7c21"
KEY_ID = base64.urlsafe_b64encode(hashlib.sha256(b"benchmark").digest()).rstrip(b"=").decode()
API_ID = "2b6f0cc9-04d7-4a3b-8a31-52a4d2c5f0aa"
NAME = "Sam Taylor"
LIFETIME = 3600  # seconds
GRANT_BYTES = {"code": 600, "refresh": 750}  # B2C's grants are about this long, and length costs
Answer = tuple[int, dict | str]
PHRASES = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json_b64(value: object) -> str:
    return _b64(json.dumps(value, separators=(",", ":")).encode())


class Signer:
    """RS256 with one cached key (RFC 7518 section 3.3)."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._head = _json_b64({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"})

    def sign(self, claims: dict) -> str:
        """Return a signed JWT."""
        body = f"{self._head}.{_json_b64(claims)}"
        return f"{body}.{_b64(self._key.sign(body.encode(), padding.PKCS1v15(), SHA256()))}"

    def read(self, token: str) -> dict:
        """Return the claims of a token of ours; raises ValueError for any other."""
        body, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_unb64(signature), body.encode(), padding.PKCS1v15(), SHA256())
        except InvalidSignature as error:
            raise ValueError("not signed with our key") from error
        return json.loads(_unb64(body.partition(".")[2]))

    def key_set(self) -> dict:
        """Return the JWKS in the six fields that B2C gives (b2c: no alg)."""
        numbers = self._key.public_key().public_numbers()
        n, e = (_b64(v.to_bytes((v.bit_length() + 7) // 8, "big")) for v in (numbers.n, numbers.e))
        return {"keys": [{"kid": KEY_ID, "nbf": 1493763266, "use": "sig", "kty": "RSA", "e": e, "n": n}]}


class Tenant:
    """Discovery, keys, authorize, token and logout in B2C's shape; each grant is accepted once."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.signer = Signer()
        self.origins: dict[str, str] = {}
        self._codes: dict[str, dict] = {}
        self._refresh_tokens: dict[str, dict] = {}
        self._keys = self.signer.key_set()

    def discovery(self, base: str) -> dict:
        """Return the metadata of a user flow, ``/{tenant}/{user_flow}`` (OpenID Connect Discovery 1.0, 3)."""
        return {
            "issuer": f"{self.origins['tls']}/{TENANT_ID}/v2.0/",
            "authorization_endpoint": f"{self.origins['pages']}{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{self.origins['tls']}{base}/oauth2/v2.0/token",
            "end_session_endpoint": f"{self.origins['pages']}{base}/oauth2/v2.0/logout",
            "jwks_uri": f"{self.origins['tls']}{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code", "code id_token", "id_token"],
            "scopes_supported": ["openid"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "claims_supported": [
                "name",
                "oid",
                "emails",
                "tfp",
                "iss",
                "iat",
                "exp",
                "aud",
                "acr",
                "nonce",
                "auth_time",
            ],
        }

    def authorize(self, user_flow: str, query: dict) -> str:
        """Sign a new user in at once and return where the browser goes.

        ``first_lifetime`` (seconds), which no app sends, makes the first access token one that soon expires.
        """
        code = secrets.token_urlsafe(GRANT_BYTES["code"])
        self._codes[code] = {
            "flow": user_flow,
            "subject": str(uuid.uuid4()),
            "client": query["client_id"],
            "nonce": query.get("nonce"),
            "scope": query.get("scope", ""),
            "challenge": query.get("code_challenge"),
            "lifetime": int(query.get("first_lifetime", LIFETIME)),
            "auth_time": int(time.time()),
        }
        answer = {"state": query["state"], "code": code} if "state" in query else {"code": code}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def token(self, form: dict) -> tuple[int, dict]:
        """Answer a token request (RFC 6749 sections 4.1.3 and 6) with a status and a body."""
        if form.get("grant_type") == "refresh_token":
            self.counts["refresh"] += 1
            grant = self._refresh_tokens.pop(form.get("refresh_token", ""), None)
        else:
            self.counts["token"] += 1
            grant = self._redeem_code(form)
        if grant is None:
            self.counts["refused grants"] += 1
            return 400, {
                "error": "invalid_grant",
                "error_description": "AADB2C90080: The provided grant is spent.",
            }
        return 200, self._issue(grant, form.get("scope", grant["scope"]).split())

    def _redeem_code(self, form: dict) -> dict | None:
        grant = self._codes.pop(form.get("code", ""), None)
        if grant and grant["challenge"]:
            digest = _b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
            return grant if digest == grant["challenge"] else None
        return grant

    def _issue(self, grant: dict, scopes: list[str]) -> dict:
        now, resources = int(time.time()), [s for s in scopes if s.startswith("https://")]
        user_info = {"uid": f"{grant['subject']}-{grant['flow'].lower()}", "utid": TENANT_ID}
        answer = {
            "id_token": self.signer.sign(self._id_claims(grant, now)),
            "token_type": "Bearer",
            "not_before": now,
        }
        if resources:
            answer |= self._access(grant, resources, now)
        refresh_token = secrets.token_urlsafe(GRANT_BYTES["refresh"])
        self._refresh_tokens[refresh_token] = grant | {"lifetime": LIFETIME}
        answer |= {"client_info": _json_b64(user_info), "scope": " ".join(resources)}
        return answer | {"refresh_token": refresh_token, "refresh_token_expires_in": 1209600}

    def _common(self, grant: dict, now: int, lifetime: int) -> dict:
        times = {"iat": now, "nbf": now, "exp": now + lifetime, "auth_time": grant["auth_time"]}
        issuer = {"ver": "1.0", "iss": f"{self.origins['tls']}/{TENANT_ID}/v2.0/", "tfp": grant["flow"]}
        return issuer | times | {"sub": grant["subject"], "oid": grant["subject"], "name": NAME}

    def _id_claims(self, grant: dict, now: int) -> dict:
        own = {
            "aud": grant["client"],
            "emails": ["sam@example.com"],
            "given_name": "Sam",
            "family_name": "Taylor",
        }
        return (
            self._common(grant, now, LIFETIME) | own | ({"nonce": grant["nonce"]} if grant["nonce"] else {})
        )

    def _access(self, grant: dict, resources: list[str], now: int) -> dict:
        scp = " ".join(s.rsplit("/", 1)[1] for s in resources)
        claims = self._common(grant, now, grant["lifetime"]) | {
            "aud": API_ID,
            "azp": grant["client"],
            "scp": scp,
        }
        times = {"expires_in": grant["lifetime"], "expires_on": now + grant["lifetime"]}
        return {"access_token": self.signer.sign(claims), "resource": API_ID} | times

    def api(self, authorization: str) -> tuple[int, dict]:
        """Answer an API call: 200 for an access token of ours that is still valid, else 401 (RFC 6750, 3)."""
        try:
            claims = self.signer.read(authorization.removeprefix("Bearer "))
        except ValueError:
            return 401, {"error": "invalid_token"}
        if claims.get("aud") != API_ID or claims["exp"] <= time.time():
            return 401, {"error": "invalid_token"}
        return 200, {"tasks": [{"id": 1, "title": "Water the plants"}], "owner": claims["name"]}

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request with a status and JSON, or with 302 and an address."""
        url = urlsplit(target)
        base, _, endpoint = url.path.removesuffix("/openid-configuration").partition("/v2.0/")
        if endpoint == ".well-known":
            return self._count("discovery", (200, self.discovery(base)))
        if url.path.endswith("/discovery/v2.0/keys"):
            return self._count("keys", (200, self._keys))
        if url.path.endswith("/oauth2/v2.0/authorize"):
            return self._count("authorize", (302, self.authorize(url.path.split("/")[2], _single(url.query))))
        if url.path.endswith("/oauth2/v2.0/token") and method == "POST":
            return self.token(_single(body.decode()))
        if url.path.endswith("/oauth2/v2.0/logout"):
            return self._count("logout", (200, {}))
        if url.path == "/tasks":
            return self._count("api", self.api(headers.get("authorization", "")))
        return (200, dict(self.counts)) if url.path == "/counts" else self._count("other", (404, {}))

    def _count(self, name: str, answer: Answer) -> Answer:
        self.counts[name] += 1
        return answer


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


class Connection(asyncio.Protocol):
    """As much of HTTP/1.1 as the apps' clients use: keep-alive, and bodies with a Content-Length."""

    def __init__(self, tenant: Tenant, listener: str) -> None:
        self._tenant, self._listener, self._buffer = tenant, listener, b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._tenant.counts[f"{self._listener} connections"] += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            request_line, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            method, target, _ = request_line.split(" ")
            self._send(*self._tenant.answer(method, target, headers, rest[:length]))

    def _send(self, status: int, answer: dict | str) -> None:
        elsewhere = isinstance(answer, str)
        body = b"" if elsewhere else json.dumps(answer).encode()
        lines = [f"HTTP/1.1 {status} {PHRASES[status]}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(body)}", *([f"Location: {answer}"] if elsewhere else [])]
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)


def _tls_context(directory: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    public = Path(certifi.where()).read_text()
    (directory / "bundle.pem").write_text(public + authority.cert_pem.bytes().decode())
    authority.cert_pem.write_to_path(directory / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def _serve(directory: Path) -> None:
    tenant, loop, tls = Tenant(), asyncio.get_running_loop(), _tls_context(directory)
    for listener, context in (("pages", None), ("tls", tls), ("api", tls), ("http api", None)):
        accept = partial(Connection, tenant, listener)
        server = await loop.create_server(accept, "127.0.0.1", 0, ssl=context)
        host, port = server.sockets[0].getsockname()
        tenant.origins[listener] = f"http{'s' if context else ''}://{host}:{port}"
    print(json.dumps(tenant.origins), flush=True)
    # Whoever started us holds the other end: when it is gone, so are we.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
