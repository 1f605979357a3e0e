"""What the tenant's directory holds already of the registration."""

from dataclasses import dataclass, field, replace

from signin.authorities import EXTERNAL_ID

from .errors import DeletedNamesake, NameTaken, WrongTenant, counted
from .graph import Graph, Json, equals, literal, query
from .wanted import Wanted

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
# On every app registration that this command makes. It removes no other.
TAG = "made-by-flask-register"

APPLICATION = (
    "id,appId,displayName,uniqueName,signInAudience,tags,identifierUris,web,api,optionalClaims,"
    "requiredResourceAccess,passwordCredentials,keyCredentials"
)
TENANT_TYPES = {"AAD": "Entra ID", "AAD B2C": "Azure AD B2C", "CIAM": "External ID"}
FLOW_LINKS = "conditions/applications/includeApplications"


@dataclass
class Found:
    """Objects of the directory, as Microsoft Graph gives them. None: not there.

    `namesakes` are other registrations of the web app's name. `deleted_*` can be restored. `grants` are the
    web app's permission grants. `federated_credentials` are the web app's too, but `look` does not read them.
    `api_clients` are the service principals of other apps that may call the web API. `user_flows` are
    the tenant's External ID user flows, `linked_flow` is the one of the web app.
    """

    graph_service: Json
    web: Json | None = None
    web_service: Json | None = None
    api: Json | None = None
    api_service: Json | None = None
    namesakes: list[Json] = field(default_factory=list)
    deleted_web: Json | None = None
    deleted_api: Json | None = None
    deleted_web_service: Json | None = None
    deleted_api_service: Json | None = None
    grants: list[Json] = field(default_factory=list)
    federated_credentials: list[Json] = field(default_factory=list)
    user_flows: list[Json] = field(default_factory=list)
    linked_flow: Json | None = None
    api_clients: list[str] = field(default_factory=list)


def named_by(graph: Graph, client_id: str, wanted: Wanted) -> Wanted:
    """`wanted` with the names of the registration with this client ID, if flask register has made it."""
    path = f"/applications(appId={literal(client_id)})"
    app = graph.get_if_there(query(path, select="displayName,uniqueName,tags"))
    if not app or TAG not in app.get("tags", []):
        return wanted
    return replace(wanted, name=app["displayName"], known_unique_name=app["uniqueName"])


def look(graph: Graph, wanted: Wanted) -> Found:
    """Read what is there. Changes nothing. Raises RegistrationError."""
    _require_fitting_tenant(graph, wanted)
    service = graph.get(
        query(f"/servicePrincipals(appId='{MICROSOFT_GRAPH}')", select="id,appId,oauth2PermissionScopes")
    )
    found = Found(graph_service=service)
    found.web, found.web_service = _registration(graph, wanted.unique_name)
    found.api, found.api_service = _registration(graph, wanted.api_unique_name)
    _require_own_registrations(found, wanted)
    if not found.web:
        named = query("/applications", filter=equals("displayName", wanted.name), select="id,appId")
        found.namesakes = graph.get_all(named)
        found.deleted_web, found.deleted_web_service = _deleted(graph, wanted.unique_name)
    if not found.api:
        found.deleted_api, found.deleted_api_service = _deleted(graph, wanted.api_unique_name)
    if found.web_service:
        own = equals("clientId", found.web_service["id"])
        found.grants = graph.get_all(query("/oauth2PermissionGrants", filter=own))
    if found.api_service:
        found.api_clients = _clients_of(graph, found)
    if wanted.kind == EXTERNAL_ID:
        found.user_flows = graph.get_all("/identity/authenticationEventsFlows")
        found.linked_flow = _linked_flow(graph, found) if found.web else None
    return found


def federated_credentials(graph: Graph, found: Found) -> list[Json]:
    """Those of the web app. Raises RegistrationError."""
    if not found.web:
        return []
    return graph.get_all(f"/applications/{found.web['id']}/federatedIdentityCredentials")


def _require_fitting_tenant(graph: Graph, wanted: Wanted) -> None:
    tenants = graph.get_all(query("/organization", select="id,displayName,tenantType"))
    tenant = tenants[0] if tenants else {}
    tenant_type = tenant.get("tenantType")
    if tenant_type and tenant_type != wanted.tenant_type:
        raise WrongTenant(
            f"The tenant {tenant.get('displayName')} ({tenant.get('id')}) is of type {tenant_type}. "
            f"The authority needs one of type {wanted.tenant_type} ({TENANT_TYPES[wanted.tenant_type]})."
        )


