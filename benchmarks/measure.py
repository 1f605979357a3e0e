"""What is measured of each app, round by round."""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .apps import AT_ONCE, RunningApps, sign_in_many
from .hammer import hammer
from .rig import Rig
from .stand_in.tenant import NAME
from .visitor import Visitor

Figures = dict[str, list[float]]
T = TypeVar("T")


class Measurements:
    """The figures of each app: one value a round."""

    def __init__(self, apps: RunningApps) -> None:
        self.apps = apps
        self.home_rate: Figures = defaultdict(list)  # pages per second
        self.home_cpu: Figures = defaultdict(list)  # milliseconds a page
        self.sign_in_cpu: Figures = defaultdict(list)  # milliseconds a sign-in
        self.call_cpu: Figures = defaultdict(list)  # milliseconds a call
        self.requests: dict[str, dict[str, str]] = {}  # by app and step

    def home_page(self, name: str) -> None:
        """Measure the signed-in home page: pages per second, and the app's CPU time for one."""
        server, cookies = self.apps.servers[name], self.apps.cookies[name]
        rate, cpu = hammer(server, cookies, self.apps.effort.home_seconds, NAME)
        self.home_rate[name].append(rate)
        self.home_cpu[name].append(cpu)

    def sign_in(self, name: str) -> None:
        """Measure the app's CPU time for one sign-in, from the first page to the end of the callback."""
        server, count = self.apps.servers[name], self.apps.effort.sign_ins
        before = server.cpu_seconds()
        sign_in_many(server, count, keep_alive=True)
        self.sign_in_cpu[name].append((server.cpu_seconds() - before) * 1000 / count)

    def api_call(self, name: str) -> None:
        """Measure the app's CPU time for one API call with an access token that is in the session already."""
        server, each = self.apps.servers[name], self.apps.effort.calls // AT_ONCE
        visitors = sign_in_many(server, AT_ONCE, keep_alive=True)

        def call(visitor: Visitor, times: int) -> None:
            for _ in range(times):
                visitor.call_api()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(call, visitors, [1] * AT_ONCE))
            before = server.cpu_seconds()
            list(pool.map(call, visitors, [each] * AT_ONCE))
        self.call_cpu[name].append((server.cpu_seconds() - before) * 1000 / (each * AT_ONCE))

    def requests_to_tenant(self, name: str) -> None:
        """Count the requests to the tenant and to the API in each step, when both workers are warm."""
        visitor, steps = Visitor(self.apps.servers[name].url), Steps(self.apps.rig)
        callback = visitor.answer_of_tenant(steps.count("start of sign-in", visitor.start_sign_in))
        steps.restart()
        steps.count("callback", lambda: visitor.get(callback.removeprefix(visitor.app_url)))
        home = steps.count("home page", lambda: visitor.get("/"))
        visitor.call_api()
        steps.restart()
        steps.count("API call", visitor.call_api)
        steps.count("sign-out", lambda: visitor.sign_out(home))
        self.requests[name] = steps.seen


class Steps:
    """Counts what reaches the stand-in during each step."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.seen: dict[str, str] = {}
        self.restart()

    def restart(self) -> None:
        """Count from here on."""
        self._before = self._rig.counts()

    def count(self, step: str, work: Callable[[], T]) -> T:
        """Do the work of a step and note its requests to the tenant, + to the API, and new connections."""
        result = work()
        now = self._rig.counts()
        new = {kind: now[kind] - self._before.get(kind, 0) for kind in now}
        tenant = sum(new.get(kind, 0) for kind in ("metadata", "keys", "token", "refresh", "other"))
        connections = sum(new.get(f"{listener} connections", 0) for listener in ("tls", "api", "tls api"))
        api = f" + {new['api']}" if new.get("api") else ""
        self.seen[step] = f"{tenant}{api}" + (f" (connections: {connections})" if connections else "")
        self._before = now
        return result
