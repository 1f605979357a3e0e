"""The apps that are compared, each running and with signed-in users."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .figures import say
from .rig import ROOT, AppServer, Rig
from .visitor import Visitor, cookie_header

BARE, IDENTITY, AUTHLIB, PLAIN = "bare Flask", "identity", "Authlib", "plain MSAL, 2022"
SQLITE, REDIS = "the app, SQLite", "the app, Redis"
SQLITE_MANY, REDIS_MANY = "the app, SQLite, many sessions", "the app, Redis, many sessions"
APP_KINDS = {
    SQLITE: "app:app",
    REDIS: "app:app",
    SQLITE_MANY: "app:app",
    REDIS_MANY: "app:app",
    BARE: "benchmarks.peers.bare:app",
    IDENTITY: "benchmarks.peers.identity_app:app",
    AUTHLIB: "benchmarks.peers.authlib_app:app",
    PLAIN: "benchmarks.peers.plain_msal_app:app",
}
FEW = [name for name in APP_KINDS if name not in (SQLITE_MANY, REDIS_MANY)]
HOME_USERS = 100
AT_ONCE = 16  # users who sign in or call the API at the same time
FILL_SECONDS = 3600


@dataclass(frozen=True)
class Effort:
    """How much to measure. ``sign_ins`` and ``calls`` are for each app and round."""

    rounds: int
    home_seconds: float
    sign_ins: int
    calls: int
    many: int
    growth_sign_ins: int
    hanging_seconds: int


class RunningApps:
    """Every app of APP_KINDS, with the Cookie headers of 100 signed-in users."""

    def __init__(self, rig: Rig, effort: Effort, *, public_cas: bool) -> None:
        self.rig, self.effort, self._public_cas = rig, effort, public_cas
        self.servers: dict[str, AppServer] = {}
        self.cookies: dict[str, list[str]] = {BARE: ["none=1"]}
        self.redis_bytes_a_session = 0.0

    def start(self) -> None:
        """Start the apps, sign the users in, and fill the stores that hold many sessions."""
        stores = {
            REDIS: {"REDIS_URL": self.rig.redis_url(0)},
            REDIS_MANY: {"REDIS_URL": self.rig.redis_url(1)},
        }
        for name, module in APP_KINDS.items():
            label = name.replace(" ", "-").replace(",", "")
            extra = stores.get(name, {})
            self.servers[name] = self.rig.app(label, module, public_cas=self._public_cas, settings=extra)
            if name != BARE:
                say(f"{name}: signing {HOME_USERS} users in")
                self.cookies[name] = [
                    settled_cookies(v) for v in sign_in_many(self.servers[name], HOME_USERS)
                ]
        self._fill(SQLITE_MANY)
        before = self.rig.redis_memory()
        self._fill(REDIS_MANY)
        self.redis_bytes_a_session = (self.rig.redis_memory() - before) / self.effort.many

    def _fill(self, name: str) -> None:
        say(f"{name}: filling the store with {self.effort.many:,} sessions")
        command = [sys.executable, "-m", "benchmarks.fill", str(self.effort.many)]
        command.append(session_id(self.cookies[name][0]))
        environment = self.servers[name].environment
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=FILL_SECONDS)

    def stop(self) -> None:
        """Stop all of them."""
        for server in self.servers.values():
            server.kill()


def sign_in_many(server: AppServer, count: int, *, keep_alive: bool = False) -> list[Visitor]:
    """Return visitors who have signed in, each as another user, 16 at a time.

    A connection for each request spreads the work over both workers.
    """

    def signed_in(_: int) -> Visitor:
        visitor = Visitor(server.url, keep_alive=keep_alive)
        visitor.sign_in()
        return visitor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(signed_in, range(count)))


def settled_cookies(visitor: Visitor) -> str:
    """Return the Cookie header of a user who has seen the page after sign-in, with whatever it shows once.

    Raises RuntimeError when the next page still adds or removes a cookie: then the pages that are measured
    would not be alike. An app may send its session cookie with every page.
    """
    visitor.get("/")
    settled = set(visitor.client.cookies.keys())
    page = visitor.get("/")
    if set(visitor.client.cookies.keys()) != settled:
        raise RuntimeError(f"{visitor.app_url} still sets a cookie: {page.headers['Set-Cookie']}")
    return cookie_header(visitor)


def session_id(cookie_header: str) -> str:
    """Return the value of the app's session cookie."""
    cookies = dict(pair.split("=", 1) for pair in cookie_header.split("; "))
    return next(value for name, value in cookies.items() if name.endswith("session"))
