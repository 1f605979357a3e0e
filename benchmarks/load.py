"""Keeps 200 users busy while a worker is killed every ten seconds, and counts what went wrong.

``python -m benchmarks.load [--minutes 3] [--store embedded|redis|both]``. Users sign in, browse, call the API
(two calls at once; a third of the users with an expired access token) and sign out. The tenant accepts every
refresh token once. Exit status 1 when anything went wrong that was not inside a killed worker.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from .browser import Browser, NoAnswer, Page, at_tenant, sign_out
from .compare import say, table
from .rig import ROOT, Rig, Server, end_on_signals
from .stand_in import NAME

USERS = 200
KILL_EVERY = 10  # seconds
PAUSE = (0.2, 1.8)  # seconds between two clicks of a user
EXPIRED_SHARE = 1 / 3
INSIDE = "requests inside a killed worker"
REFRESH_LOST = "users who had to sign in again because a refresh was inside a killed worker"


dice = random.SystemRandom()


class GiveUp(Exception):
    """This user's round is over; why has been counted."""


class Killer:
    """Kills a worker now and then, and knows which connections died with it."""

    def __init__(self, server: Server) -> None:
        self._server, self.kills = server, 0
        self._deaths: dict[int, float] = {}

    async def keep_killing(self) -> None:
        """Kill one worker every ten seconds until cancelled."""
        while True:
            await asyncio.sleep(KILL_EVERY)
            await self._kill(dice.choice(self._server.workers()))

    async def _kill(self, pid: int) -> None:
        # A stopped worker accepts nothing more, so what it holds now is all that dies with it.
        os.kill(pid, signal.SIGSTOP)
        while process_state(pid) != "T":
            await asyncio.sleep(0.001)
        now = time.monotonic()
        self._deaths |= dict.fromkeys(client_ports(pid), now)
        os.kill(pid, signal.SIGKILL)
        self.kills += 1

    def took(self, port: int, since: float) -> bool:
        """Return whether a worker killed after ``since`` (monotonic seconds) held this connection."""
        return self._deaths.get(port, 0) >= since


def process_state(pid: int) -> str:
    """Return the one-letter state of a process (proc(5), stat)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def client_ports(pid: int) -> set[int]:
    """Return the other side's ports of the TCP connections that a process holds (proc(5), net/tcp)."""
    held = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[2].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in held}


class Crowd:
    """The users of one app, and the tally of what they met."""

    def __init__(self, rig: Rig, server: Server) -> None:
        self._server, self._pages = server, rig.tenant_origins["pages"]
        self._killer = Killer(server)
        self.requests, self.rounds = 0, 0
        self.excused: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    @property
    def kills(self) -> int:
        """Return how many workers were killed."""
        return self._killer.kills

    async def keep_busy(self, seconds: float) -> None:
        """Let every user go round until the time is over; users end their round, then leave."""
        end = time.monotonic() + seconds
        killing = asyncio.create_task(self._killer.keep_killing())
        try:
            await asyncio.gather(*(self._user(end) for _ in range(USERS)))
        finally:
            killing.cancel()

    async def _user(self, end: float) -> None:
        tenant = Browser(self._pages)
        await asyncio.sleep(dice.uniform(0, 2 * PAUSE[1]))
        while time.monotonic() < end:
            # A connection for each request: then it is clear which request died with a worker.
            try:
                await self._round(Browser(self._server.url, keep_alive=False), tenant)
                self.rounds += 1
            except GiveUp:
                await pause()
        tenant.close()

    async def _round(self, browser: Browser, tenant: Browser) -> None:
        await self._sign_in(browser, tenant, expired=dice.random() < EXPIRED_SHARE)
        for path in ("/", "/token_details", "/"):
            await self._patiently(path, lambda path=path: browser.get(path), signed_in)
        await self._call_api_twice(browser)
        home = await self._patiently("/", lambda: browser.get("/"), signed_in)
        await self._sign_out(browser, home)

    async def _sign_in(self, browser: Browser, tenant: Browser, expired: bool) -> None:
        await self._patiently("/", lambda: browser.get("/"), lambda page: page.status == 200)
        start = await self._patiently("/login", lambda: browser.get("/login"), redirects)
        callback = await at_tenant(tenant, start.leads_to, first_lifetime=1 if expired else 0)
        await pause()
        answer = await self._once("callback", lambda: browser.get(callback), redirects)
        if answer is None:
            # The code may be spent: only a new start leads on.
            raise GiveUp

    async def _call_api_twice(self, browser: Browser) -> None:
        calls = [self._once("API call", lambda: browser.get("/call_downstream_api")) for _ in range(2)]
        pages = await asyncio.gather(*calls)
        if None not in pages:
            for page in pages:
                self._judge("API call", page, api_answered)
            return
        for page in pages:
            if page is not None:
                self._judge_beside_a_lost_one("API call beside a lost one", page)
        again = "API call after a lost one"
        page = await self._patiently(again, lambda: browser.get("/call_downstream_api"))
        self._judge_beside_a_lost_one(again, page)

    def _judge_beside_a_lost_one(self, what: str, page: Page) -> None:
        if api_answered(page):
            return
        # The tenant spent the refresh token, and its successor died with the worker.
        self._judge(what, page, redirects)
        self.excused[REFRESH_LOST] += 1
        raise GiveUp

    async def _sign_out(self, browser: Browser, home: Page) -> None:
        old = Browser(self._server.url, keep_alive=False)
        old.cookies = dict(browser.cookies)
        if await self._once("sign-out", lambda: sign_out(browser, home), redirects) is None:
            raise GiveUp
        await self._patiently("/ with a signed-out cookie", lambda: old.get("/"), signed_out)

    async def _patiently(
        self, what: str, ask: Callable[[], Awaitable[Page]], right: Callable[[Page], bool] = bool
    ) -> Page:
        """As a person would: reload when there was no answer. Raises GiveUp."""
        await pause()
        for _ in range(3):
            page = await self._once(what, ask, right)
            if page is not None:
                return page
        raise GiveUp

    async def _once(
        self, what: str, ask: Callable[[], Awaitable[Page]], right: Callable[[Page], bool] = bool
    ) -> Page | None:
        """Return the answer, or None when it was inside a killed worker. Raises GiveUp when it is wrong."""
        began = time.monotonic()
        self.requests += 1
        try:
            page = await ask()
        except NoAnswer as error:
            if self._killer.took(error.port, began):
                self.excused[INSIDE] += 1
                return None
            self.wrong[f"{what}: {error.reason}"] += 1
            raise GiveUp from error
        self._judge(what, page, right)
        return page

    def _judge(self, what: str, page: Page, right: Callable[[Page], bool]) -> None:
        if not right(page):
            self.wrong[f"{what}: unexpected {page.status} {page.leads_to.partition('?')[0]}".strip()] += 1
            raise GiveUp


