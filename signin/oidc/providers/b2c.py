"""Azure AD B2C: every user flow is an authority of its own."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from signin.authorities import GUID

from ..errors import (
    AccessBlocked,
    Cancelled,
    OidcError,
    PasswordForgotten,
    ProviderUnavailable,
    SetupFault,
    SignInRequired,
    TokenRefused,
    WrongTenant,
)
from .base import SIGN_IN, ErrorClasses, Provider

AUTHORITY_TEMPLATE = "https://{tenant}.b2clogin.com/{tenant}.onmicrosoft.com/{user_flow}"

# Microsoft Learn, "Error codes: Azure Active Directory B2C".
B2C_ERRORS: ErrorClasses = MappingProxyType(
    {
        "AADB2C90006": SetupFault,  # redirect URI not registered
        "AADB2C90007": SetupFault,  # no redirect URI registered
        "AADB2C90008": SetupFault,  # no client id in the request
        "AADB2C90012": SetupFault,  # unknown scope
        "AADB2C90018": SetupFault,  # client id unknown in this tenant
        "AADB2C90055": SetupFault,  # scope names no API
        "AADB2C90057": SetupFault,  # response type not allowed for this app
        "AADB2C90066": SetupFault,  # unknown user flow
        "AADB2C90068": SetupFault,  # app was not registered in B2C
        "AADB2C90077": SignInRequired,  # prompt=none without a session
        "AADB2C90079": SetupFault,  # no client secret in the request
        "AADB2C90080": SignInRequired,  # grant expired
        "AADB2C90081": SetupFault,  # wrong client secret
        "AADB2C90084": SetupFault,  # redirect URI of a public client
        "AADB2C90085": ProviderUnavailable,  # internal error; or wrong supported account types
        "AADB2C90088": SignInRequired,  # grant of another user flow
        "AADB2C90091": Cancelled,
        "AADB2C90092": SetupFault,  # app registration disabled
        "AADB2C90114": AccessBlocked,  # account locked
        "AADB2C90117": SetupFault,  # unknown scope
        "AADB2C90118": PasswordForgotten,
        "AADB2C90119": AccessBlocked,  # too many wrong attempts
        "AADB2C90121": SignInRequired,  # prompt=none, and max_age has passed
        "AADB2C90128": SignInRequired,  # account deleted
        "AADB2C90129": SignInRequired,  # grant revoked
        "AADB2C90146": SetupFault,  # scopes of more than one API
        "AADB2C90205": SetupFault,  # no permission for the scope
        "AADB2C90229": ProviderUnavailable,  # throttled
        "AADB2C90244": ProviderUnavailable,  # throttled
        "AADB2C90273": OidcError,  # the federated identity provider refused
        "AADB2C90285": SetupFault,  # client id unknown in this tenant
        "AADB2C90287": SetupFault,  # redirect URI invalid
        "AADB2C99059": SetupFault,  # redirect URI of a single-page app
    }
)


class AzureADB2C(Provider):
    """A B2C tenant. `user_flows` maps SIGN_IN, EDIT_PROFILE, ... to the tenant's names for them.

    `authority_template` holds {tenant} and {user_flow}; `tenant_id` pins the tenant that the issuer names.
    Source: Microsoft Learn, "Overview of tokens in Azure AD B2C". Raises ValueError.
    """

    name = "Azure AD B2C"
    error_codes = B2C_ERRORS
    error_code_form = re.compile(r"(AADB2C\d{5}): ")
    has_user_flows = True
    requires_nbf = True
    sign_in_includes_sign_up = True
    requires_end_session_endpoint = True

    def __init__(
        self,
        tenant_name: str,
        user_flows: Mapping[str, str],
        authority_template: str = AUTHORITY_TEMPLATE,
        tenant_id: str | None = None,
        insecure_origin: str | None = None,
    ):
        self._names = dict(user_flows)
        self._authorities = {
            flow: authority_template.format(tenant=tenant_name, user_flow=name).rstrip("/")
            for flow, name in user_flows.items()
        }
        super().__init__(self._authorities[SIGN_IN], insecure_origin)
        self.user_flows = frozenset(user_flows)
        self._tenant_id = tenant_id
        # One of two forms: /{tenant id}/v2.0/ or /tfp/{tenant id}/{user flow}/v2.0/
        host = re.escape(self.host)
        self._issuer_form = re.compile(
            rf"https://(?i:{host})(/tfp(?=/[^/]+/[^/]+/))?/(?P<tenant>{GUID})(?(1)/[^/?#]+)/v2\.0/"
        )

    def authority(self, user_flow: str) -> str:
        return self._authorities[user_flow]

    def user_flow_name(self, user_flow: str) -> str:
        """The tenant's name for it, such as "B2C_1_signupsignin1"."""
        return self._names[user_flow]

    def check_metadata_issuer(self, issuer: str) -> None:
        found = self._issuer_form.fullmatch(issuer)
        if not found:
            raise SetupFault(f"{issuer!r} is not an issuer of B2C's form on {self.host}")
        if self._tenant_id and found["tenant"].lower() != self._tenant_id.lower():
            raise WrongTenant(f"the issuer {issuer!r} is not of tenant {self._tenant_id}")

    def check_claims(self, claims: Mapping[str, Any], metadata_issuer: str, user_flow: str) -> None:
        # Custom policies may name the policy in `acr`. The case of the names differs from place to place.
        issued_by = claims.get("tfp") or claims.get("acr")
        if str(issued_by).lower() != self.user_flow_name(user_flow).lower():
            raise TokenRefused(f"the ID token is of user flow {issued_by!r}", check="tfp")

    def user_id(self, claims: Mapping[str, Any]) -> str:
        return str(claims["sub"])

    def is_new_user(self, claims: Mapping[str, Any]) -> bool:
        return claims.get("newUser") in (True, "true")

    def resource(self, scope: str) -> str:
        # An app's own API is named by its client id, without a slash.
        return scope.lower() if re.fullmatch(GUID, scope) else super().resource(scope)
