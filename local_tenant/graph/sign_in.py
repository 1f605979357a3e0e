"""The sign-in service's part of the stand-in: one public client, by browser or by device code.

Source: Microsoft Learn, "OAuth 2.0 authorization code flow" and "OAuth 2.0 device authorization grant".
"""

import base64
import hashlib
import re
import secrets
import time
import uuid
from dataclasses import dataclass

from flask import Blueprint, render_template_string, request
from flask.typing import ResponseReturnValue

from ..model.signing import KeyRing
from ..model.steering import Clock
from .directory import Directory

# Microsoft Graph Command Line Tools
PUBLIC_CLIENT = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
LIFETIME = 3600  # seconds
RESERVED = {"openid", "profile", "offline_access"}

ACCOUNT_PAGE = """<!doctype html><html lang="en"><title>Sign in</title>
<h1>Stand-in for the sign-in service</h1>
<p>{{ application }} asks for: {{ scope }}</p>
<form method="post"><button>Sign in as {{ username }} and accept</button></form>"""
FORM_POST_PAGE = """<!doctype html><html lang="en"><title>Continue</title>
<form method="post" action="{{ redirect_uri }}">
{% for name, value in answer.items() %}<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}<button>Continue</button></form>"""
DEVICE_PAGE = """<!doctype html><html lang="en"><title>Enter code</title>
<form method="post"><label>Code <input name="user_code"></label><button>Next</button></form>"""


@dataclass
class Grant:
    """A code that was given out, and what for."""

    scope: str
    approved: bool = False
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str | None = None


