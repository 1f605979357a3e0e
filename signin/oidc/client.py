"""The app as a client of its provider: begin and complete user flows, get access tokens, sign out.

MSAL builds the requests, redeems codes and refresh tokens and keeps the tokens. It validates next to nothing;
what it leaves to the application is done in this package.
"""

import logging
import secrets
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msal

from . import token_cache as tokens
from .claims import as_name, short
from .credentials import Credential
from .errors import (
    InteractionRequired,
    OidcError,
    ProviderUnavailable,
    ResponseRefused,
    SetupFault,
    SignInRequired,
    TokenRefused,
)
from .hints import checked_claims
from .http_client import HttpClient
from .id_token import CLOCK_SKEW, check_id_token
from .metadata import Authority, SigningKey
from .providers import SIGN_IN, Provider
from .token_cache import TokenCache, api_scopes
from .transport import Transport
from .userinfo import with_userinfo

log = logging.getLogger(__name__)

# form_post, which MSAL recommends, comes back as a cross-site POST, without SameSite=Lax cookies.
warnings.filterwarnings("ignore", message="response_mode='form_post'", module="msal")

# RFC 6749 section 5.2; Azure AD B2C answers AADB2C90117 as an invalid_request.
SCOPE_ERRORS = {"invalid_scope", "invalid_request"}
ADDED_BY_MSAL = {"openid", "profile", "offline_access"}  # it refuses them among the scopes asked for

# What MSAL raises for malformed responses, which it does not validate.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class SignIn:
    """A completed user flow: who it was (checked claims), what was granted, and the tokens."""

    claims: dict[str, Any]
    user_id: str
    account_id: str
    token_cache: str
    new_user: bool
    granted_scopes: frozenset[str]


@dataclass(frozen=True)
class AccessToken:
    """An access token. `token_cache` is to be stored if getting the token has changed it; `claims` are those
    of a refreshed ID token.
    """

    secret: str
    token_cache: str | None
    claims: dict[str, Any] | None


class _Application(NamedTuple):
    metadata: Mapping[str, Any]  # that it was made from
    application: msal.ConfidentialClientApplication


