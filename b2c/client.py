"""The app registration at work: begin and complete user flows, get access tokens, sign out."""

import json
import logging
import re
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt
import msal
from jwt.utils import base64url_decode

from .authority import Authority, Reply, Server
from .claims import printable
from .problems import (
    AnswerRefused,
    Problem,
    SetupFault,
    SignInRequired,
    TenantUnavailable,
    TokenRefused,
    from_answer,
    short,
)

log = logging.getLogger(__name__)

# form_post, which MSAL recommends, comes back as a cross-site POST, without SameSite=Lax cookies.
warnings.filterwarnings("ignore", message="response_mode='form_post'", module="msal")

CLOCK_SKEW = 300  # seconds; what Microsoft's own stack allows (TokenValidationParameters.ClockSkew)

LONGEST_HINT = 4000  # characters of an ID token that still fit into a redirect's headers behind any proxy
REFRESH_AHEAD = 300  # seconds before its end from which on MSAL refreshes an access token

# What MSAL, which does not validate, raises on an answer that it cannot make sense of.
UNREADABLE = (ArithmeticError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


class _TokenCache(msal.SerializableTokenCache):
    """MSAL's token cache, written without the indentation that doubles its size."""

    def __init__(self, serialized: str = "") -> None:
        super().__init__()
        self.deserialize(serialized)

    def serialize(self) -> str:
        with self._lock:
            self.has_state_changed = False
            return json.dumps(self._cache)


class _Transport:
    """What MSAL talks through: metadata comes from our cache, token requests are bounded and checked."""

    def __init__(self, authority: Authority):
        self._authority = authority

    def get(self, url: str, **kwargs: Any) -> Reply:
        return Reply(200, {}, json.dumps(self._authority.metadata))

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], **kwargs: Any) -> Reply:
        headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        return self._authority.post_to_token_endpoint(url, data=urlencode(data), headers=headers)

    def close(self) -> None:
        """Nothing to do: the connections are shared."""


