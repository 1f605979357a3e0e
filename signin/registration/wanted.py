"""What the operator asks for."""

import re
import uuid
from dataclasses import dataclass, field

from signin.authorities import B2C, ENTRA_ID_MANY_TENANTS, EXTERNAL_ID
from signin.oidc import Certificate

DEFAULT_NAME = "Flask web app"
SECRET_NAME = "flask register"  # noqa: S105 - how the names of its client secrets begin
DEFAULT_API_SCOPES = ("tasks.read", "tasks.write")

ONE_TENANT, MANY_TENANTS = "AzureADMyOrg", "AzureADMultipleOrgs"
MANY_TENANTS_AND_PERSONAL = "AzureADandPersonalMicrosoftAccount"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The registration that the web app needs.

    `kind` is one of app_config's kinds of authority. `tenant` is the directory to register in: its ID, or one
    of its domains. `known_unique_name` is that of a registration that is there, whatever its name is now.
    `client_id` is that of the registration in use. `secret_name` tells the client secrets of several clones
    apart, and `secret` is the one that this clone has. An app with a federated credential needs none.
    `user_flow` is the display name of an External ID user flow, or the name of the B2C sign-in user flow.
    """

    kind: str
    tenant: str
    name: str = DEFAULT_NAME
    known_unique_name: str | None = None
    client_id: str | None = None
    redirect_uri: str
    sign_out_uri: str
    logout_url: str | None = None
    replace_logout_url: bool = False  # also one that somebody has set in the portal
    personal_accounts: bool = False
    api_scopes: tuple[str, ...] = ()
    certificate: Certificate | None = None
    secret_name: str = SECRET_NAME
    secret: str | None = field(default=None, repr=False)
    needs_secret: bool = True
    user_flow: str | None = None
    restore: bool = False

    @property
    def unique_name(self) -> str:
        """The web app's `uniqueName` in Microsoft Graph: what the next run finds it by."""
        words = re.findall(r"[a-z0-9]+", self.name.lower())
        return self.known_unique_name or "-".join(words) or str(uuid.uuid5(uuid.NAMESPACE_URL, self.name))

    @property
    def api_name(self) -> str:
        return f"{self.name} API"

    @property
    def api_unique_name(self) -> str:
        return f"{self.unique_name}-api"

    @property
    def audience(self) -> str:
        """The supported account types (`signInAudience`) that fit the authority.

        Source: Microsoft Graph, "application resource type", signInAudience values.
        """
        if self.kind == B2C:
            return MANY_TENANTS_AND_PERSONAL
        if self.kind == ENTRA_ID_MANY_TENANTS:
            return MANY_TENANTS_AND_PERSONAL if self.personal_accounts else MANY_TENANTS
        return ONE_TENANT

    @property
    def tenant_type(self) -> str:
        """The `tenantType` of a fitting directory. Source: Microsoft Graph, "organization resource type"."""
        return {B2C: "AAD B2C", EXTERNAL_ID: "CIAM"}.get(self.kind, "AAD")

    @property
    def openid_scopes(self) -> tuple[str, ...]:
        """The permissions that every sign-in asks for. B2C knows no `profile`."""
        return ("openid", "offline_access") if self.kind == B2C else ("openid", "profile", "offline_access")

    @property
    def graph_permissions(self) -> tuple[str, ...]:
        """What the operator has to grant to this command."""
        flows = ("EventListener.ReadWrite.All",) if self.kind == EXTERNAL_ID else ()
        return (
            "Application.ReadWrite.All",
            "DelegatedPermissionGrant.ReadWrite.All",
            "Organization.Read.All",
            *flows,
        )

    def api_identifier_uri(self, api_client_id: str) -> str:
        """The web API's Application ID URI. B2C wants one below the tenant's domain."""
        if self.kind == B2C:
            return f"https://{self.tenant}/{self.api_unique_name}"
        return f"api://{api_client_id}"

    def api_scope_id(self, scope: str) -> str:
        """The ID of a scope: the same in each run, so that --dry-run shows what will be sent."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.tenant}/{self.api_unique_name}/{scope}"))
