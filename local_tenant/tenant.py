"""LocalTenant: the three servers of one stand-in tenant, in threads of this process."""

import os
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path

from .api import make_api
from .certificate import make_tls
from .model import DOMAIN, NAME, READY, Tenant
from .server import LOOPBACK, Server
from .web import make_app

DEFAULT_PORT = 8400
# An empty value counts as not set and still wins over a `.env` file, which is about another tenant.
BLANK = {
    "REDIS_URL": "",
    "SECRET_KEY_FALLBACKS": "",
    "SESSION_DIR": "",
    "SESSION_IDLE_MINUTES": "",
    "SESSION_ABSOLUTE_MINUTES": "",
}


class LocalTenant:
    """A running tenant, as a context manager; raises PortTaken on entry.

    The pages are on `port`, the back channel on the next, the web API after that; 0: any free ports.
    `announce` is called with one line for each verification code.
    """

    def __init__(
        self, port=0, redirect_uris=("http://localhost:5000/getAToken",), announce=lambda line: None
    ):
        self._port = port
        self._tenant = Tenant(redirect_uris, announce)
        self._secret_key = secrets.token_urlsafe(48)
        self._running = ExitStack()

    def __enter__(self):
        with ExitStack() as starting:
            self._start(starting)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_):
        self.stop()

    def _start(self, stack):
        tenant, port = self._tenant, self._port
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="local-tenant-"))
        tls, self.ca_bundle = make_tls(Path(folder))
        app, servers = make_app(tenant), []
        for nth, (wsgi, context) in enumerate([(app, None), (app, tls), (make_api(tenant), None)]):
            servers.append(Server(port and port + nth, wsgi, context))
            stack.callback(servers[-1].stop)
        pages, back_channel, api = (f"{LOOPBACK}:{server.port}" for server in servers)
        tenant.url, tenant.tls_url, tenant.api_url = (
            f"http://{pages}",
            f"https://{back_channel}",
            f"http://{api}",
        )
        for server in servers:
            server.start()

    def stop(self):
        """Close everything and delete the CA bundle; raises RuntimeError if a request does not end."""
        self._tenant.faults.close()
        self._running.close()

    @property
    def url(self):
        """Origin of the pages and the control API."""
        return self._tenant.url

    @property
    def tls_url(self):
        """Origin of discovery, keys and token."""
        return self._tenant.tls_url

    @property
    def api_url(self):
        """Address of the protected web API."""
        return f"{self._tenant.api_url}/tasks"

    @property
    def account(self):
        """The account that is there from the start."""
        return {**READY, "sub": self._tenant.ready.sub}

    @property
    def settings(self):
        """Everything an app needs to use this tenant, as environment variables; empty: not set."""
        tenant = self._tenant
        return {
            "B2C_TENANT_NAME": NAME,
            "B2C_TENANT_ID": tenant.guid,
            "CLIENT_ID": tenant.registration.client_id,
            "CLIENT_SECRET": tenant.options.client_secret,
            "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1",
            "EDITPROFILE_USER_FLOW": "B2C_1_profileediting1",
            "RESETPASSWORD_USER_FLOW": "B2C_1_passwordreset1",
            "AUTHORITY_TEMPLATE": f"{self.tls_url}/{{tenant}}.onmicrosoft.com/{{user_flow}}",
            "REDIRECT_URI": tenant.registration.redirect_uris[0],
            "ENDPOINT": self.api_url,
            "SCOPE": f"https://{DOMAIN}/tasks-api/tasks.read https://{DOMAIN}/tasks-api/tasks.write",
            "SECRET_KEY": self._secret_key,
            **BLANK,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), _no_proxy()),
            "REQUESTS_CA_BUNDLE": self.ca_bundle,
            "SSL_CERT_FILE": self.ca_bundle,
        }


def _no_proxy():
    """The hosts that need no proxy, this machine among them; the lower-case name wins, as it mostly does."""
    set_already = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if set_already.strip() == "*":
        return set_already  # "all" is only understood alone
    hosts = [host.strip() for host in set_already.split(",") if host.strip()]
    return ",".join(hosts + [host for host in (LOOPBACK, "localhost") if host not in hosts])
