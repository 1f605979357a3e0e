"""What a tenant has when nobody sets it up otherwise."""

import uuid
from collections.abc import Iterable, Sequence

from ..authorities import KINDS
from ..model.accounts import Account
from ..model.configuration import TenantConfiguration, id_in
from ..model.registrations import AppRegistration, Apps, AppType, WebApi, default_redirect_uris

TENANT_NAME = "localtenant"
FIRST_EMAIL, FIRST_PASSWORD = "ada@example.com", "Try-it-0ut"
APPS: tuple[tuple[str, AppType], ...] = (
    ("web-app", "web"),
    ("single-page-app", "spa"),
    ("native-app", "native"),
)


def default_configuration(
    kind: str, redirect_uris: Iterable[str], *, tenant_id: str = "", name: str = "", domain: str = ""
) -> TenantConfiguration:
    """A tenant of this kind with three apps, two web APIs and an account.

    `redirect_uris` are those of the web app. Without a tenant ID, the tenant gets a new one. All other IDs
    follow from it.
    """
    authority, tenant_id = KINDS[kind], tenant_id or str(uuid.uuid4())
    domain = domain or (f"{name}.onmicrosoft.com" if name else authority.DOMAIN)
    apps = [AppRegistration(app_name, type, app_id(tenant_id, app_name)) for app_name, type in APPS]
    for app in apps:
        app.redirect_uris = default_redirect_uris(app.type, app.client_id) or list(redirect_uris)
    first = Account(FIRST_EMAIL, FIRST_PASSWORD, "Ada Example", "Ada", "Example", "Bristol")
    accounts = [first, *authority.more_accounts()]
    for account in accounts:
        account.sub = object_id(tenant_id, account.email)
    return TenantConfiguration(
        kind,
        name or TENANT_NAME,
        domain,
        tenant_id,
        Apps(apps),
        authority.default_user_flows(),
        [
            web_api(kind, tenant_id, domain, "tasks-api", ["tasks.read", "tasks.write"], ["tasks.admin"]),
            web_api(kind, tenant_id, domain, "notes-api", ["notes.read"]),
        ],
        accounts,
    )


def lasting_tenant_id(kind: str, domain: str = "") -> str:
    """The ID of a tenant that stays the same from start to start, for those who do not choose one."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}.{domain or KINDS[kind].DOMAIN}"))


def app_id(tenant_id: str, name: str) -> str:
    """The client ID of an app, unless it is set up."""
    return id_in(tenant_id, f"app {name}")


def object_id(tenant_id: str, email: str) -> str:
    """The object ID of an account, unless it is set up."""
    return id_in(tenant_id, f"user {email.lower()}")


def web_api(
    kind: str,
    tenant_id: str,
    domain: str,
    name: str,
    scopes: Iterable[str],
    admin_only: Sequence[str] = (),
    *,
    uri: str = "",
    client_id: str = "",
) -> WebApi:
    """A web API. Apps are granted all its scopes but those in `admin_only`."""
    client_id = client_id or id_in(tenant_id, f"api {name}")
    granted = frozenset(scopes) - frozenset(admin_only)
    return WebApi(
        uri or KINDS[kind].api_uri(domain, name, client_id),
        granted | frozenset(admin_only),
        granted,
        client_id,
        frozenset(admin_only),
        name,
    )
