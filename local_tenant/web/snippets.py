"""Configuration of well-known libraries, filled with the values of this tenant, to copy."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import render_template

from ..model.registrations import AppRegistration, AppType
from ..state import TenantState
from ..tls import CaFiles


@dataclass(frozen=True)
class Snippet:
    """`text` goes into a file such as `file`."""

    title: str
    file: str
    text: str


@dataclass(frozen=True)
class Library:
    """A library, its template in templates/snippets, and the type of app registration that it uses."""

    title: str
    file: str
    template: str
    type: AppType = "web"


LIBRARIES = (
    Library("MSAL Python", "app.py", "msal_python.py.txt"),
    Library("MSAL.js in the browser", "auth.js", "msal_browser.js.txt", "spa"),
    Library("MSAL.js on Node.js", "app.mjs", "msal_node.js.txt"),
    Library(".NET, Microsoft.Identity.Web", "appsettings.json", "appsettings.json.txt"),
    Library("Spring Boot", "application.yml", "application.yml.txt"),
)


def snippets(tenant: TenantState, ca_files: CaFiles) -> list[Snippet]:
    """The snippets for the types of app registration that the tenant has."""
    apps: dict[AppType, AppRegistration] = {}
    for app in tenant.apps:
        if app.redirect_uris:
            apps.setdefault(app.type, app)
    values = _values(tenant)
    return [
        Snippet(
            library.title,
            library.file,
            render_template(
                f"snippets/{library.template}",
                app=apps[library.type],
                redirect_uri=apps[library.type].redirect_uris[0],
                callback_path=urlsplit(apps[library.type].redirect_uris[0]).path or "/",
                ca_files=ca_files,
                **_api_values(tenant, apps[library.type]),
                **values,
            ),
        )
        for library in LIBRARIES
        if library.type in apps
    ]


def _values(tenant: TenantState) -> dict[str, object]:
    """What the templates name, besides the app."""
    authority, origin = tenant.authority, tenant.authority.origins.back_channel
    addresses, address = authority.addresses(), authority.sign_in_address
    return {
        "authority_url": authority.authority_url(address),
        "origin": origin,
        "host": urlsplit(origin).netloc,
        "segment": address.segment,
        "has_user_flows": authority.has_user_flows,
        "user_flows": {each.user_flow.kind: each.user_flow.name for each in addresses},
        "user_flow": address.user_flow.name,
        "metadata": authority.metadata(address),
    }


def _api_values(tenant: TenantState, app: AppRegistration) -> dict[str, str]:
    """The first web API that the app has a scope of, or else the one that the tenant serves."""
    authority = tenant.authority
    tasks = authority.tasks_api
    permitted = [
        (api, scope)
        for api in authority.apis
        for scope in sorted(api.scopes)
        if app.has_permission(api, scope)
    ]
    api, scope = next(iter(permitted), (tasks, min(tasks.scopes)))
    return {
        "api_url": f"{authority.origins.api}/tasks" if api is tasks else "http://localhost:8080",
        "audience": api.client_id,
        "scope": f"{api.uri}/{scope}",
    }
