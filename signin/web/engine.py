"""The parts that serve one app: settings, OAuth client, session records, HTTP clients for web APIs."""

import re
from dataclasses import dataclass, field
from typing import TypedDict
from urllib.parse import urlsplit

from flask import current_app

import app_config
from signin.authorities import B2C, ENTRA_ID, ENTRA_ID_MANY_TENANTS, OPENID_CONNECT
from signin.oidc import (
    ALL_CALLS,
    EDIT_PROFILE,
    RESET_PASSWORD,
    SIGN_IN,
    AzureADB2C,
    Bulkhead,
    Certificate,
    Client,
    ClientSecret,
    Credential,
    EntraID,
    EntraIDManyTenants,
    ExternalID,
    FederatedTokenFile,
    HttpClient,
    ManagedIdentity,
    OpenIDConnect,
    Provider,
)
from signin.sessions import Records, Seal, Store

from .shared_calls import FairShares, SharedCalls

MOST_API_CALLS = 16  # at a time to all web APIs together; the sign-in service can have 8 slots at any time
MOST_API_CALLS_OF_A_SESSION = 6  # as many connections as a browser opens to a site


class CookieAttributes(TypedDict):
    """The attributes that every cookie of the app has."""

    secure: bool
    httponly: bool
    samesite: str
    path: str


@dataclass(frozen=True)
class Cookies:
    """The names and attributes of the app's cookies."""

    prefix: str
    secure: bool

    @property
    def attributes(self) -> CookieAttributes:
        return {"secure": self.secure, "httponly": True, "samesite": "Lax", "path": "/"}

    @property
    def session(self) -> str:
        return f"{self.prefix}session"

    @property
    def flow(self) -> str:
        """The beginning of a pending flow's cookie name. The flow's `state` follows it."""
        return f"{self.prefix}flow_"

    @property
    def notice(self) -> str:
        return f"{self.prefix}notice"

    @property
    def tries(self) -> str:
        return f"{self.prefix}tries"

    @property
    def interaction(self) -> str:
        return f"{self.prefix}interaction"


@dataclass(frozen=True)
class Engine:
    """Everything that requests share. `apis` has an HTTP client for each API that may get access tokens."""

    settings: app_config.Settings
    client: Client
    records: Records
    seal: Seal
    cookies: Cookies
    apis: dict[str, HttpClient] = field(default_factory=dict)
    api_calls: Bulkhead = field(default_factory=lambda: Bulkhead(MOST_API_CALLS, within=ALL_CALLS))
    api_shares: FairShares = field(default_factory=lambda: FairShares(MOST_API_CALLS_OF_A_SESSION))
    refreshes: SharedCalls[str] = field(default_factory=SharedCalls)

    def allow_api(self, url: str) -> None:
        """Let access tokens go to the origin of `url`. Raises ValueError, as `api_origin` does."""
        self.apis.setdefault(api_origin(url), HttpClient("web API", within=self.api_calls, ca_for=url))


def make_engine(settings: app_config.Settings, store: Store) -> Engine:
    """Put the parts together for these settings. Raises CredentialUnusable for an unusable credential."""
    seal = Seal([settings.secret_key, *settings.secret_key_fallbacks])
    idle, absolute = settings.session_idle_minutes * 60, settings.session_absolute_minutes * 60
    parts = Engine(
        settings=settings,
        client=Client(_provider(settings), settings.client_id, _credential(settings), settings.redirect_uri),
        records=Records(store, seal, idle=idle, absolute=absolute),
        seal=seal,
        cookies=Cookies(settings.cookie_name_prefix, settings.https),
    )
    for url in _api_urls(settings):
        parts.allow_api(url)
    return parts


def engine() -> Engine:
    """The engine of the app that serves this request."""
    found = current_app.extensions["signin"]
    assert isinstance(found, Engine)  # noqa: S101 - for the type checker
    return found


def _provider(settings: app_config.Settings) -> Provider:
    """The one place that chooses by the kind of authority."""
    insecure_origin = settings.insecure_sign_in_origin
    if settings.kind == B2C:
        user_flows = {
            SIGN_IN: settings.signupsignin_user_flow,
            EDIT_PROFILE: settings.editprofile_user_flow,
            RESET_PASSWORD: settings.resetpassword_user_flow,
        }
        return AzureADB2C(
            settings.b2c_tenant_name or "",
            {user_flow: name for user_flow, name in user_flows.items() if name},
            settings.authority_template,
            tenant_id=settings.b2c_tenant_id,
            insecure_origin=insecure_origin,
        )
    if settings.kind == OPENID_CONNECT:
        return OpenIDConnect(settings.oidc_authority or "", insecure_origin=insecure_origin)
    authority = settings.authority or ""
    if settings.kind == ENTRA_ID_MANY_TENANTS:
        return EntraIDManyTenants(authority, settings.allowed_tenants, insecure_origin=insecure_origin)
    if settings.kind == ENTRA_ID:
        return EntraID(authority, insecure_origin=insecure_origin)
    return ExternalID(authority, insecure_origin=insecure_origin)


def _api_urls(settings: app_config.Settings) -> list[str]:
    urls = [settings.endpoint] if settings.endpoint else []
    return [*urls, settings.graph_url] if settings.profile_scope else urls


def _credential(settings: app_config.Settings) -> Credential:
    if settings.client_certificate_path:
        return Certificate(settings.client_certificate_path, settings.client_certificate_password)
    if settings.federated_token_file:
        return FederatedTokenFile(settings.federated_token_file)
    if settings.managed_identity_client_id:
        return ManagedIdentity(settings.managed_identity_client_id)
    return ClientSecret(settings.client_secret or "")


def api_origin(url: str) -> str:
    """Scheme, host and port of a web API's URL.

    Access tokens go there, so it is https, or http on this machine. Raises ValueError for any other URL, and
    for one with a backslash, a blank or another character that programs read differently.
    """
    parts = urlsplit(url)
    is_loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback)
    if not is_safe or not parts.hostname or not re.fullmatch(r"[!-\[\]-~]+", url):
        raise ValueError("the URL of a web API should be https, or http on this machine, percent-encoded")
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{parts.hostname}:{port}"


def without_query(url: str) -> str:
    """`url` without its query, fragment and user information, which may hold keys."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
