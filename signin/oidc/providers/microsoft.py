"""What Entra ID and Entra External ID have in common.

Source: Microsoft Learn, "ID token claims reference".
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from signin.authorities import GUID

from ..errors import (
    AccessBlocked,
    Cancelled,
    InteractionRequired,
    MetadataNotFound,
    OidcError,
    ProviderUnavailable,
    SetupFault,
    SignInRequired,
    TokenRefused,
)
from .base import ErrorClasses, Provider

# Microsoft Learn, "Microsoft Entra authentication and authorization error codes". Microsoft changes the
# numbers, so they only classify what `error` and `claims` leave open.
AADSTS_ERRORS: ErrorClasses = MappingProxyType(
    {
        "AADSTS16000": AccessBlocked,  # account not in this tenant
        "AADSTS28002": SetupFault,  # bad scope
        "AADSTS50011": SetupFault,  # redirect URI not registered
        "AADSTS50020": AccessBlocked,  # account not in this tenant
        "AADSTS50057": AccessBlocked,  # account disabled
        "AADSTS50058": SignInRequired,  # prompt=none without a session
        "AADSTS50072": InteractionRequired,  # MFA: enrolment
        "AADSTS50076": InteractionRequired,  # MFA
        "AADSTS50079": InteractionRequired,  # MFA: enrolment
        "AADSTS50105": AccessBlocked,  # user not assigned to the app
        "AADSTS50158": InteractionRequired,  # external challenge
        "AADSTS50173": SignInRequired,  # grant revoked
        "AADSTS50194": SetupFault,  # single-tenant app on /common
        "AADSTS50196": SignInRequired,  # loop detected
        "AADSTS53000": AccessBlocked,  # Conditional Access
        "AADSTS53003": AccessBlocked,  # Conditional Access
        "AADSTS54005": SignInRequired,  # code used twice
        "AADSTS65001": InteractionRequired,  # consent missing
        "AADSTS65004": Cancelled,  # user declined to consent
        "AADSTS70008": SignInRequired,  # grant expired
        "AADSTS70011": SetupFault,  # bad scope
        "AADSTS70043": SignInRequired,  # grant expired by policy
        "AADSTS90002": MetadataNotFound,  # unknown tenant
        "AADSTS90009": SetupFault,  # app asks for a token for itself
        "AADSTS90023": SetupFault,  # malformed parameter
        "AADSTS90033": ProviderUnavailable,
        "AADSTS90055": ProviderUnavailable,
        "AADSTS90094": AccessBlocked,  # admin consent needed
        "AADSTS90095": AccessBlocked,  # admin consent needed
        "AADSTS500011": SetupFault,  # API not in this tenant
        "AADSTS500208": AccessBlocked,  # wrong type of account or tenant
        "AADSTS500571": AccessBlocked,  # guest account disabled
        "AADSTS530035": AccessBlocked,  # security defaults
        "AADSTS650057": SetupFault,  # API not permitted
        "AADSTS700016": SetupFault,  # client id unknown in this tenant
        "AADSTS700022": SetupFault,  # scopes of more than one API
        "AADSTS700025": SetupFault,  # app is registered as public
        "AADSTS700027": SetupFault,  # certificate not registered
        "AADSTS700082": SignInRequired,  # refresh token expired
        "AADSTS700084": SetupFault,  # refresh token of a single-page app
        "AADSTS900144": SetupFault,  # parameter missing
        "AADSTS900971": SetupFault,  # no redirect URI
        "AADSTS901002": SetupFault,  # parameter `resource`
        "AADSTS7000215": SetupFault,  # wrong client secret
        "AADSTS7000218": SetupFault,  # no credential
        "AADSTS7000222": SetupFault,  # client secret expired
        "AADSTS9001023": SetupFault,  # grant not allowed on /common
    }
)


class Microsoft(Provider):
    """Common to Entra ID and External ID: `tid` and `oid`, the AADSTS codes."""

    error_codes = AADSTS_ERRORS
    error_code_form = re.compile(r"(AADSTS\d{4,9}): ")
    decisive_errors = frozenset(
        {
            "consent_required",
            "interaction_required",
            "login_required",
            "server_error",
            "temporarily_unavailable",
        }
    )
    requires_nbf = True
    has_front_channel_logout = True
    requires_end_session_endpoint = True
    # "ID tokens in the Microsoft identity platform": its samples have 65 minutes from iat to exp.
    backdating = 300

    @abstractmethod
    def tenant_of(self, issuer: str) -> str | None:
        """The tenant id that an issuer of this kind names, in lower case."""

    def check_claims(self, claims: Mapping[str, Any], metadata_issuer: str, user_flow: str) -> None:
        tenant = self.tenant_of(str(claims["iss"]))
        if tenant is None or tenant_id(claims).lower() != tenant:
            raise TokenRefused(f"the ID token's tid {claims['tid']!r} is not of its issuer", check="tid")
        if not isinstance(claims.get("oid"), str) or not claims["oid"]:
            raise TokenRefused("the ID token has no oid", check="oid")

    def user_id(self, claims: Mapping[str, Any]) -> str:
        return f"{claims['tid']}.{claims['oid']}"

    def sign_out_parameters(
        self, client_id: str, id_token: str | None, claims: Mapping[str, Any]
    ) -> dict[str, str]:
        """Only `logout_hint` is documented: "OpenID Connect on the Microsoft identity platform"."""
        login_hint = claims.get("login_hint")  # an optional claim
        return {"logout_hint": login_hint} if isinstance(login_hint, str) and login_hint else {}

    def resource(self, scope: str) -> str:
        # `api://{client id}/name` and `{client id}/name` are one scope. A bare name is Microsoft Graph's.
        resource = scope.rpartition("/")[0].lower().rstrip("/")
        if re.fullmatch(GUID, scope):
            resource = scope.lower()
        return resource.removeprefix("api://") or "https://graph.microsoft.com"

    def _error_code(self, answer: Mapping[str, Any], description: str) -> str:
        codes = answer.get("error_codes")
        if isinstance(codes, list) and codes and type(codes[0]) is int:
            return f"AADSTS{codes[0]}"
        return super()._error_code(answer, description)

    def _error_class(self, error: str, code: str, claims: str) -> type[OidcError]:
        return InteractionRequired if claims else super()._error_class(error, code, claims)


def tenant_id(claims: Mapping[str, Any]) -> str:
    """The token's `tid`. Raises TokenRefused unless it is a GUID."""
    tid = claims.get("tid")
    if not isinstance(tid, str) or not re.fullmatch(GUID, tid):
        raise TokenRefused(f"the ID token's tid {tid!r} is not a tenant id", check="tid")
    return tid