class SignInService:
    """Issues access tokens for Microsoft Graph.

    `consented` are the permissions that the operator gets at most; None for all. With `approves_at_once`, a
    device code needs nobody to enter it.
    """

    def __init__(self, directory: Directory):
        self.origin = ""
        self._keys = KeyRing(Clock())
        self.start_over(directory)

    def start_over(self, directory: Directory) -> None:
        """Serve another directory, and forget all codes and tokens."""
        self.directory = directory
        self.username = f"admin@{directory.domain}"
        self.consented: frozenset[str] | None = None
        self.approves_at_once = False
        self.blocks_device_code = False
        self._codes: dict[str, Grant] = {}
        self._devices: dict[str, tuple[str, Grant]] = {}  # by user code
        self._tokens: dict[str, tuple[frozenset[str], float]] = {}

    def scopes_of(self, access_token: str) -> frozenset[str] | None:
        """The permissions of an access token. None for one that is unknown or has expired."""
        scopes, expires = self._tokens.get(access_token, (frozenset(), 0.0))
        return scopes if expires > time.time() else None

    def approve(self, user_code: str) -> bool:
        """Enter a device code, as the operator does on another device."""
        if user_code not in self._devices:
            return False
        self._devices[user_code][1].approved = True
        return True

    def issue(self, scope: str, nonce: str | None = None) -> dict[str, object]:
        """A token response. Permissions that were not consented to are left out."""
        granted = [one for one in scope.split() if one in RESERVED or self._may(one)]
        access_token = secrets.token_urlsafe(40)
        names = frozenset(one.removeprefix(f"{self.origin}/") for one in granted)
        self._tokens[access_token] = (names - RESERVED, time.time() + LIFETIME)
        return {
            "token_type": "Bearer",
            "scope": " ".join(granted),
            "expires_in": LIFETIME,
            "access_token": access_token,
            "id_token": self._id_token(nonce),
        }

    def _may(self, scope: str) -> bool:
        name = scope.removeprefix(f"{self.origin}/")
        return name != scope and (self.consented is None or name in self.consented)

    def _id_token(self, nonce: str | None) -> str:
        now, tenant = int(time.time()), self.directory.tenant_id
        claims = {
            "iss": f"{self.origin}/{tenant}/v2.0",
            "aud": PUBLIC_CLIENT,
            "sub": secrets.token_urlsafe(20),
            "oid": str(uuid.uuid5(uuid.NAMESPACE_DNS, self.username)),
            "tid": tenant,
            "preferred_username": self.username,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
        }
        return self._keys.sign(claims | ({"nonce": nonce} if nonce else {}))

    # Endpoints

    def blueprint(self) -> Blueprint:
        views = Blueprint("sign_in", __name__)
        rules = {
            "v2.0/.well-known/openid-configuration": (self._metadata, "GET"),
            "oauth2/v2.0/authorize": (self._account_page, "GET"),
            "oauth2/v2.0/token": (self._token, "POST"),
            "oauth2/v2.0/devicecode": (self._device_code, "POST"),
        }
        for path, (view, method) in rules.items():
            views.add_url_rule(f"/<tenant>/{path}", view.__name__, view, methods=[method])
        views.add_url_rule("/<tenant>/oauth2/v2.0/authorize", "accept", self._accept, methods=["POST"])
        views.add_url_rule("/devicelogin", "device", self._device_page, methods=["GET", "POST"])
        return views

    def _metadata(self, tenant: str) -> ResponseReturnValue:
        if tenant.lower() not in (self.directory.tenant_id, self.directory.domain):
            description = (
                f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant."
            )
            return {"error": "invalid_tenant", "error_description": description}, 400
        base = f"{self.origin}/{tenant}/oauth2/v2.0"
        return {
            "issuer": f"{self.origin}/{self.directory.tenant_id}/v2.0",
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "device_authorization_endpoint": f"{base}/devicecode",
            "jwks_uri": f"{self.origin}/{tenant}/discovery/v2.0/keys",
        }

    def _account_page(self, tenant: str) -> ResponseReturnValue:
        problem = self._problem_with_authorization_request()
        if problem:
            return problem, 400
        return render_template_string(
            ACCOUNT_PAGE,
            application="Microsoft Graph Command Line Tools",
            scope=request.args["scope"],
            username=self.username,
        )

    def _problem_with_authorization_request(self) -> str:
        args = request.args
        wanted = {
            "client_id": PUBLIC_CLIENT,
            "response_type": "code",
            "response_mode": "form_post",
            "code_challenge_method": "S256",
        }
        for name, value in wanted.items():
            if args.get(name) != value:
                return f"AADSTS900144: {name} has to be {value}"
        if not re.fullmatch(r"http://localhost(:\d+)?", args.get("redirect_uri", "")):
            return "AADSTS50011: the redirect URI is not registered"
        if not args.get("state") or not args.get("code_challenge") or not args.get("scope"):
            return "AADSTS900144: state, code_challenge or scope is missing"
        return ""

    def _accept(self, tenant: str) -> ResponseReturnValue:
        problem = self._problem_with_authorization_request()
        if problem:
            return problem, 400
        args, code = request.args, secrets.token_urlsafe(40)
        self._codes[code] = Grant(
            args["scope"], True, args["redirect_uri"], args["code_challenge"], args.get("nonce")
        )
        answer = {"code": code, "state": args["state"]}
        return render_template_string(FORM_POST_PAGE, redirect_uri=args["redirect_uri"], answer=answer)

    def _device_code(self, tenant: str) -> ResponseReturnValue:
        if request.form.get("client_id") != PUBLIC_CLIENT:
            return {"error": "unauthorized_client", "error_description": "AADSTS700016"}, 400
        user_code, device_code = secrets.token_hex(4).upper(), secrets.token_urlsafe(40)
        grant = Grant(request.form.get("scope", ""), approved=self.approves_at_once)
        self._devices[user_code] = (device_code, grant)
        page = f"{self.origin}/devicelogin"
        return {
            "user_code": user_code,
            "device_code": device_code,
            "verification_uri": page,
            "expires_in": 900,
            "interval": 1,
            "message": f"To sign in, open the page {page} in a web browser and enter the code {user_code}.",
        }

    def _device_page(self) -> ResponseReturnValue:
        if request.method == "POST":
            return (
                "Done." if self.approve(request.form.get("user_code", "")) else ("That code is wrong.", 400)
            )
        return DEVICE_PAGE

    def _token(self, tenant: str) -> ResponseReturnValue:
        form = request.form
        if form.get("client_id") != PUBLIC_CLIENT or "client_secret" in form:
            return {"error": "invalid_client", "error_description": "AADSTS700025: the client is public"}, 401
        if form.get("grant_type") == "authorization_code":
            return self._redeem_code()
        if form.get("grant_type") in ("device_code", "urn:ietf:params:oauth:grant-type:device_code"):
            return self._redeem_device_code()
        return {"error": "unsupported_grant_type", "error_description": "AADSTS70003"}, 400

    def _redeem_code(self) -> ResponseReturnValue:
        form = request.form
        grant = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not grant or grant.redirect_uri != form.get("redirect_uri") or grant.challenge != challenge:
            return {"error": "invalid_grant", "error_description": "AADSTS70008: the code is not valid"}, 400
        return self.issue(grant.scope, grant.nonce)

    def _redeem_device_code(self) -> ResponseReturnValue:
        if self.blocks_device_code:
            description = "AADSTS53003: Access has been blocked by Conditional Access policies."
            answer = {"error": "invalid_grant", "error_description": description, "error_codes": [53003]}
            return answer, 400
        wanted = request.form.get("device_code")
        for user_code, (device_code, grant) in list(self._devices.items()):
            if device_code == wanted and grant.approved:
                del self._devices[user_code]
                return self.issue(grant.scope)
            if device_code == wanted:
                return {"error": "authorization_pending", "error_description": "AADSTS70016"}, 400
        return {"error": "expired_token", "error_description": "AADSTS70020"}, 400
