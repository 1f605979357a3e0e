"""LocalTenant: a tenant that runs in threads of this process."""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urljoin

from .authorities import DEFAULT_KIND, KINDS
from .configuration import default_configuration, lasting_tenant_id, load
from .kept import Kept
from .model.origins import CONTAINER_HOST, IPV6_LOOPBACK, LOOPBACK
from .server import WebServer
from .state import TenantState
from .tls import CertificateAuthority, lasting_authority, temporary_authority, write_ca_files
from .web.api import create_api
from .web.app import create_app

DEFAULT_PORT = 8400
# Variables that name a CA file, for programs that then read no other.
BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
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


class RedirectUriUnusable(ValueError):
    """A redirect URI cannot be registered. The message says why."""


class LocalTenant:
    """A running tenant, as a context manager. Entering raises PortTaken, AddressMissing and
    DatabaseUnusable.

    `kind` is "b2c" (the default), "entra-id", "entra-id-many-tenants" or "external-id". `logout_url` is the
    app's, for front-channel sign-out, which B2C does not have. A path is at the origin of the redirect URI.
    `control` turns on the control API, which tests need. The command line leaves it off. `config` is a file
    that sets up the tenant.
    With `database`, an SQLite file, accounts outlive the tenant. Raises ConfigurationError, HomeUnusable, and
    RedirectUriUnusable for `redirect_uris` that cannot be registered.

    The pages and the control API listen on `port`, the endpoints for the app's back channel on the next
    port, the web API on the one after that; with 0, each on any free port. With `https`, everything but the
    web API is on `port`, the web API on the next one, and both speak TLS only. `listen` is an IP address
    to listen on besides 127.0.0.1. It needs `https`, or else ValueError is raised.

    `home` is a state folder. With one, the certificate authority, IDs, secrets and signing keys stay the same
    from start to start. Without one, they are new, except for what `config` says. `ca_bundle` and
    `ca_certificate` are the paths of CA files, with and without the public CAs. `announce` is called with one
    line for each verification code, and when the CA had to be replaced.
    """

    ca_bundle: str
    ca_certificate: str

    def __init__(
        self,
        port: int = 0,
        redirect_uris: Iterable[str] = (DEFAULT_REDIRECT_URI,),
        announce: Callable[[str], None] = lambda line: None,
        kind: str = "",
        logout_url: str = "",
        *,
        control: bool = True,
        https: bool = False,
        home: Path | None = None,
        listen: str = LOOPBACK,
        config: Path | str | None = None,
        database: Path | str | None = None,
    ):
        if listen != LOOPBACK and not https:
            raise ValueError("A tenant that other machines can reach needs https.")
        redirect_uris = list(redirect_uris)
        if config:
            configuration = load(config, redirect_uris, kind)
        else:
            kind = kind or DEFAULT_KIND
            tenant_id = lasting_tenant_id(kind) if home else ""
            configuration = default_configuration(kind, redirect_uris, tenant_id=tenant_id)
        _check_redirect_uris(configuration.kind, redirect_uris)
        kept = Kept(home, configuration.tenant_id)
        self.kind, self.https, self.listen = configuration.kind, https, listen
        self._port, self._home, self.database = port, home, database
        self._announce, self._with_control = announce, control
        self._tenant = TenantState(configuration, kept, announce)
        app = self._tenant.app
        app.logout_url = app.logout_url or _at_origin(app.redirect_uris, logout_url)
        self._secret_key = kept.secret_key()
        self._running = ExitStack()

    def __enter__(self) -> "LocalTenant":
        with ExitStack() as starting:
            self._start(starting)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, stack: ExitStack) -> None:
        authority, origins = self._tenant.authority, self._tenant.authority.origins
        stack.callback(self._tenant.close)
        self._tenant.open_accounts(self.database)
        tls = self._certificate_authority(stack).server_context(authority.host_names)
        if self.https:
            origins.https = True
            origins.hosts += (IPV6_LOOPBACK, CONTAINER_HOST, *authority.host_names)
        app = create_app(self._tenant, with_control=self._with_control, ca_files=self._ca_files)
        api = create_api(self._tenant)
        apps = [(app, tls), (api, tls)] if self.https else [(app, None), (app, tls), (api, None)]
        servers = list[WebServer]()
        stack.callback(_stop_all, servers)
        on_loopback = []
        for offset, (wsgi_app, context) in enumerate(apps):
            port = self._port and self._port + offset
            first, *more = _addresses(self.listen)
            servers.append(WebServer(port, wsgi_app, context, first))
            on_loopback.append(servers[-1])
            for address in more:
                servers.append(WebServer(on_loopback[-1].port, wsgi_app, context, address))
        origins.set([server.origin for server in on_loopback])
        for server in servers:
            server.serve_in_background()

    def _certificate_authority(self, stack: ExitStack) -> CertificateAuthority:
        """The CA that signs for this tenant. Writes the files that its clients read."""
        if self._home:
            folder, authority = self._home, lasting_authority(self._home, self._announce)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="local-tenant-")))
            folder.chmod(0o755)  # only CA files are in it, and programs of other users read them
            authority = temporary_authority()
        self._ca_files = write_ca_files(folder, authority)
        self.ca_bundle, self.ca_certificate = str(self._ca_files.bundle), str(self._ca_files.certificate)
        return authority

    def add_redirect_uris(self, redirect_uris: Iterable[str]) -> None:
        """Register more redirect URIs with the web app. Raises RedirectUriUnusable."""
        redirect_uris, app = list(redirect_uris), self._tenant.app
        _check_redirect_uris(self.kind, redirect_uris)
        app.redirect_uris += [uri for uri in redirect_uris if uri not in app.redirect_uris]

    def stop(self) -> None:
        """Release held requests, close everything, and delete the CA files of a temporary CA."""
        self._tenant.faults.close()
        self._running.close()

    @property
    def url(self) -> str:
        """Origin of the pages and the control API. With `https` the same as `tls_url`."""
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
    def authority_url(self) -> str:
        """The authority where users sign in, as clients are given it. With B2C, it names the user flow."""
        authority = self._tenant.authority
        return authority.authority_url(authority.sign_in_address)

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
    def tasks_api_id(self) -> str:
        """Client ID of the web API of tasks: the `aud` of its access tokens."""
        return self._tenant.authority.tasks_api.client_id

    @property
    def graph_url(self) -> str:
        """Origin of Microsoft Graph, which only the kinds of Entra have."""
        return self._tenant.authority.origins.api

    @property
    def account(self) -> dict[str, str]:
        """E-mail address, password and object ID (`sub`) of the first account that is there from the start.

        Raises LookupError when all of them have been removed.
        """
        if not self._tenant.example_accounts:
            raise LookupError("All accounts of the set-up have been removed. Add one by the control API.")
        account = self._tenant.example_accounts[0]
        return {"email": account.email, "password": account.password, "sub": account.sub}

    @property
    def settings(self) -> dict[str, str]:
        """Everything that an app needs to use this tenant, as environment variables. Empty: not set."""
        without_proxy = _hosts_without_proxy(self._tenant.authority.origins.hosts)
        return {
            **dict.fromkeys((*APP_CHOICES, *B2C_SETTINGS, *OTHER_AUTHORITIES), ""),
            **self._tenant.authority.settings(),
            "LOCAL_TENANT_URL": self.url,
            "LOCAL_TENANT_AUTHORITY": self.authority_url,
            "REDIRECT_URI": next(iter(self._tenant.app.redirect_uris), ""),
            # Where pages are served over http, the app accepts that at this origin only.
            "INSECURE_SIGN_IN_ORIGIN": "" if self.https else self.url,
            "SECRET_KEY": self._secret_key,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), without_proxy),
            **dict.fromkeys(BUNDLE_VARIABLES, self.ca_bundle),
            "NODE_EXTRA_CA_CERTS": str(self._ca_files.for_node),
        }


