"""Measures signed-in pages that need no token while 200 users are there and the tenant does not answer.

``python -m benchmarks.hanging_tenant [--seconds 60] [--store sqlite|redis]``. Half of the users read pages. A
quarter calls the API with an access token that must be refreshed, and a quarter returns from the tenant with
a code. The app runs with two workers of 32 threads.
"""

import argparse
import json
import sys
import time

from gevent.pool import Pool  # type: ignore[import-untyped, unused-ignore]
from locust import HttpUser, User, constant_pacing, task
from locust.env import Environment  # replaces Python's sockets, so it stands before the modules that use them
from requests.cookies import RequestsCookieJar

from .figures import duration, say, table
from .processes import exit_on_signals
from .rig import Rig
from .visitor import TIMEOUT, Visitor, shows_signed_in

READERS, CALLERS, RETURNING = 100, 50, 50
NEVER = 3600  # seconds; the app must give up long before
PAGE = "signed-in page that needs no token"


class Person(HttpUser):
    """A user with the cookies of one who has signed in, or is about to."""

    abstract = True
    wait_time = constant_pacing(1)
    ready: list[tuple[RequestsCookieJar, str]]  # cookies, and where the tenant sends the browser back to

    def on_start(self) -> None:
        cookies, self.callback = self.ready.pop()
        self.client.cookies.update(cookies)
        self.client.headers["Connection"] = "close"


class Reader(Person):
    fixed_count = READERS

    @task
    def read(self) -> None:
        for path in ("/", "/token_details"):
            with self.client.get(
                path, name=PAGE, catch_response=True, allow_redirects=False, timeout=TIMEOUT
            ) as page:
                if shows_signed_in(page):
                    page.success()
                else:
                    page.failure(f"status {page.status_code}")


class Caller(Person):
    fixed_count = CALLERS

    @task
    def call(self) -> None:
        self.client.get("/call_downstream_api", name="API call", allow_redirects=False, timeout=TIMEOUT)


class Returning(Person):
    fixed_count = RETURNING

    @task
    def come_back(self) -> None:
        # The flow's cookie is kept for the next try, as a browser would have a new one.
        cookies = self.client.cookies.copy()
        self.client.get(self.callback, name="callback", allow_redirects=False, timeout=TIMEOUT)
        self.client.cookies = cookies


def prepare(url: str) -> None:
    """Bring every user to where the tenant is needed next, while it still answers."""
    pool = Pool(16)

    def signed_in(first_lifetime: int) -> tuple[RequestsCookieJar, str]:
        visitor = Visitor(url, keep_alive=False)
        visitor.sign_in(first_lifetime)
        visitor.get("/")  # the notice of the sign-in is gone with it
        return visitor.client.cookies, ""

    def returning(_: int) -> tuple[RequestsCookieJar, str]:
        visitor = Visitor(url, keep_alive=False)
        callback = visitor.answer_of_tenant(visitor.start_sign_in())
        return visitor.client.cookies, callback

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
