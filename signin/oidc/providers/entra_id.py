"""Entra ID, for the users of one tenant or of many.

Source: Microsoft Learn, "Access tokens in the Microsoft identity platform", "Validate the issuer".
"""

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from signin.authorities import GUID, MANY_TENANTS, PERSONAL_TENANT

from ..errors import SetupFault, TenantNotAllowed, WrongTenant
from .microsoft import Microsoft, tenant_id

TEMPLATE = "{tenantid}"

# Clouds whose endpoints are not on the host of the authority.
ENDPOINT_HOSTS = {"login.partner.microsoftonline.cn": "login.chinacloudapi.cn"}


class _Entra(Microsoft):
    client_capabilities = ("CP1",)

    def __init__(self, authority: str, insecure_origin: str | None = None):
        super().__init__(re.sub(r"(/v2\.0)?/*$", "", authority), insecure_origin)
        self.tenant = urlsplit(self.authority_url).path.strip("/").lower()
        if not re.fullmatch(r"[a-z0-9.-]+", self.tenant):
            raise ValueError(f"{authority!r} should be https://login.microsoftonline.com/ and a tenant")

    def endpoint_hosts(self, issuer: str) -> frozenset[str]:
        return frozenset({self.host, ENDPOINT_HOSTS.get(self.host, self.host)})

    @property
    def browser_origins(self) -> tuple[str, ...]:
        elsewhere = ENDPOINT_HOSTS.get(self.host)
        return super().browser_origins + ((f"https://{elsewhere}",) if elsewhere else ())

    def tenant_of(self, issuer: str) -> str | None:
        found = re.fullmatch(rf"https://{re.escape(self.host)}/({GUID})/v2\.0", issuer)
        return found[1].lower() if found else None

    def key_issuer_fits(self, key_issuer: str | None, claims: Mapping[str, Any]) -> bool:
        """A key may serve every tenant, `{tenantid}`, or one. Keys without the member serve every tenant."""
        issuer = str(claims["iss"]).lower()
        return (
            key_issuer is None or key_issuer.lower().replace(TEMPLATE, self.tenant_of(issuer) or "") == issuer
        )


class EntraID(_Entra):
    """One tenant: `authority` is https://login.microsoftonline.com/{tenant id or domain}.

    Raises ValueError.
    """

    name = "Microsoft Entra ID"

    def __init__(self, authority: str, insecure_origin: str | None = None):
        super().__init__(authority, insecure_origin)
        if self.tenant in MANY_TENANTS:
            raise ValueError(f"{authority!r} is an authority for many tenants")

    def check_metadata_issuer(self, issuer: str) -> None:
        # The issuer names the tenant's id even where the authority names its domain.
        tenant = self.tenant_of(issuer)
        if not tenant:
            raise SetupFault(f"{issuer!r} is not an issuer of Entra ID's form on {self.host}")
        if re.fullmatch(GUID, self.tenant) and tenant != self.tenant:
            raise WrongTenant(f"the issuer {issuer!r} is not of tenant {self.tenant}")


class EntraIDManyTenants(_Entra):
    """Many tenants: `authority` is https://login.microsoftonline.com/organizations, /common or /consumers.

    `allowed_tenants` holds tenant ids; None, or "*" among them, admits any organization. Personal accounts
    are only admitted by their own tenant id, 9188040d-6c67-4c5b-b112-36a304b66dad. Raises ValueError.
    """

    name = "Microsoft Entra ID"

    def __init__(
        self,
        authority: str,
        allowed_tenants: Collection[str] | None,
        insecure_origin: str | None = None,
    ):
        super().__init__(authority, insecure_origin)
        if self.tenant not in MANY_TENANTS:
            raise ValueError(f"{authority!r} is an authority for one tenant")
        allowed = {"*"} if allowed_tenants is None else {tenant.lower() for tenant in allowed_tenants}
        self._any_organization = "*" in allowed
        self._allowed = frozenset(allowed - {"*"})
        self._template = f"https://{self.host}/{TEMPLATE}/v2.0"

    def check_metadata_issuer(self, issuer: str) -> None:
        of_personal_accounts = self.tenant == "consumers" and self.tenant_of(issuer) == PERSONAL_TENANT
        if issuer != self._template and not of_personal_accounts:
            raise SetupFault(f"the issuer {issuer!r} is not {self._template!r}")

    def response_issuer_fits(self, issuer: str, metadata_issuer: str) -> bool:
        return issuer == metadata_issuer or self.tenant_of(issuer) is not None

    def token_issuer(self, metadata_issuer: str, claims: Mapping[str, Any]) -> str:
        return metadata_issuer.replace(TEMPLATE, tenant_id(claims))

    def check_claims(self, claims: Mapping[str, Any], metadata_issuer: str, user_flow: str) -> None:
        super().check_claims(claims, metadata_issuer, user_flow)
        if not self._is_allowed(tenant_id(claims).lower()):
            raise TenantNotAllowed(f"tenant {claims['tid']} is not allowed")

    def _is_allowed(self, tenant: str) -> bool:
        if tenant in self._allowed:
            return True
        return self._any_organization and tenant != PERSONAL_TENANT