def _check_redirect_uris(kind: str, redirect_uris: Iterable[str]) -> None:
    for uri in redirect_uris:
        if fault := KINDS[kind].redirect_uri_fault(uri, "web"):
            raise RedirectUriUnusable(f"{uri!r} cannot be a redirect URI. {fault}")


def _at_origin(redirect_uris: Sequence[str], url: str) -> str:
    """`url`. If it is a path, at the origin of the first redirect URI, or "" if that is no web address."""
    if not url.startswith("/"):
        return url
    first = redirect_uris[0] if redirect_uris else ""
    return urljoin(first, url) if first.startswith(("http://", "https://")) else ""


def _addresses(listen: str) -> list[str]:
    """The addresses to listen on. This machine itself can always reach the tenant at 127.0.0.1."""
    if listen == LOOPBACK or ip_address(listen).is_unspecified:
        return [listen]
    return [LOOPBACK, listen]


def _stop_all(servers: Sequence[WebServer]) -> None:
    """Stop the servers side by side, because each takes up to a tenth of a second to notice."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(WebServer.stop, servers))


def _hosts_without_proxy(local: Sequence[str]) -> str:
    """NO_PROXY with this machine added. As in most programs, the lower-case name wins."""
    configured = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if configured.strip() == "*":
        return configured  # in a list, "*" would not mean all hosts
    hosts = [host.strip() for host in configured.split(",") if host.strip()]
    return ",".join(hosts + [host for host in local if host not in hosts])
