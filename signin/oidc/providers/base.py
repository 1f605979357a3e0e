"""What every kind of provider has in common, and what each may answer differently."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from signin.authorities import GUID

from ..errors import (
    Cancelled,
    InteractionRequired,
    OidcError,
    ProviderUnavailable,
    SetupFault,
    SignInRequired,
)

# What a user can do at a provider.
SIGN_IN, SIGN_UP, EDIT_PROFILE, RESET_PASSWORD = "sign_in", "sign_up", "edit_profile", "reset_password"

LONGEST_ID_TOKEN_HINT = 4000  # characters that still fit into a redirect's headers behind any proxy

ErrorClasses = Mapping[str, type[OidcError]]

# RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core section 3.1.2.6.
OAUTH_ERRORS: ErrorClasses = MappingProxyType(
    {
        "access_denied": Cancelled,
        "account_selection_required": InteractionRequired,
        "consent_required": InteractionRequired,
        "interaction_required": InteractionRequired,
        "invalid_client": SetupFault,
        "invalid_grant": SignInRequired,
        "invalid_request": SetupFault,
        "invalid_scope": SetupFault,
        "login_required": SignInRequired,
        "redirect_uri_mismatch": SetupFault,
        "server_error": ProviderUnavailable,
        "temporarily_unavailable": ProviderUnavailable,
        "unauthorized_client": SetupFault,
        "unsupported_grant_type": SetupFault,
        "unsupported_response_type": SetupFault,
    }
)


class Provider(ABC):
    """One kind of provider, with the settings of one authority of that kind.

    `authority_url` is the authority of SIGN_IN, without a trailing slash. `insecure_origin` is the one http
    origin that the authorization and end-session endpoints may have.
    """

    name = "OpenID Connect"
    error_codes: ErrorClasses = MappingProxyType({})  # by the provider's own code
    error_code_form = re.compile(r"(?!)")  # matches a code at the start of `error_description`
    decisive_errors: frozenset[str] = frozenset()  # OAuth errors that say more than the code does
    requires_nbf = False
    requires_end_session_endpoint = False
    has_user_flows = False  # whether each user flow has metadata of its own, and a name in the tenant
    refreshes_granted_scopes_only = False  # RFC 6749 section 6
    backdating = 0  # seconds by which the `iat` of ID tokens lies in the past
    has_userinfo = False  # whether to ask the userinfo endpoint for a name that the ID token lacks
    has_front_channel_logout = False  # OpenID Connect Front-Channel Logout 1.0, with `iss` and `sid`
    sign_in_includes_sign_up = False  # whether SIGN_IN is for new users too
    client_capabilities: tuple[str, ...] = ()  # for MSAL; "CP1": the app handles claims challenges

    def __init__(self, authority_url: str, insecure_origin: str | None = None):
        parts = https_url(authority_url)
        self.authority_url = parts._replace(path=parts.path.rstrip("/")).geturl()
        self.host = parts.netloc.lower()  # with its port, if it has one
        self.insecure_origin = insecure_origin
        self.user_flows = frozenset({SIGN_IN})

    # Addresses

    def authority(self, user_flow: str) -> str:
        """The authority URL at which this user flow takes place."""
        return self.authority_url

    def user_flow_name(self, user_flow: str) -> str:
        """The provider's own name for a user flow."""
        return user_flow.replace("_", "-")

    def metadata_url(self, user_flow: str) -> str:
        """OpenID Connect Discovery section 4."""
        return f"{self.authority(user_flow)}/v2.0/.well-known/openid-configuration"

    def msal_arguments(self, user_flow: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments for MSAL's client application, which gets the metadata from our cache."""
        return {"authority": self.authority(user_flow), "client_capabilities": list(self.client_capabilities)}

    def endpoint_hosts(self, issuer: str) -> frozenset[str] | None:
        """The hosts on which this issuer's endpoints and keys may be. None: on any."""
        return frozenset({self.host})

    @property
    def page_origins(self) -> tuple[str, ...]:
        """Where the provider's own pages are."""
        origin = f"https://{self.host}"
        return (origin, self.insecure_origin) if self.insecure_origin else (origin,)

    @property
    def browser_origins(self) -> tuple[str, ...]:
        """Where the provider may send a browser on from a form of ours (CSP `form-action` sources)."""
        return self.page_origins

    # Who issues tokens

    @abstractmethod
    def check_metadata_issuer(self, issuer: str) -> None:
        """Raises SetupFault, or WrongTenant, unless this authority's metadata may name this issuer."""

    def response_issuer_fits(self, issuer: str, metadata_issuer: str) -> bool:
        """Whether the `iss` of an authorization response is right (RFC 9207 section 2.4)."""
        return issuer == metadata_issuer

    def token_issuer(self, metadata_issuer: str, claims: Mapping[str, Any]) -> str:
        """The one `iss` that a token with these claims may have. Raises TokenRefused."""
        return metadata_issuer

    def key_issuer_fits(self, key_issuer: str | None, claims: Mapping[str, Any]) -> bool:
        """Whether a key with this `issuer` member may sign for the token's issuer."""
        return True

    def check_claims(  # noqa: B027 - by default there is nothing else to check
        self, claims: Mapping[str, Any], metadata_issuer: str, user_flow: str
    ) -> None:
        """Check what this kind's ID tokens hold besides the standard's claims.

        Raises TokenRefused, or AccessBlocked for an account that the settings do not admit.
        """

    @abstractmethod
    def user_id(self, claims: Mapping[str, Any]) -> str:
        """The stable id of the user. Never an e-mail address: those change hands."""

    def is_new_user(self, claims: Mapping[str, Any]) -> bool:
        """Whether the user has just signed up, where the provider says so."""
        return False

    # Requests

    def extra_scopes(self, metadata: Mapping[str, Any]) -> tuple[str, ...]:
        """Scopes that every authorization request asks for besides MSAL's `openid profile offline_access`."""
        return ()

    def prompt(self, user_flow: str) -> str | None:
        """The `prompt` of the authorization request."""
        return None

    def language_parameters(self, ui_locales: str) -> dict[str, str]:
        """Parameters of the authorization request for these languages, best first."""
        return {"ui_locales": ui_locales}

    def sign_out_parameters(
        self, client_id: str, id_token: str | None, claims: Mapping[str, Any]
    ) -> dict[str, str]:
        """Parameters besides `post_logout_redirect_uri` (OpenID Connect RP-Initiated Logout section 2)."""
        parameters = {"client_id": client_id}
        if id_token and len(id_token) < LONGEST_ID_TOKEN_HINT:
            parameters["id_token_hint"] = id_token
        return parameters

    def resource(self, scope: str) -> str:
        """What names the API that a scope belongs to. Empty where the scope does not say."""
        return scope.rpartition("/")[0].lower() if "://" in scope else ""

    # Errors

    def error_from(self, answer: Mapping[str, Any]) -> OidcError:
        """The error that an OAuth error response stands for. Never raises, whatever the response holds."""
        error, description = _text(answer.get("error")), _text(answer.get("error_description"))
        code = self._error_code(answer, description)
        claims = _text(answer.get("claims"))
        correlation = re.fullmatch(rf"({GUID})", _text(answer.get("correlation_id"))) or re.search(
            rf"Correlation ID: ({GUID})\b", description
        )
        return self._error_class(error, code, claims)(
            f"{error}: {description}",
            error=error,
            code=code,
            correlation_id=correlation[1] if correlation else "",
            claims=claims,
        )

    def _error_code(self, answer: Mapping[str, Any], description: str) -> str:
        found = self.error_code_form.match(description)
        return found[1] if found else ""

    def _error_class(self, error: str, code: str, claims: str) -> type[OidcError]:
        if claims and error in ("interaction_required", "invalid_grant"):
            return InteractionRequired
        if error in self.decisive_errors:
            return OAUTH_ERRORS[error]
        if code in self.error_codes:
            return self.error_codes[code]
        if code and error == "access_denied":  # for a reason of its own, so nobody pressed Cancel
            return OidcError
        return OAUTH_ERRORS.get(error, OidcError)


def https_url(url: str) -> SplitResult:
    """The parts of an https URL that has a host, and neither user, query nor fragment. Raises ValueError."""
    parts = urlsplit(url)
    plain = re.fullmatch(r"[!-?A-\[\]-~]+", url)  # printable ASCII without @ and backslash
    if not plain or parts.scheme != "https" or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url!r} is not an https URL")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a query or a fragment")
    return parts


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
