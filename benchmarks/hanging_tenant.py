"""Measures signed-in pages that need no token while 200 users are there and the tenant does not answer.

``python -m benchmarks.hanging_tenant [--seconds 60] [--store sqlite|redis]``. Half of the users read pages. A
quarter calls the API with an access token that must be refreshed, and a quarter returns from the tenant with
a code. The app runs with two workers of 32 threads.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable

import gevent  # type: ignore[import-untyped, unused-ignore]
from gevent.pool import Pool  # type: ignore[import-untyped, unused-ignore]
from locust import FastHttpUser, User, constant_pacing, task
from locust.env import Environment  # replaces Python's sockets, so it stands before the modules that use them
from requests import Response

from .figures import duration, say, table
from .processes import exit_on_signals
from .rig import Rig
from .visitor import TIMEOUT, Visitor, cookie_header, redirects, shows_api_answer, shows_signed_in

READERS, CALLERS, RETURNING = 100, 50, 50
NEVER = 3600  # seconds; the app must give up long before
PAGE = "signed-in page that needs no token"


class Person(FastHttpUser):
    """A user with the cookies of one who has signed in, or is about to.

    Locust's HttpUser would measure itself: 200 of them keep a core busy.
    """

    abstract = True
    wait_time = constant_pacing(1)
    connection_timeout = network_timeout = TIMEOUT
    ready: list[tuple[str, str]]  # Cookie header, and where the tenant sends the browser back to

    def on_start(self) -> None:
        cookies, self.callback = self.ready.pop()
        self.headers = {"Cookie": cookies, "Connection": "close"}
        gevent.sleep(random.random())  # noqa: S311 - Locust starts 100 at once, who would stay in step

    def ask(self, path: str, name: str, right: Callable[[Response], bool]) -> None:
        with self.client.get(
            path, name=name, catch_response=True, allow_redirects=False, headers=self.headers
        ) as page:
            if right(page):
                page.success()
            else:
                page.failure(f"status {page.status_code}")


class Reader(Person):
    fixed_count = READERS

    @task
    def read(self) -> None:
        for path in ("/", "/token_details"):
            self.ask(path, PAGE, shows_signed_in)


class Caller(Person):
    fixed_count = CALLERS

    @task
    def call(self) -> None:
        self.ask("/call_downstream_api", "API call", shows_api_answer)


class Returning(Person):
    fixed_count = RETURNING

    @task
    def come_back(self) -> None:
        self.ask(self.callback, "callback", redirects)


def prepare(url: str) -> None:
    """Bring every user to where the tenant is needed next, while it still answers."""
    pool = Pool(8)  # even if one worker gets all of them, it has slots enough for calls to the tenant

    def signed_in(first_lifetime: int) -> tuple[str, str]:
        visitor = Visitor(url, keep_alive=False)
        visitor.sign_in(first_lifetime)
        visitor.get("/")  # the notice of the sign-in is gone with it
        return cookie_header(visitor), ""

    def returning(_: int) -> tuple[str, str]:
        visitor = Visitor(url, keep_alive=False)
        callback = visitor.answer_of_tenant(visitor.start_sign_in())
        return cookie_header(visitor), callback

    Reader.ready = pool.map(signed_in, [0] * READERS)
    Caller.ready = pool.map(signed_in, [1] * CALLERS)
    Returning.ready = pool.map(returning, range(RETURNING))


def measure(rig: Rig, store: str, seconds: int) -> dict[str, float]:
    """Return p95 and worst (seconds) of the pages that need no token, their number, and how many failed."""
    server = rig.app(store, threads=32, settings={"REDIS_URL": rig.redis_url()} if store == "redis" else {})
    prepare(server.url)
    rig.slow_down(token=NEVER, metadata=NEVER, keys=NEVER)
    users: list[type[User]] = [Reader, Caller, Returning]
    environment = Environment(user_classes=users, host=server.url, stop_timeout=2 * TIMEOUT + 5)
    runner = environment.create_local_runner()
    runner.start(READERS + CALLERS + RETURNING, spawn_rate=100)
    time.sleep(seconds)
    runner.stop()  # lets every user finish, so that pages that hang are counted
    stats = environment.stats.get(PAGE, "GET")
    runner.quit()
    server.kill()
    for error in environment.stats.errors.values():
        say(f"{error.occurrences:6} {error.name}: {error.error}")
    return {
        "p95": stats.get_response_time_percentile(0.95) / 1000,
        "worst": stats.max_response_time / 1000,
        "pages": stats.num_requests,
        "failed": stats.num_failures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--store", choices=("sqlite", "redis"), default="sqlite")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    exit_on_signals()
    try:
        with Rig() as rig:
            found = measure(rig, options.store, options.seconds)
    except KeyboardInterrupt:
        sys.exit(130)
    if options.json:
        print(json.dumps(found))
        return
    row = [options.store, duration(found["p95"]), duration(found["worst"])]
    row += [f"{found['pages']:.0f}", f"{found['failed']:.0f}"]
    print(table(["store", "p95", "worst", "pages", "failed"], [row]))


if __name__ == "__main__":
    main()
