"""LocalTenant: a tenant that runs in threads of this process."""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from .authorities import DEFAULT_KIND
from .server import LOOPBACK, WebServer, make_certificate
from .state import FIRST_EMAIL, FIRST_PASSWORD, TenantState
from .web.api import create_api
from .web.app import create_app

DEFAULT_PORT = 8400
DEFAULT_REDIRECT_URI = "http://localhost:5000/getAToken"
# Settings that the operator may choose for the app. An empty value counts as not set, and unlike a missing
# one it wins over a `.env` file, which is about another tenant.
APP_CHOICES = (
    "REDIS_URL",
    "SECRET_KEY_FALLBACKS",
    "SESSION_DIR",
    "SESSION_IDLE_MINUTES",
    "SESSION_ABSOLUTE_MINUTES",
    "SESSION_COOKIE_NAME",
)
# Settings of the kinds of authority and of other credentials. Those that the tenant does not set are emptied,
# because they contradict it.
B2C_SETTINGS = (
    "B2C_TENANT_NAME",
    "B2C_TENANT_ID",
    "SIGNUPSIGNIN_USER_FLOW",
    "EDITPROFILE_USER_FLOW",
    "RESETPASSWORD_USER_FLOW",
    "AUTHORITY_TEMPLATE",
    "WRITE_SCOPE",
)
OTHER_AUTHORITIES = (
    "AUTHORITY",
    "AUTHORITY_KIND",
    "ALLOWED_TENANTS",
    "OIDC_AUTHORITY",
    "PROFILE_SCOPE",
    "GRAPH_URL",
    "CLIENT_CERTIFICATE_PATH",
    "CLIENT_CERTIFICATE_PASSWORD",
    "FEDERATED_TOKEN_FILE",
    "MANAGED_IDENTITY_CLIENT_ID",
)


class LocalTenant:
    """A running tenant, as a context manager. Entering raises PortTaken.

    `kind` is "b2c", "entra-id", "entra-id-many-tenants" or "external-id". `logout_url` is the app's, for
    front-channel sign-out, which B2C does not have. `control` turns on the control API for programs on this
    machine, which tests need. The command line leaves it off.

    The pages and the control API listen on `port`, the endpoints for the app's back channel on the next
    port, the web API on the one after that; with 0, each on any free port. `announce` is called with one
    line for each verification code. `ca_bundle` is the path of the CA file that the back channel needs.
    """

    ca_bundle: str

    def __init__(
        self,
        port: int = 0,
        redirect_uris: Iterable[str] = (DEFAULT_REDIRECT_URI,),
        announce: Callable[[str], None] = lambda line: None,
        kind: str = DEFAULT_KIND,
        logout_url: str = "",
        control: bool = True,
    ):
        self.kind = kind
        self._port, self._with_control = port, control
        self._tenant = TenantState(kind, redirect_uris, announce)
        self._tenant.app.logout_url = logout_url
        self._secret_key = secrets.token_urlsafe(48)
        self._running = ExitStack()

    def __enter__(self) -> "LocalTenant":
        with ExitStack() as starting:
            self._start(starting)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, stack: ExitStack) -> None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="local-tenant-"))
        tls, self.ca_bundle = make_certificate(Path(folder))
        app, servers = (
            create_app(self._tenant, with_control=self._with_control, ca_bundle=self.ca_bundle),
            list[WebServer](),
        )
        stack.callback(_stop_all, servers)
        for offset, (wsgi_app, context) in enumerate(
            [(app, None), (app, tls), (create_api(self._tenant), None)]
        ):
            servers.append(WebServer(self._port and self._port + offset, wsgi_app, context))
        pages, back_channel, api = (f"{LOOPBACK}:{server.port}" for server in servers)
        origins = self._tenant.authority.origins
        origins.pages, origins.back_channel, origins.api = (
            f"http://{pages}",
            f"https://{back_channel}",
            f"http://{api}",
        )
        for server in servers:
            server.serve_in_background()

    def stop(self) -> None:
        """Release held requests, close everything, and delete the CA bundle."""
        self._tenant.faults.close()
        self._running.close()

    @property
    def url(self) -> str:
        """Origin of the pages and the control API."""
        return self._tenant.authority.origins.pages

    @property
    def tls_url(self) -> str:
        """Origin of metadata, keys and token endpoint."""
        return self._tenant.authority.origins.back_channel

    @property
    def name(self) -> str:
        """What the tenant stands in for, such as "Azure AD B2C"."""
        return self._tenant.authority.name

    @property
    def tenant_id(self) -> str:
        """The tenant's ID, a GUID."""
        return self._tenant.authority.guid

    @property
    def api_url(self) -> str:
        """Address of the protected web API of tasks."""
        return f"{self._tenant.authority.origins.api}/tasks"

    @property
    def tasks_scope(self) -> str:
        """The scopes for reading and writing tasks."""
        uri = self._tenant.authority.tasks_api.uri
        return f"{uri}/tasks.read {uri}/tasks.write"

    @property
    def graph_url(self) -> str:
        """Origin of Microsoft Graph, which only the kinds of Entra have."""
        return self._tenant.authority.origins.api

    @property
    def account(self) -> dict[str, str]:
        """E-mail address, password and object ID (`sub`) of the account that is there from the start."""
        return {"email": FIRST_EMAIL, "password": FIRST_PASSWORD, "sub": self._tenant.first_account.sub}

    @property
    def settings(self) -> dict[str, str]:
        """Everything that an app needs to use this tenant, as environment variables. Empty: not set."""
        return {
            **dict.fromkeys((*APP_CHOICES, *B2C_SETTINGS, *OTHER_AUTHORITIES), ""),
            **self._tenant.authority.settings(),
            "REDIRECT_URI": self._tenant.app.redirect_uris[0],
            # The pages are served over http, which the app accepts at this origin only.
            "INSECURE_SIGN_IN_ORIGIN": self.url,
            "SECRET_KEY": self._secret_key,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), _hosts_without_proxy()),
            "REQUESTS_CA_BUNDLE": self.ca_bundle,
            "SSL_CERT_FILE": self.ca_bundle,
        }


def _stop_all(servers: Sequence[WebServer]) -> None:
    """Stop the servers side by side, because each takes up to a tenth of a second to notice."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(WebServer.stop, servers))


def _hosts_without_proxy() -> str:
    """NO_PROXY with this machine added. As in most programs, the lower-case name wins."""
    configured = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if configured.strip() == "*":
        return configured  # in a list, "*" would not mean all hosts
    hosts = [host.strip() for host in configured.split(",") if host.strip()]
    return ",".join(hosts + [host for host in (LOOPBACK, "localhost") if host not in hosts])
