"""Entra External ID. Its issuer is on another host than its endpoints."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from signin.authorities import GUID

from ..errors import SetupFault, WrongTenant
from .base import SIGN_IN, SIGN_UP
from .microsoft import Microsoft

CIAM = ".ciamlogin.com"


class ExternalID(Microsoft):
    """An external tenant.

    `authority` is https://contoso.ciamlogin.com, also with /{tenant id} or /contoso.onmicrosoft.com; or, for
    an own URL domain, https://login.contoso.com/{tenant id}. Source: Microsoft Learn, "Custom URL domains in
    external tenants". Raises ValueError.
    """

    name = "Microsoft Entra External ID"

    def __init__(self, authority: str, insecure_origin: str | None = None):
        parts = urlsplit(re.sub(r"(/v2\.0)?/*$", "", authority))
        hostname = parts.hostname or ""
        if hostname.endswith(CIAM) and not parts.path:
            parts = parts._replace(path=f"/{hostname.removesuffix(CIAM)}.onmicrosoft.com")
        super().__init__(parts.geturl(), insecure_origin)
        self.user_flows = frozenset({SIGN_IN, SIGN_UP})
        tenant = parts.path.strip("/").lower()
        self._tenant_id = tenant if re.fullmatch(GUID, tenant) else None
        if not self._tenant_id and not hostname.endswith(CIAM):
            raise ValueError(
                f"{authority!r} should be https://contoso.ciamlogin.com, or end with a tenant id"
            )

    def endpoint_hosts(self, issuer: str) -> frozenset[str]:
        return frozenset({self.host, f"{self.tenant_of(issuer)}{CIAM}"})

    def tenant_of(self, issuer: str) -> str | None:
        found = re.fullmatch(rf"https://(?P<host>{GUID}){re.escape(CIAM)}/(?P<path>{GUID})/v2\.0", issuer)
        if found and found["host"].lower() == found["path"].lower():
            return found["path"].lower()
        # Behind an own domain the issuer may also be of this form; the settings pin the tenant then.
        found = re.fullmatch(rf"https://login\.microsoftonline\.com/(?P<path>{GUID})/v2\.0", issuer)
        return found["path"].lower() if found and not self.host.endswith(CIAM) else None

    def check_metadata_issuer(self, issuer: str) -> None:
        tenant = self.tenant_of(issuer)
        if not tenant:
            raise SetupFault(f"{issuer!r} is not an issuer of External ID's form")
        if self._tenant_id and tenant != self._tenant_id:
            raise WrongTenant(f"the issuer {issuer!r} is not of tenant {self._tenant_id}")

    def prompt(self, user_flow: str) -> str | None:
        """OpenID Connect "Initiating User Registration" section 4.1."""
        return "create" if user_flow == SIGN_UP else None

    def language_parameters(self, ui_locales: str) -> dict[str, str]:
        return {"ui_locales": ui_locales, "mkt": ui_locales.partition(" ")[0]}

    def sign_out_parameters(
        self, client_id: str, id_token: str | None, claims: Mapping[str, object]
    ) -> dict[str, str]:
        """None: no hint is documented for External ID."""
        return {}
