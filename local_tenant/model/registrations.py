"""What is registered at the tenant: user flows, web APIs and apps."""

import secrets
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from .attributes import DEFAULT_COLLECTS
from .redirect_uris import without_loopback_port

UserFlowKind = Literal["sign_up_or_sign_in", "sign_up", "sign_in", "edit_profile", "reset_password", "ropc"]
# What shares one session at the tenant: all of it, one app, one user flow, or nothing.
SingleSignOn = Literal["tenant", "application", "user_flow", "disabled"]
SINGLE_SIGN_ON: tuple[SingleSignOn, ...] = get_args(SingleSignOn)
AppType = Literal["web", "spa", "native"]
Language = Literal["", "en", "fr"]

# Where development servers of single-page apps listen by default.
SPA_PORTS = (3000, 4200, 5173)


@dataclass(eq=False)
class UserFlow:
    """A user flow. `kind` says which pages it leads through.

    `collects` are the attributes of its forms, `returns` the claims of its tokens, None for all of them.
    `resets_password`: the sign-in page resets a forgotten password itself. `language` is that of the sign-in
    page; "" leaves it to the browser. `require_id_token_hint` is about sign-out. `userinfo`: the UserInfo
    endpoint, which at B2C only custom policies have.
    """

    name: str
    kind: UserFlowKind
    single_sign_on: SingleSignOn = "tenant"
    require_id_token_hint: bool = False
    userinfo: bool = False
    collects: tuple[str, ...] = DEFAULT_COLLECTS
    returns: tuple[str, ...] | None = None
    resets_password: bool = False
    language: Language = ""

    def returned(self, claims: Mapping[str, object]) -> dict[str, object]:
        """Those of the claims that this user flow returns."""
        return {name: value for name, value in claims.items() if self.returns is None or name in self.returns}


@dataclass(frozen=True)
class WebApi:
    """A web API. An administrator has granted the apps the scopes in `granted`.

    People can consent to the others, where the authority has consent, except to those in `admin_only`.
    """

    uri: str
    scopes: frozenset[str]
    granted: frozenset[str]
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    admin_only: frozenset[str] = frozenset()
    name: str = ""

    def has_scope(self, scope: str) -> bool:
        return scope in {f"{self.uri}/{name}" for name in self.scopes}


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(eq=False)
class AppRegistration:
    """The registration of an app that signs users in.

    `type` is the platform as the portal names it. An app of type "web" is a confidential client, the others
    are public clients, which have no secret. `logout_url` is for front-channel sign-out. `id_tokens` and
    `access_tokens` are the portal's boxes for the implicit and hybrid flows. `permissions` are the scopes
    that an administrator has granted to it, with the URIs of their APIs; None for what each API grants.
    """

    name: str
    type: AppType = "web"
    client_id: str = field(default_factory=_new_id)
    client_secret: str = ""
    redirect_uris: list[str] = field(default_factory=list)
    logout_url: str = ""
    id_tokens: bool = False
    access_tokens: bool = False
    permissions: list[str] | None = None

    @property
    def is_public(self) -> bool:
        return self.type != "web"

    def has_permission(self, api: WebApi, scope: str) -> bool:
        """Whether an administrator has granted this app the scope, which has no URI here."""
        if self.permissions is None:
            return scope in api.granted
        return f"{api.uri}/{scope}" in self.permissions

    def has_secret(self, secret: str) -> bool:
        return secrets.compare_digest(self.client_secret.encode(), secret.encode())

    def accepts(self, redirect_uri: str) -> bool:
        """Whether the redirect URI is registered. For a native app, a loopback address has any port."""
        if redirect_uri in self.redirect_uris:
            return True
        without_port = without_loopback_port(redirect_uri) if self.type == "native" else None
        registered = [without_loopback_port(uri) for uri in self.redirect_uris]
        return without_port is not None and without_port in registered


class Apps:
    """The app registrations. The first one is the app whose settings the tenant prints.

    Client IDs are GUIDs, so their case does not matter.
    """

    def __init__(self, apps: Iterable[AppRegistration]):
        self._apps = {app.client_id.lower(): app for app in apps}

    def __iter__(self) -> Iterator[AppRegistration]:
        return iter(self._apps.values())

    @property
    def first(self) -> AppRegistration:
        return next(iter(self))

    def find(self, client_id: str) -> AppRegistration | None:
        return self._apps.get(client_id.lower())


def default_redirect_uris(type: AppType, client_id: str) -> list[str]:
    """Where the development servers of single-page apps are, and the usual addresses of native apps."""
    if type == "spa":
        origins = [f"http://localhost:{port}" for port in SPA_PORTS]
        return [uri for origin in origins for uri in (f"{origin}/", origin)]
    if type == "native":
        return [
            "http://localhost",
            "http://127.0.0.1",
            "https://login.microsoftonline.com/common/oauth2/nativeclient",
            f"msal{client_id}://auth",
        ]
    return []