async def pause() -> None:
    """Wait as long as a person between two clicks."""
    await asyncio.sleep(dice.uniform(*PAUSE))


def signed_in(page: Page) -> bool:
    return page.status == 200 and NAME in page.text


def signed_out(page: Page) -> bool:
    return page.status in (200, 302, 303) and NAME not in page.text


def redirects(page: Page) -> bool:
    return page.status in (302, 303)


def api_answered(page: Page) -> bool:
    return page.status == 200 and "Water the plants" in page.text


def summary(crowd: Crowd, before: Counter[str], after: Counter[str]) -> str:
    """Return what happened as a Markdown table."""
    rows = [("requests to the app", crowd.requests), ("rounds from sign-in to sign-out", crowd.rounds)]
    rows += [(f"{kind} at the tenant", after[kind] - before[kind]) for kind in ("refresh", "refused grants")]
    rows += [("workers killed", crowd.kills), *crowd.excused.items()]
    rows += [
        ("went wrong", sum(crowd.wrong.values())),
        *(("- " + kind, n) for kind, n in crowd.wrong.items()),
    ]
    return table(["", "count"], [[what, f"{count:,}"] for what, count in rows])


async def put_under_load(rig: Rig, store: str, minutes: float) -> bool:
    """Run the load on one store, print what happened, and return whether nothing went wrong."""
    extra = {"REDIS_URL": rig.redis_url(0)} if store == "redis" else {}
    server = rig.app(store, config=ROOT / "gunicorn.conf.py", **extra)
    crowd, before = Crowd(rig, server), Counter(rig.counts())
    say(f"{store}: {USERS} users for {minutes:g} minutes")
    await crowd.keep_busy(minutes * 60)
    print(f"Store: {store}\n\n{summary(crowd, before, Counter(rig.counts()))}", flush=True)
    if crowd.wrong:
        log = [line for line in server.log.read_text().splitlines() if not line.startswith("127.0.0.1")]
        say("\n".join(["the end of the app's log:", *log[-40:]]))
    return not crowd.wrong


async def run(rig: Rig, stores: list[str], minutes: float) -> bool:
    """Run the load on each store in turn and return whether nothing went wrong on any."""
    return all([await put_under_load(rig, store, minutes) for store in stores])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--store", choices=("embedded", "redis", "both"), default="both")
    options = parser.parse_args()
    stores = ["embedded", "redis"] if options.store == "both" else [options.store]
    end_on_signals()
    try:
        with Rig() as rig:
            sys.exit(0 if asyncio.run(run(rig, stores, options.minutes)) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