class Client:
    """The app registration at one provider."""

    def __init__(self, provider: Provider, client_id: str, credential: Credential, redirect_uri: str):
        self.provider = provider
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self.user_flows = provider.user_flows
        self.http = HttpClient(provider.name, ca_for=provider.authority_url)
        self.credential = credential
        self._authorities: dict[str, Authority] = {}
        by_url: dict[str, Authority] = {}
        for user_flow in provider.user_flows:
            url = provider.metadata_url(user_flow)
            if url not in by_url:
                by_url[url] = Authority(provider, user_flow, self.http)
            self._authorities[user_flow] = by_url[url]
        self._idle: dict[str, list[_Application]] = {flow: [] for flow in provider.user_flows}

    # --- User flows -----------------------------------------------------------------------------------------

    def begin(
        self,
        user_flow: str,
        scopes: Collection[str] = (),
        *,
        login_hint: str | None = None,
        domain_hint: str | None = None,
        ui_locales: str | None = None,
        prompt: str | None = None,
        claims_challenge: str | None = None,
    ) -> dict[str, Any]:
        """Begin `user_flow`: MSAL's flow with `state`, `nonce`, PKCE verifier and the `auth_uri` to go to.

        `claims_challenge` is JSON text, as InteractionRequired has it. Raises ProviderUnavailable or
        SetupFault.
        """
        metadata = self.metadata(user_flow)
        asked = {*scopes, *self.provider.extra_scopes(metadata)} - ADDED_BY_MSAL
        with self._application(user_flow) as application:
            flow: dict[str, Any] = application.initiate_auth_code_flow(
                sorted(asked),
                redirect_uri=self.redirect_uri,
                state=secrets.token_urlsafe(16),  # MSAL's own has fewer bits, and takes longer
                response_mode="query",
                login_hint=login_hint,
                domain_hint=domain_hint,
                prompt=prompt or self.provider.prompt(user_flow),
                claims_challenge=checked_claims(claims_challenge) if claims_challenge else None,
            )
        if ui_locales:  # MSAL has no parameter for it
            flow["auth_uri"] += "&" + urlencode(self.provider.language_parameters(ui_locales))
        flow["began"] = time.time()
        return flow

    def complete(
        self, user_flow: str, auth_code_flow: Mapping[str, Any], response: Mapping[str, str]
    ) -> SignIn:
        """Complete the flow that `begin` began with the authorization response (RFC 6749 section 4.1.2).

        Raises OidcError, in each of its forms.
        """
        authority = self._authorities[user_flow]
        metadata = authority.metadata
        # The response belongs to this flow (RFC 6749 section 10.12).
        if response.get("state") != auth_code_flow["state"]:
            raise ResponseRefused("the response has another state")
        # If the response names its issuer, it is this provider (RFC 9207 section 2.4).
        if "iss" in response and not self.provider.response_issuer_fits(response["iss"], metadata["issuer"]):
            raise ResponseRefused(f"the response comes from {response['iss']!r}")
        if "iss" not in response and metadata.get("authorization_response_iss_parameter_supported") is True:
            raise ResponseRefused("the response does not say from whom it comes")
        # It is a code or an error, not both (RFC 6749 section 4.1.2.1).
        if ("code" in response) == ("error" in response):
            raise ResponseRefused("the response needs either a code or an error")
        if "error" in response:
            raise self.error_from({name: response.get(name) for name in ("error", "error_description")})
        with self._application(user_flow) as application:
            # Redeem the code. MSAL checks the nonce and sends the PKCE verifier.
            result = self._redeem(application, auth_code_flow, response["code"])
            if "error" in result:
                error = self.error_from(result)
                error.scopes = tuple(sorted(api_scopes(auth_code_flow["scope"])))
                raise error
            # Check the ID token before using its claims.
            claims = check_id_token(
                result.get("id_token"), self.provider, authority, user_flow, self.client_id
            )
            if claims["iat"] < auth_code_flow["began"] - self.provider.backdating - CLOCK_SKEW:
                raise TokenRefused("the ID token is older than this sign-in", check="iat")
            if response.get("iss", metadata["issuer"]) not in (metadata["issuer"], claims["iss"]):
                raise ResponseRefused(
                    f"response and ID token are from different issuers: {response['iss']!r}"
                )
            # Some providers return the name only from userinfo.
            if self.provider.has_userinfo and not as_name(claims.get("name")):
                claims = with_userinfo(claims, metadata, result.get("access_token"), self.http)
            # The cache was empty, so it now holds exactly one account.
            granted = self._note_granted(application.token_cache, api_scopes(auth_code_flow["scope"]), result)
            [account] = application.token_cache.search(TokenCache.CredentialType.ACCOUNT)
            return SignIn(
                claims=claims,
                user_id=self.provider.user_id(claims),
                account_id=account["home_account_id"],
                token_cache=application.token_cache.serialize(),
                new_user=self.provider.is_new_user(claims),
                granted_scopes=frozenset(granted),
            )

    def sign_out_uri(
        self, token_cache: str, claims: Mapping[str, Any], post_logout_redirect_uri: str
    ) -> str | None:
        """Where a browser goes to end the provider's session (OpenID Connect RP-Initiated Logout section 2).

        None when the provider has no such address. Raises ProviderUnavailable or SetupFault.
        """
        endpoint = self.metadata(SIGN_IN).get("end_session_endpoint")
        if not endpoint:
            return None
        id_token = tokens.first_id_token(token_cache)
        parameters = self.provider.sign_out_parameters(self.client_id, id_token, claims)
        parameters["post_logout_redirect_uri"] = post_logout_redirect_uri
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    # --- Access tokens --------------------------------------------------------------------------------------

    def cached_access_token(self, token_cache: str, account_id: str, scopes: Collection[str]) -> str | None:
        """The access token for `scopes` from the cache, unless it is about to expire. Asks nobody."""
        return tokens.access_token(token_cache, self.client_id, account_id, scopes, self.provider.resource)

    def refresh_access_token(
        self,
        token_cache: str,
        account_id: str,
        user_id: str,
        scopes: Collection[str],
        claims_challenge: str | None = None,
    ) -> AccessToken:
        """An access token for `scopes`: the cached one if it will do, else a new one for the refresh token.

        With `claims_challenge`, from InteractionRequired or an API's 401, always a new one. Raises
        SignInRequired or InteractionRequired when only the user can help; ProviderUnavailable, SetupFault,
        TokenRefused.
        """
        cached = self.cached_access_token(token_cache, account_id, scopes)
        if cached and not claims_challenge:
            return AccessToken(cached, None, None)
        cache = TokenCache(token_cache)
        result = self._refresh(cache, account_id, scopes, claims_challenge)
        if "error" in result:
            raise self._fault_with_scopes(self.error_from(result), token_cache, scopes)
        if "access_token" not in result:
            fault = SetupFault(f"the provider gave no access token for {' '.join(scopes)}")
            raise self._fault_with_scopes(fault, token_cache, scopes)
        claims = None
        if "id_token" in result:
            claims = check_id_token(
                result["id_token"], self.provider, self._authorities[SIGN_IN], SIGN_IN, self.client_id
            )
            if self.provider.user_id(claims) != user_id:  # OpenID Connect Core section 12.2
                raise TokenRefused("the refreshed ID token is for another user", check="user_id")
        granted = self._note_granted(cache, api_scopes(scopes), result)
        if {self.provider.resource(scope) for scope in granted} != {
            self.provider.resource(scope) for scope in api_scopes(scopes)
        }:
            raise SetupFault(
                f"asked for {' '.join(scopes)}, and was granted {' '.join(granted) or 'nothing'}"
            )
        return AccessToken(result["access_token"], cache.serialize(), claims)

    def _fault_with_scopes(self, fault: OidcError, token_cache: str, scopes: Collection[str]) -> OidcError:
        """`fault`, or InteractionRequired if the session has never had some of the scopes.

        Azure AD B2C may refresh only for the scopes of the latest sign-in, and answer without an access token
        (MSAL.js, "FAQ"). Another sign-in gets them. It also asks for those scopes of the same API that the
        session has, because the new token takes the place of the others.
        """
        fault.scopes = tuple(scopes)
        known = tokens.known_scopes(token_cache)
        is_about_scopes = isinstance(fault, SetupFault) and fault.error in ("", *SCOPE_ERRORS)
        if is_about_scopes and not api_scopes(scopes) <= known:
            fault = InteractionRequired(
                f"not refreshed for more scopes: {fault}",
                error=fault.error,
                code=fault.code,
                correlation_id=fault.correlation_id,
            )
        if isinstance(fault, InteractionRequired):
            apis = {self.provider.resource(scope) for scope in scopes}
            same_api = {scope for scope in known if self.provider.resource(scope) in apis}
            fault.scopes = tuple(sorted({*scopes, *same_api}))
        return fault

    def add_other_apis(self, token_cache: str, earlier: str) -> str:
        """`token_cache`, with the access tokens for other APIs from the `earlier` one of the same account."""
        return tokens.with_other_apis(token_cache, earlier, self.provider.resource)

    def warm_up(self) -> None:
        """Fetch metadata and keys now, so that only the token request remains.

        Raises ProviderUnavailable or SetupFault.
        """
        self.signing_keys(SIGN_IN)

    # --- What is known about the provider -------------------------------------------------------------------

    def metadata(self, user_flow: str) -> Mapping[str, Any]:
        """The checked metadata. Raises ProviderUnavailable or SetupFault."""
        return self._authorities[user_flow].metadata

    def signing_keys(self, user_flow: str) -> list[SigningKey]:
        """The usable signing keys. Raises ProviderUnavailable or SetupFault."""
        return self._authorities[user_flow].signing_keys

    def metadata_url(self, user_flow: str) -> str:
        """Where the metadata is."""
        return self._authorities[user_flow].metadata_url

    def date(self, user_flow: str) -> str:
        """What time it is at the provider, as its `Date` header says. Raises ProviderUnavailable."""
        return self._authorities[user_flow].date()

    def redeem_made_up_code(self, user_flow: str) -> OidcError:
        """The provider's refusal of a code that never was, which tells whether it knows the credential.

        Raises ProviderUnavailable or SetupFault.
        """
        application = self._new_application(user_flow, TokenCache())
        return self.error_from(self._redeem(application, self.begin(user_flow), "made-up"))

    def error_from(self, answer: Mapping[str, Any]) -> OidcError:
        """The error that an OAuth error response stands for."""
        return self.provider.error_from(answer)

    # --- MSAL -----------------------------------------------------------------------------------------------

    @contextmanager
    def _application(self, user_flow: str) -> Iterator[msal.ConfidentialClientApplication]:
        """An MSAL application with an empty token cache, which nobody else uses meanwhile.

        Making one takes as long as beginning a user flow, so it is used again. After a failure it is not,
        because its http_cache keeps refusals for 60 s, and would mix users up.
        """
        metadata = self.metadata(user_flow)
        idle = self._idle[user_flow]
        try:
            known = idle.pop()
        except IndexError:
            known = None
        if known is None or known.metadata is not metadata:
            known = _Application(metadata, self._new_application(user_flow, TokenCache()))
        yield known.application
        known.application.token_cache.deserialize("")  # the tokens of a user
        idle.append(known)

    def _new_application(
        self, user_flow: str, cache: TokenCache, *, without_scopes: Collection[str] = ()
    ) -> msal.ConfidentialClientApplication:
        authority = self._authorities[user_flow]
        arguments = self.provider.msal_arguments(user_flow, authority.metadata)
        arguments["exclude_scopes"] = sorted({*arguments.get("exclude_scopes", ()), *without_scopes})
        try:
            return msal.ConfidentialClientApplication(
                self.client_id,
                client_credential=self.credential.client_credential,
                token_cache=cache,
                http_client=Transport(authority, self.http),
                instance_discovery=False,  # the authority is configured; Microsoft does not know own domains
                **arguments,
            )
        except ValueError as error:  # a token endpoint without a path
            raise SetupFault(
                f"MSAL cannot use the metadata: {short(error)}", url=authority.metadata_url
            ) from error

    def _redeem(
        self, application: msal.ConfidentialClientApplication, flow: Mapping[str, Any], code: str
    ) -> dict[str, Any]:
        try:
            result: dict[str, Any] = application.acquire_token_by_auth_code_flow(
                dict(flow), {"state": flow["state"], "code": code}
            )
        except UNREADABLE as error:
            check = "nonce" if type(error) is RuntimeError else "response"
            raise TokenRefused(f"MSAL refused the token response: {short(error)}", check=check) from error
        return result

    def _refresh(
        self, cache: TokenCache, account_id: str, scopes: Collection[str], claims_challenge: str | None
    ) -> dict[str, Any]:
        wanted, withheld = set(scopes) - ADDED_BY_MSAL, set[str]()
        if self.provider.refreshes_granted_scopes_only:
            granted = cache.refresh_token_scopes()
            wanted, withheld = wanted & granted or wanted, {"profile", "offline_access"} - granted
        application = self._new_application(SIGN_IN, cache, without_scopes=withheld)
        account = next((a for a in application.get_accounts() if a["home_account_id"] == account_id), None)
        try:
            result: dict[str, Any] | None = application.acquire_token_silent_with_error(
                sorted(wanted),
                account,
                force_refresh=True,  # whether a cached token will do has been decided, by a stricter rule
                claims_challenge=checked_claims(claims_challenge) if claims_challenge else None,
            )
        except UNREADABLE as error:
            raise ProviderUnavailable(f"MSAL could not read the token response: {short(error)}") from error
        if not result:
            raise SignInRequired("there is no refresh token for this account")
        return result

    def _note_granted(self, cache: TokenCache, asked: set[str], result: Mapping[str, Any]) -> set[str]:
        """The API scopes that were granted. The provider need not list them when it grants all."""
        granted = api_scopes(str(result["scope"]).split()) if "scope" in result else asked
        if "access_token" in result:
            cache.remember_granted(asked, granted)
            refused = asked - granted
            if refused:
                log.warning("not granted: %s. Give the app registration these permissions", " ".join(refused))
        return granted
