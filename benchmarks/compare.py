"""Compares the app with bare Flask and with other ways of writing it, and prints Markdown tables.

``python -m benchmarks.compare`` takes about fifteen minutes; ``--quick`` about two, with rougher figures
and without drawing ``memory.svg``.
"""

import argparse
import asyncio
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from .browser import Browser, at_tenant, sign_in, sign_out, start_sign_in
from .draw import draw_growth
from .hammer import hammer
from .rig import ROOT, Rig, Server, end_on_signals
from .stand_in import NAME

PICTURE = ROOT / "benchmarks" / "memory.svg"
HOME_USERS = 100
WARM_UP = 24  # sign-ins, for those whose home page is not asked for: then both workers are warm
AT_ONCE = 16  # users who sign in or call the API at the same time
EMBEDDED, REDIS = "the app", "the app on Redis"
MANY = ", many sessions"
CHEAP = ", cheap connections"
BARE, IDENTITY, AUTHLIB, PLAIN = "bare Flask", "identity", "Authlib", "plain MSAL, 2022"
PEERS = {
    BARE: "benchmarks.peers.bare:app",
    IDENTITY: "benchmarks.peers.identity_app:app",
    AUTHLIB: "benchmarks.peers.authlib_app:app",
    PLAIN: "benchmarks.peers.plain_msal_app:app",
}

Figures = dict[str, list[float]]


@dataclass(frozen=True)
class Effort:
    """How much to measure: rounds, seconds of a home page round, sign-ins of a round, and so on."""

    rounds: int = 9
    seconds: float = 3.0
    sign_ins: int = 32
    calls: int = 160
    many_sessions: int = 100_000
    growth_sign_ins: int = 10_000


QUICK = Effort(rounds=3, seconds=1.0, sign_ins=32, calls=96, many_sessions=2_000, growth_sign_ins=600)


def say(text: str) -> None:
    """Tell the person at the terminal how far it is; the tables alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


class Comparison:
    """The running apps, and what was measured of each."""

    def __init__(self, rig: Rig, effort: Effort) -> None:
        self.rig, self.effort = rig, effort
        self.servers: dict[str, Server] = {}
        self.cookies: dict[str, list[str]] = {BARE: ["none=1"]}
        self.home: Figures = defaultdict(list)
        self.home_cpu: Figures = defaultdict(list)
        self.sign_in_cpu: Figures = defaultdict(list)
        self.call_cpu: Figures = defaultdict(list)
        self.requests: dict[str, dict[str, str]] = {}

    async def prepare(self) -> None:
        """Start everything and sign the users in whose home page is asked for."""
        for name, module in PEERS.items():
            self._start(name, module)
        self._start(EMBEDDED)
        for name in (EMBEDDED, IDENTITY, AUTHLIB):
            self._start(name + CHEAP, PEERS.get(name, "app:app"), **self.rig.cheap_connections())
        self._start(EMBEDDED + MANY)
        self._start(REDIS, REDIS_URL=self.rig.redis_url(0))
        self._start(REDIS + MANY, REDIS_URL=self.rig.redis_url(1))
        for name, server in self.servers.items():
            if name != BARE:
                count = WARM_UP if name.endswith(CHEAP) else HOME_USERS
                say(f"{name}: signing {count} users in")
                browsers = await self.browsers(server, count)
                self.cookies[name] = [await settled_cookies(browser) for browser in browsers]
        for name in (EMBEDDED + MANY, REDIS + MANY):
            self._fill(name)

    def _start(self, name: str, module: str = "app:app", **extra: str) -> None:
        label = name.replace(" ", "-").replace(",", "")
        self.servers[name] = self.rig.app(label, module, **extra)

    def _fill(self, name: str) -> None:
        say(f"{name}: filling the store with {self.effort.many_sessions} sessions")
        environment = self.rig.environment(self.servers[name])
        command = [
            sys.executable,
            "-m",
            "benchmarks.fill",
            str(self.effort.many_sessions),
            self.cookies[name][0],
        ]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=1800)

    async def browsers(self, server: Server, count: int, keep_alive: bool = False) -> list[Browser]:
        """Return browsers that are signed in, each as another user.

        A connection for each request spreads the work over both workers when users come one by one.
        """
        tenant, browsers = Browser(self.rig.tenant_origins["pages"]), []
        for _ in range(count):
            browser = Browser(server.url, keep_alive)
            await sign_in(browser, tenant)
            browsers.append(browser)
        tenant.close()
        return browsers

    async def in_turn(self, title: str, measure: Callable, names: list[str]) -> None:
        """Measure every app once a round, in changing order, so that a slow minute hurts all alike."""
        for number in range(self.effort.rounds):
            say(f"{title}: round {number + 1} of {self.effort.rounds}")
            for name in random.sample(names, len(names)):
                await measure(name)

    async def measure_home(self, name: str) -> None:
        """Requests per second, and the app's CPU time per request, of the signed-in home page."""
        rate, cpu = await hammer(self.servers[name], self.cookies[name], self.effort.seconds, NAME)
        self.home[name].append(rate)
        self.home_cpu[name].append(cpu)

    async def measure_sign_in(self, name: str) -> None:
        """CPU time (ms) of the app from the first page to the end of the callback."""
        server, each = self.servers[name], self.effort.sign_ins // AT_ONCE
        before = server.cpu_seconds()
        await asyncio.gather(*(self.browsers(server, each, keep_alive=True) for _ in range(AT_ONCE)))
        self.sign_in_cpu[name].append((server.cpu_seconds() - before) * 1000 / (each * AT_ONCE))

    async def measure_call(self, name: str) -> None:
        """CPU time (ms) of the app for one downstream call with a token that is there already."""
        server, each = self.servers[name], self.effort.calls // AT_ONCE
        browsers = await self.browsers(server, AT_ONCE, keep_alive=True)
        await asyncio.gather(*(call_api_often(browser, 1) for browser in browsers))
        before = server.cpu_seconds()
        await asyncio.gather(*(call_api_often(browser, each) for browser in browsers))
        self.call_cpu[name].append((server.cpu_seconds() - before) * 1000 / (each * AT_ONCE))

    async def count_requests(self, name: str) -> None:
        """Requests to the tenant and the API, and new connections to them, of each step when all is warm."""
        browser = Browser(self.servers[name].url)
        tenant = Browser(self.rig.tenant_origins["pages"])
        steps = Steps(self.rig)
        callback = await at_tenant(tenant, await steps.of("start of sign-in", start_sign_in(browser)))
        steps.restart()
        await steps.of("callback", browser.get(callback))
        home = await steps.of("home page", browser.get("/"))
        await call_api(browser)
        steps.restart()
        await steps.of("downstream call", call_api(browser))
        await steps.of("sign-out", sign_out(browser, home))
        self.requests[name] = steps.seen


