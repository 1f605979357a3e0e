"""A tenant and a web API that answer at once, so that a measurement shows the app and not its neighbours."""

import hashlib
import secrets
import time
import uuid
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from .signing import Signer, b64, json_b64

TENANT_ID = "6f1c2b0e-54d3-4c5c-9a51-9f1d8a3f7c21"
API_ID = "2b6f0cc9-04d7-4a3b-8a31-52a4d2c5f0aa"
NAME = "Sam Taylor"
TASK = "Water the plants"
LIFETIME = 3600  # seconds
GRANT_BYTES = {"code": 600, "refresh": 750}  # as long as B2C's, because length costs time
Grant = dict[str, Any]
Answer = tuple[int, dict[str, Any] | str]


class Tenant:
    """Metadata, keys, authorize, token and logout as B2C has them. Each grant is accepted once."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.signer = Signer()
        self.origins: dict[str, str] = {}
        self._codes: dict[str, Grant] = {}
        self._refresh_tokens: dict[str, Grant] = {}
        self._keys = self.signer.key_set()

    def metadata(self, base: str) -> dict[str, Any]:
        """Return the metadata of a user flow, ``/{tenant}/{user_flow}`` (OpenID Connect Discovery 1.0, 3)."""
        return {
            "issuer": f"{self.origins['tls']}/{TENANT_ID}/v2.0/",
            "authorization_endpoint": f"{self.origins['pages']}{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{self.origins['tls']}{base}/oauth2/v2.0/token",
            "end_session_endpoint": f"{self.origins['pages']}{base}/oauth2/v2.0/logout",
            "jwks_uri": f"{self.origins['tls']}{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }

    def authorize(self, user_flow: str, query: dict[str, str]) -> str:
        """Sign a new user in and return where the browser goes.

        ``first_lifetime`` is the lifetime of the first access token in seconds. Only benchmarks send it.
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

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
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
        scope = form["scope"] if "scope" in form else grant["scope"]
        return 200, self._issue(grant, scope.split())

    def _redeem_code(self, form: dict[str, str]) -> Grant | None:
        grant = self._codes.pop(form.get("code", ""), None)
        if grant and grant["challenge"]:
            digest = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
            return grant if digest == grant["challenge"] else None
        return grant

    def _issue(self, grant: Grant, scopes: list[str]) -> dict[str, Any]:
        now, api_scopes = int(time.time()), [s for s in scopes if s.startswith("https://")]
        user_info = {"uid": f"{grant['subject']}-{grant['flow'].lower()}", "utid": TENANT_ID}
        answer = {
            "id_token": self.signer.sign(self._id_claims(grant, now)),
            "token_type": "Bearer",
            "not_before": now,
        }
        if api_scopes:
            answer |= self._access_token(grant, api_scopes, now)
        refresh_token = secrets.token_urlsafe(GRANT_BYTES["refresh"])
        self._refresh_tokens[refresh_token] = grant | {"lifetime": LIFETIME}
        answer |= {"client_info": json_b64(user_info), "scope": " ".join(api_scopes)}
        return answer | {"refresh_token": refresh_token, "refresh_token_expires_in": 1209600}

    def _common_claims(self, grant: Grant, now: int, lifetime: int) -> dict[str, Any]:
        return {
            "ver": "1.0",
            "iss": f"{self.origins['tls']}/{TENANT_ID}/v2.0/",
            "tfp": grant["flow"],
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "auth_time": grant["auth_time"],
            "sub": grant["subject"],
            "oid": grant["subject"],
            "name": NAME,
        }

    def _id_claims(self, grant: Grant, now: int) -> dict[str, Any]:
        claims = self._common_claims(grant, now, LIFETIME)
        claims |= {"aud": grant["client"], "emails": ["sam@example.com"]}
        claims |= {"given_name": "Sam", "family_name": "Taylor"}
        return claims | {"nonce": grant["nonce"]} if grant["nonce"] else claims

    def _access_token(self, grant: Grant, scopes: list[str], now: int) -> dict[str, Any]:
        lifetime = grant["lifetime"]
        claims = self._common_claims(grant, now, lifetime)
        claims |= {"aud": API_ID, "azp": grant["client"]}
        claims["scp"] = " ".join(scope.rsplit("/", 1)[1] for scope in scopes)
        times = {"expires_in": lifetime, "expires_on": now + lifetime}
        return {"access_token": self.signer.sign(claims), "resource": API_ID} | times

    def api(self, authorization: str) -> tuple[int, dict[str, Any]]:
        """Answer an API call: 200 for a valid access token of this tenant, else 401 (RFC 6750 section 3)."""
        try:
            claims = self.signer.read(authorization.removeprefix("Bearer "))
        except ValueError:
            return 401, {"error": "invalid_token"}
        if claims.get("aud") != API_ID or claims["exp"] <= time.time():
            return 401, {"error": "invalid_token"}
        return 200, {"tasks": [{"id": 1, "title": TASK}], "owner": claims["name"]}

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[str, Answer]:
        """Return which endpoint was asked, and its answer: a status with JSON, or with where to go."""
        url = urlsplit(target)
        path, query = url.path, _single(url.query)
        if path.endswith("/v2.0/.well-known/openid-configuration"):
            return self._counted("metadata", (200, self.metadata(path.partition("/v2.0/")[0])))
        if path.endswith("/discovery/v2.0/keys"):
            return self._counted("keys", (200, self._keys))
        if path.endswith("/oauth2/v2.0/authorize"):
            return self._counted("authorize", (302, self.authorize(path.split("/")[2], query)))
        if path.endswith("/oauth2/v2.0/token") and method == "POST":
            return "token", self.token(_single(body.decode()))
        if path.endswith("/oauth2/v2.0/logout"):
            return self._counted("logout", (200, {}))
        if path == "/tasks":
            return self._counted("api", self.api(headers.get("authorization", "")))
        return self._counted("other", (404, {}))

    def _counted(self, endpoint: str, answer: Answer) -> tuple[str, Answer]:
        self.counts[endpoint] += 1
        return endpoint, answer


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