def checked_hints(given: Mapping[str, str]) -> dict[str, str]:
    """Those of the `given` hints for the tenant's pages that are well-formed.

    Without `ui_locales` the pages follow the browser's own Accept-Language. Source: Microsoft Learn, "Set up
    direct sign-in using Azure Active Directory B2C".
    """
    forms = {
        "login_hint": r"[^\x00-\x20\x7f]{1,254}",
        "domain_hint": r"[A-Za-z0-9.-]{1,253}",
        "ui_locales": r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*( [A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*){0,4}",
    }
    return {name: given[name] for name in forms if re.fullmatch(forms[name], given.get(name, ""))}


@dataclass(frozen=True)
class SignIn:
    """A completed user flow: who it was (checked claims) and what MSAL keeps for them."""

    claims: dict[str, Any]
    account_id: str
    token_cache: str


@dataclass(frozen=True)
class AccessToken:
    """An access token, and the token cache to store if getting it has changed the cache."""

    secret: str
    token_cache: str | None


class Client:
    """The app registration, at every user flow that it uses.

    `authorities` maps the name of each user flow to its authority URL; `scopes` are the web API's.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        authorities: Mapping[str, str],
        redirect_uri: str,
        scopes: Iterable[str] = (),
        tenant_id: str | None = None,
    ):
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self.scopes = list(scopes)
        self._client_secret = client_secret
        server = Server(next(iter(authorities.values())))
        self.authorities = {
            user_flow: Authority(url, user_flow, tenant_id, server) for user_flow, url in authorities.items()
        }
        self._beginners: dict[str, tuple[Mapping[str, str], msal.ConfidentialClientApplication]] = {}

    def begin(self, user_flow: str, *, scopes: Iterable[str] = (), **hints: str) -> dict[str, Any]:
        """Begin `user_flow`: MSAL's flow with `state`, `nonce`, PKCE verifier and the `auth_uri` to go to.

        `hints` are `login_hint`, `domain_hint`, `prompt` and `ui_locales` (Microsoft Learn, "Set up direct
        sign-in"). Raises TenantUnavailable or SetupFault.
        """
        ui_locales = hints.pop("ui_locales", None)
        flow = self._beginner(user_flow).initiate_auth_code_flow(
            list(scopes), redirect_uri=self.redirect_uri, response_mode="query", **hints
        )
        if ui_locales:  # MSAL has no parameter for it
            flow["auth_uri"] += "&" + urlencode({"ui_locales": ui_locales})
        flow["began"] = time.time()
        return flow

    def complete(self, user_flow: str, flow: dict[str, Any], response: Mapping[str, str]) -> SignIn:
        """Complete the `flow` that `begin` began with the authorization response (RFC 6749 section 4.1.2).

        Raises Problem: Cancelled, PasswordForgotten, AnswerRefused, TokenRefused, SignInRequired,
        TenantUnavailable or SetupFault.
        """
        # An issuer, where one is named, must be ours (RFC 9207 section 2.4).
        authority = self.authorities[user_flow]
        if "iss" in response and response["iss"] != authority.metadata["issuer"]:
            raise AnswerRefused(f"the response comes from {response['iss']!r}")
        # One outcome, not both (RFC 6749 section 4.1.2.1).
        if ("code" in response) == ("error" in response):
            raise AnswerRefused("the response needs either a code or an error")
        if "error" in response:
            raise self.problem(response)
        # The code, for tokens. MSAL checks state and nonce, and sends the PKCE verifier.
        cache = _TokenCache()
        application = self._application(user_flow, cache)
        result = _redeem(application, flow, {"state": response.get("state"), "code": response["code"]})
        if "error" in result:
            raise self.problem(result)
        # The ID token, before anything in it is believed.
        claims = self._check_id_token(authority, result.get("id_token"))
        refused = set(self.scopes) & set(flow["scope"]) - set(str(result.get("scope")).split())
        if "access_token" in result and refused:
            log.warning("not granted: %s. Give the app registration these permissions", " ".join(refused))
        if claims["iat"] < flow["began"] - CLOCK_SKEW:
            raise TokenRefused("the ID token is older than this sign-in")
        # The cache was empty, so it holds this sign-in's account alone.
        [account] = application.get_accounts()
        return SignIn(claims, account["home_account_id"], cache.serialize())

    def cached_access_token(self, token_cache: str, account_id: str) -> str | None:
        """The web API's access token from the cache, unless it is about to expire. Asks nobody."""
        cache = _TokenCache(token_cache)
        # Whatever part of the scopes was granted: asking again would not bring more.
        query = {"client_id": self.client_id, "home_account_id": account_id}
        for token in cache.search(cache.CredentialType.ACCESS_TOKEN, query=query):
            if int(token["expires_on"]) > time.time() + REFRESH_AHEAD:
                return token["secret"]
        return None

    def refreshed_access_token(
        self, user_flow: str, token_cache: str, account_id: str, subject: str
    ) -> AccessToken:
        """The web API's access token for this account, from the tenant if the cached one is about to expire.

        Raises SignInRequired when only the user can help, TenantUnavailable, SetupFault or TokenRefused.
        """
        cache = _TokenCache(token_cache)
        application = self._application(user_flow, cache)
        account = next((a for a in application.get_accounts() if a["home_account_id"] == account_id), None)
        try:
            result = application.acquire_token_silent_with_error(self.scopes, account)
        except UNREADABLE as error:
            raise TenantUnavailable(f"MSAL could not read the token response: {short(error)}") from error
        if not result:
            raise SignInRequired("the token cache holds nothing for this account")
        if "error" in result:
            raise self.problem(result)
        if "id_token" in result:
            refreshed = self._check_id_token(self.authorities[user_flow], result["id_token"])
            if refreshed["sub"] != subject:  # OpenID Connect Core section 12.2
                raise TokenRefused("the refreshed ID token is for another user")
        if "access_token" not in result:
            raise SetupFault("the tenant gave no access token for SCOPE")
        return AccessToken(result["access_token"], cache.serialize() if cache.has_state_changed else None)

    def warm_up(self, user_flow: str) -> None:
        """Fetch what a token request will need besides itself. Raises TenantUnavailable or SetupFault."""
        self.authorities[user_flow].signing_keys  # noqa: B018 - the keys' address is in the metadata

    def sign_out_uri(self, user_flow: str, token_cache: str | None, post_logout_redirect_uri: str) -> str:
        """Where a browser goes to end the tenant's session (OpenID Connect RP-Initiated Logout, section 2).

        Raises TenantUnavailable or SetupFault.
        """
        parameters = {"client_id": self.client_id, "post_logout_redirect_uri": post_logout_redirect_uri}
        id_token = _id_token(token_cache)
        if id_token and len(id_token) < LONGEST_HINT:
            parameters["id_token_hint"] = id_token
        endpoint = self.authorities[user_flow].metadata["end_session_endpoint"]
        return endpoint + ("&" if "?" in endpoint else "?") + urlencode(parameters)

    def redeem_made_up_code(self, user_flow: str) -> Mapping[str, Any]:
        """The tenant's refusal of a code that never was, which tells whether it knows the client secret."""
        flow = self.begin(user_flow)
        application = self._application(user_flow, msal.TokenCache())
        return _redeem(application, flow, {"state": flow["state"], "code": "made-up"})

    def problem(self, answer: Mapping[str, Any]) -> Problem:
        """The problem that an OAuth error response stands for."""
        return from_answer(answer, redirect_uri=self.redirect_uri, scope=" ".join(self.scopes))

    def _beginner(self, user_flow: str) -> msal.ConfidentialClientApplication:
        """The MSAL application that begins this user flow for everybody; anew when the metadata is."""
        metadata = self.authorities[user_flow].metadata
        known, application = self._beginners.get(user_flow, (None, None))
        if known is not metadata:
            application = self._application(user_flow, msal.TokenCache())
            self._beginners[user_flow] = metadata, application
        return application

    def _application(self, user_flow: str, cache: msal.TokenCache) -> msal.ConfidentialClientApplication:
        """A new MSAL application, so that its http_cache cannot hold one user's refusal against another."""
        authority = self.authorities[user_flow]
        return msal.ConfidentialClientApplication(
            self.client_id,
            client_credential=self._client_secret,
            authority=authority.url,
            token_cache=cache,
            http_client=_Transport(authority),
            instance_discovery=False,  # custom domains are unknown to login.microsoftonline.com
        )

    def _check_id_token(self, authority: Authority, id_token: Any) -> dict[str, Any]:
        """The claims of `id_token`, checked as OpenID Connect Core section 3.1.3.7 and B2C's documents ask;
        all but the nonce, which MSAL checks at sign-in and a refreshed token need not have.

        Raises TokenRefused with the check that failed.
        """
        if not isinstance(id_token, str):
            raise TokenRefused("there is no ID token")
        try:
            key = authority.signing_key(_key_id(id_token))
            claims = jwt.decode(
                id_token,
                key.key,
                algorithms=["RS256"],
                audience=self.client_id,
                issuer=authority.metadata["issuer"],
                leeway=CLOCK_SKEW,
                options={"require": ["iss", "aud", "exp", "nbf", "iat", "sub"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise TokenRefused(f"the ID token is not valid: {short(error)}") from error
        if not all(isinstance(claims[name], int) for name in ("exp", "nbf", "iat")):  # RFC 7519 section 2
            raise TokenRefused("the ID token's times are not numbers")
        if claims["aud"] not in (self.client_id, [self.client_id]):
            raise TokenRefused("the ID token is for another audience too")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise TokenRefused("the ID token's sub is empty")
        issued_by = claims.get("tfp") or claims.get("acr")
        if str(issued_by).lower() != authority.user_flow.lower():
            raise TokenRefused(f"the ID token is of user flow {issued_by!r}")
        return json.loads(printable(json.dumps(claims, ensure_ascii=False)))


def _key_id(token: str) -> Any:
    """The `kid` of a token that is still to be checked. (PyJWT would decode the other parts as well.)"""
    return json.loads(base64url_decode(token.partition(".")[0])).get("kid")


def _redeem(
    application: msal.ConfidentialClientApplication, flow: dict[str, Any], response: dict[str, Any]
) -> dict[str, Any]:
    try:
        return application.acquire_token_by_auth_code_flow(flow, response)
    except UNREADABLE as error:
        raise TokenRefused(f"MSAL refused the token response: {short(error)}") from error


def _id_token(token_cache: str | None) -> str | None:
    if not token_cache:
        return None
    cache = _TokenCache(token_cache)
    tokens = cache.search(msal.TokenCache.CredentialType.ID_TOKEN)
    return next((token["secret"] for token in tokens), None)