class Steps:
    """Counts what reaches the stand-in during each step."""

    def __init__(self, rig: Rig) -> None:
        self._rig, self.seen = rig, {}
        self.restart()

    def restart(self) -> None:
        """Forget what reached the stand-in since the last step."""
        self._before = self._rig.counts()

    async def of(self, step: str, work):
        """Do the work of a step and note its requests to the tenant, + to the API, and new connections."""
        result = await work
        now = self._rig.counts()
        new = {name: now[name] - self._before.get(name, 0) for name in now}
        tenant = sum(new.get(kind, 0) for kind in ("discovery", "keys", "token", "refresh", "other"))
        connections = new.get("tls connections", 0) + new.get("api connections", 0)
        api = f" + {new['api']}" if new.get("api") else ""
        self.seen[step] = f"{tenant}{api}" + (f" (connections: {connections})" if connections else "")
        self._before = now
        return result


async def settled_cookies(browser: Browser) -> str:
    """Return the cookies of a user who has seen the first page after sign-in, with whatever is on it once.

    Raises RuntimeError when the next page still adds a cookie or takes one away: then the pages measured
    would not be alike. An app that sends its session cookie with every page may do so.
    """
    await browser.get("/")
    settled = set(browser.cookies)
    page = await browser.get("/")
    if set(browser.cookies) != settled:
        raise RuntimeError(f"{browser.url} still sets a cookie: {page.headers['set-cookie']}")
    return browser.cookie_header


async def call_api(browser: Browser) -> None:
    """Call the API through the app; raises RuntimeError when its answer is not on the page."""
    page = await browser.get("/call_downstream_api")
    if page.status != 200 or "Water the plants" not in page.text:
        raise RuntimeError(f"the API call failed: {page.status} {page.leads_to}\n{page.text[:2000]}")


async def call_api_often(browser: Browser, times: int) -> None:
    """Call the API through the app again and again."""
    for _ in range(times):
        await call_api(browser)