def _registration(graph: Graph, unique_name: str) -> tuple[Json | None, Json | None]:
    """The app registration of this unique name, and its service principal. Raises NameTaken."""
    path = f"/applications(uniqueName={literal(unique_name)})"
    app = graph.get_if_there(query(path, select=APPLICATION))
    if not app:
        return None, None
    if TAG not in app.get("tags", []):
        raise NameTaken(
            f"The app registration {app['displayName']} (client ID {app['appId']}) has the unique name "
            f"{unique_name}, but it does not have the tag {TAG}. Choose another name with --name.",
            client_ids=(app["appId"],),
        )
    service_path = f"/servicePrincipals(appId={literal(app['appId'])})"
    return app, graph.get_if_there(query(service_path, select="id,appId"))


def _require_own_registrations(found: Found, wanted: Wanted) -> None:
    """Raise NameTaken if a unique name leads to another app: it is the simplified form of many names."""
    if found.api and _is_web_app(found.api) and not wanted.api_scopes:
        found.api = found.api_service = None  # a web app whose name happens to be that of the web API
    web, api = found.web, found.api
    if web and web["appId"] != wanted.client_id and web["displayName"] != wanted.name:
        raise NameTaken(
            f"The app registration {web['displayName']} (client ID {web['appId']}) has the unique name "
            f"{wanted.unique_name}. Choose another name with --name. To use that registration, set "
            f"CLIENT_ID={web['appId']} in .env and leave out --name.",
            client_ids=(web["appId"],),
        )
    for app, is_other, kind in ((web, _is_web_api, "a web API"), (api, _is_web_app, "a web app")):
        if app and is_other(app):
            raise NameTaken(
                f"The app registration {app['displayName']} (client ID {app['appId']}) is {kind}. "
                "Choose another name with --name.",
                client_ids=(app["appId"],),
            )


def _is_web_app(app: Json) -> bool:
    """Whether flask register has made this registration for a web app."""
    has_scopes = (app.get("api") or {}).get("oauth2PermissionScopes")
    return bool((app.get("web") or {}).get("redirectUris")) and not has_scopes


def _is_web_api(app: Json) -> bool:
    """Whether flask register has made this registration for a web API."""
    has_scopes = (app.get("api") or {}).get("oauth2PermissionScopes")
    return bool(has_scopes) and not (app.get("web") or {}).get("redirectUris")


def require_free_name(found: Found, wanted: Wanted) -> None:
    """Raise NameTaken if registrations without the tag have the web app's name."""
    if found.namesakes:
        client_ids = tuple(str(app["appId"]) for app in found.namesakes)
        raise NameTaken(
            f"The tenant has {counted(len(client_ids), 'other app registration')} named {wanted.name} "
            f"(client ID {', '.join(client_ids)}). Choose another name with --name.",
            client_ids=client_ids,
        )


def _deleted(graph: Graph, unique_name: str) -> tuple[Json | None, Json | None]:
    """The deleted app registration that still holds this unique name, and its service principal."""
    path = "/directory/deletedItems/microsoft.graph"
    app = next((a for a in graph.get_all(f"{path}.application") if a.get("uniqueName") == unique_name), None)
    if not app:
        return None, None
    services = graph.get_all(f"{path}.servicePrincipal")
    return app, next((service for service in services if service.get("appId") == app["appId"]), None)


def take_deleted(found: Found, wanted: Wanted) -> None:
    """With --restore, treat what was deleted as there. Raises DeletedNamesake without it."""
    wants_api = bool(wanted.api_scopes)
    for app in (found.deleted_web, found.deleted_api if wants_api else None):
        is_ours = app is not None and TAG in app.get("tags", [])
        if app and not (is_ours and wanted.restore):
            restore = "Restore it with --restore, or choose" if is_ours else "Choose"
            raise DeletedNamesake(
                f"The app registration {app['displayName']} (client ID {app['appId']}) was deleted on "
                f"{str(app.get('deletedDateTime'))[:10]}, and its name is reserved for 30 days. {restore} "
                "another name with --name."
            )
    if found.deleted_web:
        found.web, found.web_service = found.deleted_web, found.deleted_web_service
    if found.deleted_api and wants_api:
        found.api, found.api_service = found.deleted_api, found.deleted_api_service


def _clients_of(graph: Graph, found: Found) -> list[str]:
    """The service principals of other apps that may call the web API."""
    service = found.api_service or {}
    own = found.web_service["id"] if found.web_service else ""
    to_api = equals("resourceId", service["id"])
    grants = graph.get_all(query("/oauth2PermissionGrants", filter=to_api))
    return sorted({str(grant["clientId"]) for grant in grants} - {own})


def _linked_flow(graph: Graph, found: Found) -> Json | None:
    for flow in found.user_flows:
        links = graph.get_all(f"/identity/authenticationEventsFlows/{flow['id']}/{FLOW_LINKS}")
        if found.web and any(link.get("appId") == found.web["appId"] for link in links):
            return flow
    return None
