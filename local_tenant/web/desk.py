"""The root page: everything that an app needs to use the tenant, and what was wrong with its requests."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import cast

from flask import Blueprint, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..authorities.base import Address
from ..authorities.microsoft import GRAPH_URI
from ..invocation import program
from ..model.accounts import Account
from ..model.registrations import AppRegistration, AppType, UserFlowKind, WebApi
from ..model.steering import RequestEntry
from ..state import TenantState
from ..tls import CaFiles
from .endpoints import error_page
from .exchange import current_exchange
from .same_origin import is_from_own_page
from .snippets import Snippet, snippets
from .this_machine import is_from_this_machine

SHOWN_REQUESTS = 20
SHOWN_ACCOUNTS = 30

PURPOSES: dict[UserFlowKind, str] = {
    "sign_up_or_sign_in": "sign up and sign in",
    "sign_up": "sign up",
    "sign_in": "sign in",
    "edit_profile": "edit the profile",
    "reset_password": "reset the password",
    "ropc": "sign in without a page, by the password grant (ROPC)",
}
# What the words in place of a tenant's ID are for.
MANY_TENANTS = {
    "organizations": "accounts of all organizations",
    "common": "accounts of all organizations, and personal accounts",
    "consumers": "personal accounts",
}
APP_TYPES: dict[AppType, str] = {
    "web": "web: a confidential client, with a secret",
    "spa": "spa: a public client in the browser, with PKCE",
    "native": "native: a public client on a desktop or phone, with PKCE",
}

blueprint = Blueprint("desk", __name__)


@dataclass(frozen=True)
class AuthorityEntry:
    """An authority that apps can use. With B2C, each user flow is one."""

    name: str
    purpose: str
    url: str
    metadata_url: str


@dataclass(frozen=True)
class ScopeEntry:
    """A scope by its full name. `note` says who has it, unless all apps do."""

    name: str
    note: str


@dataclass(frozen=True)
class ApiEntry:
    """A web API. `address` is "" where the tenant serves none."""

    uri: str
    audience: str
    address: str
    scopes: list[ScopeEntry]


@dataclass(frozen=True)
class RequestLine:
    """A request, and the redirect URI that it asked for, if an app can register that."""

    time: str
    entry: RequestEntry
    client_id: str
    redirect_uri: str


@dataclass(frozen=True)
class Desk:
    """What the root page shows."""

    authorities: list[AuthorityEntry]
    apps: list[AppRegistration]
    apis: list[ApiEntry]
    accounts: list[Account]
    accounts_not_shown: int
    requests: list[RequestLine]
    snippets: list[Snippet]
    ca_files: CaFiles
    has_control: bool

    @property
    def refused(self) -> int:
        """How many of the requests on the page were refused."""
        return sum(line.entry["error_description"] is not None for line in self.requests)


@blueprint.before_request
def refuse_other_machines() -> ResponseReturnValue | None:
    """The page shows secrets and passwords."""
    if is_from_this_machine():
        return None
    text = "This page is for browsers on the tenant's own machine."
    return error_page(current_exchange().tenant, text, 403)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    return _page()


@blueprint.post("/redirect-uris")
def add_redirect_uri() -> ResponseReturnValue:
    tenant = current_exchange().tenant
    if not is_from_own_page():
        return error_page(tenant, "The form was sent from another site.", 403)
    app = tenant.apps.find(request.form.get("client_id", ""))
    if not app:
        return error_page(tenant, "There is no app registration with this client ID.", 404)
    redirect_uri = request.form.get("redirect_uri", "").strip()
    if fault := tenant.authority.redirect_uri_fault(redirect_uri, app.type):
        return _page(refused=app.client_id, redirect_uri=redirect_uri, fault=fault), 400
    if redirect_uri not in app.redirect_uris:
        app.redirect_uris.append(redirect_uri)
    return redirect(f"/#{app.client_id}", 303)


@blueprint.post("/requests/forget")
def forget_requests() -> ResponseReturnValue:
    tenant = current_exchange().tenant
    if not is_from_own_page():
        return error_page(tenant, "The form was sent from another site.", 403)
    tenant.record.clear()
    return redirect("/#requests", 303)


def _page(**form: str) -> str:
    tenant = current_exchange().tenant
    values = {"tenant": tenant, "desk": read(tenant), "app_types": APP_TYPES, "program": program()}
    return render_template("home.html", **values, form=form)


def read(tenant: TenantState) -> Desk:
    """What the root page shows of this tenant now."""
    accounts, ca_files = _accounts(tenant), cast(CaFiles, current_app.config["CA_FILES"])
    newest = islice(reversed(tenant.record.entries()), SHOWN_REQUESTS)
    return Desk(
        authorities=[_authority(tenant, address) for address in tenant.authority.addresses()],
        apps=list(tenant.apps),
        apis=_apis(tenant),
        accounts=accounts[:SHOWN_ACCOUNTS],
        accounts_not_shown=len(accounts[SHOWN_ACCOUNTS:]),
        requests=[_line(tenant, entry) for entry in newest],
        snippets=snippets(tenant, ca_files),
        ca_files=ca_files,
        has_control="control" in current_app.blueprints,
    )


def _accounts(tenant: TenantState) -> list[Account]:
    """The accounts of the set-up, and then the others, newest first."""
    first = tenant.example_accounts
    return first + [account for account in reversed(list(tenant.accounts)) if account not in first]


def _authority(tenant: TenantState, address: Address) -> AuthorityEntry:
    authority, user_flow = tenant.authority, address.user_flow
    return AuthorityEntry(
        name=user_flow.name if authority.has_user_flows else address.segment,
        purpose=MANY_TENANTS.get(address.segment, PURPOSES[user_flow.kind]),
        url=authority.authority_url(address),
        metadata_url=address.url(authority.origins.back_channel, "v2.0/.well-known/openid-configuration"),
    )


def _apis(tenant: TenantState) -> list[ApiEntry]:
    authority = tenant.authority
    paths = {authority.tasks_api.uri: "/tasks", GRAPH_URI: "/v1.0/me"}
    return [
        ApiEntry(
            api.uri,
            api.client_id,
            f"{authority.origins.api}{paths[api.uri]}" if api.uri in paths else "",
            [ScopeEntry(f"{api.uri}/{name}", _note(tenant, api, name)) for name in sorted(api.scopes)],
        )
        for api in authority.apis
    ]


def _note(tenant: TenantState, api: WebApi, scope: str) -> str:
    """Who has the scope. "" for all apps."""
    apps = list(tenant.apps)
    granted = [app.name for app in apps if app.has_permission(api, scope)]
    if len(granted) == len(apps):
        return ""
    if granted:
        return f"granted to {', '.join(granted)}"
    asks_user = tenant.authority.has_consent and scope not in api.admin_only
    return "asks the user for consent" if asks_user else "not granted to any app"


def _line(tenant: TenantState, entry: RequestEntry) -> RequestLine:
    client_id, redirect_uri = (
        (entry["query"].get(name) or [""])[0] for name in ("client_id", "redirect_uri")
    )
    app = tenant.apps.find(client_id)
    can_register = (
        app is not None
        and not app.accepts(redirect_uri)
        and not tenant.authority.redirect_uri_fault(redirect_uri, app.type)
    )
    return RequestLine(
        time=datetime.fromtimestamp(entry["time"]).strftime("%H:%M:%S"),
        entry=entry,
        client_id=client_id,
        redirect_uri=redirect_uri if can_register and entry["error_code"] else "",
    )