async def grow(rig: Rig, sign_ins: int) -> dict[str, list[tuple[int, float]]]:
    """Return the resident memory (MiB) of each worker of a fresh app, as it grows with the sign-ins done."""
    server = rig.app("growth")
    curves, done, step = defaultdict(list), 0, max(sign_ins // 50, 1)
    while True:
        for number, size in enumerate(server.memory_mib(), start=1):
            curves[f"worker {number}"].append((done, size))
        if done >= sign_ins:
            return dict(curves)
        await asyncio.gather(*(_sign_in_often(rig, server, step // 4) for _ in range(4)))
        done += step // 4 * 4
        if done % (step * 10) == 0:
            say(f"memory: {done} of {sign_ins} sign-ins")


async def _sign_in_often(rig: Rig, server: Server, count: int) -> None:
    tenant = Browser(rig.tenant_origins["pages"])
    for _ in range(count):
        browser = Browser(server.url)
        await sign_in(browser, tenant)
        browser.close()
    tenant.close()


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratio_row(name: str, figures: Figures, base: str, digits: int) -> list[str]:
    """Return the median and, taken round by round, the median, lowest and highest ratio to ``base``."""
    ratios = [mine / theirs for mine, theirs in zip(figures[name], figures[base], strict=True)]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return [name, f"{median(figures[name]):.{digits}f}", spread]


def ratios(figures: Figures, base: str, unit: str, digits: int) -> str:
    """Return a table of medians and of ratios to ``base``."""
    rows = [ratio_row(name, figures, base, digits) for name in sorted(figures, key=rank)]
    return table(["", unit, f"of {base}, median (lowest to highest)"], rows)


def rank(name: str) -> tuple[bool, str]:
    """Sort the app before all others."""
    return not name.startswith(EMBEDDED), name


def report(comparison: Comparison, curves: dict[str, list[tuple[int, float]]]) -> str:
    """Return everything measured as Markdown."""
    steps = list(next(iter(comparison.requests.values())))
    counted = [[name, *(seen[step] for step in steps)] for name, seen in comparison.requests.items()]
    memory = [[name, *(f"{size:.1f}" for size in milestones(curve))] for name, curve in curves.items()]
    many = comparison.effort.many_sessions
    sign_in, cheap_sign_in = split(comparison.sign_in_cpu)
    call, cheap_call = split(comparison.call_cpu)
    parts = [
        "Signed-in home page\n",
        ratios(comparison.home, BARE, "requests/s", 0),
        "CPU time of the app for one signed-in home page\n",
        ratios(comparison.home_cpu, BARE, "ms", 2),
        "CPU time of the app for one sign-in: first page, start, callback\n",
        ratios(sign_in, IDENTITY, "ms", 1),
        ratios(cheap_sign_in, IDENTITY + CHEAP, "ms", 1),
        "CPU time of the app for one downstream call, token in the cache\n",
        ratios(call, IDENTITY, "ms", 1),
        ratios(cheap_call, IDENTITY + CHEAP, "ms", 1),
        f"The app with {many:,} sessions in the store against {HOME_USERS}\n",
        table(
            ["", "home page, requests/s", "sign-in, ms", "downstream call, ms"],
            full_against_near_empty(comparison),
        ),
        "Requests to the tenant (+ to the API) when all is warm\n",
        table(["", *steps], counted),
        f"Memory of the app's workers in MiB over {comparison.effort.growth_sign_ins:,} sign-ins\n",
        table(["", "start", "after a fifth", "half", "end"], memory),
    ]
    return "\n".join(parts)


def split(figures: Figures) -> tuple[Figures, Figures]:
    """Return the figures of the apps as deployed, and of those with cheap connections."""
    cheap = {name: values for name, values in figures.items() if name.endswith(CHEAP)}
    return {name: values for name, values in figures.items() if name not in cheap}, cheap


def milestones(curve: list[tuple[int, float]]) -> list[float]:
    """Return the first value, those after a fifth and a half of the curve, and the last."""
    return [curve[0][1], curve[len(curve) // 5][1], curve[len(curve) // 2][1], curve[-1][1]]


def full_against_near_empty(comparison: Comparison) -> list[list[str]]:
    """Return, for each store, the ratios of the app with many sessions to the app with few."""
    rows = []
    for name in (EMBEDDED, REDIS):
        kinds = (comparison.home, comparison.sign_in_cpu, comparison.call_cpu)
        rows.append([name, *(ratio_row(name + MANY, figures, name, 1)[2] for figures in kinds)])
    return rows


async def compare(rig: Rig, effort: Effort) -> str:
    """Run everything, draw the picture unless that was quick, and return the report."""
    comparison = Comparison(rig, effort)
    await comparison.prepare()
    everyone = list(comparison.servers)
    as_deployed = [name for name in everyone if not name.endswith(CHEAP)]
    with_sign_in = [name for name in everyone if name != BARE]
    await comparison.in_turn("home page", comparison.measure_home, as_deployed)
    for name in as_deployed:
        if name != BARE:
            await comparison.count_requests(name)
    await comparison.in_turn("sign-in", comparison.measure_sign_in, with_sign_in)
    await comparison.in_turn("downstream call", comparison.measure_call, with_sign_in)
    curves = await grow(rig, effort.growth_sign_ins)
    if effort is not QUICK:
        draw_growth(curves, PICTURE)
    return report(comparison, curves)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds, 2,000 sessions, 600 sign-ins"
    )
    options = parser.parse_args()
    end_on_signals()
    try:
        with Rig() as rig:
            print(asyncio.run(compare(rig, QUICK if options.quick else Effort())))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
