"""Keeps 200 users busy while a worker is killed every ten seconds, and counts what went wrong.

``python -m benchmarks.load [--minutes 3] [--store sqlite|redis|both]``. Exit status 1 when anything went
wrong that was not inside a killed worker.
"""

import argparse
import sys
import time
from collections import Counter

import gevent  # type: ignore[import-untyped, unused-ignore]
from locust.env import Environment  # replaces Python's sockets, so it stands before the modules that use them

from .figures import duration, say, table
from .killer import Killer
from .load_users import EXCUSED, USERS, Person
from .processes import exit_on_signals
from .rig import AppServer, Rig

LAST_ROUND_SECONDS = 90  # for users to finish their round when the time is over


def put_under_load(rig: Rig, store: str, minutes: float) -> bool:
    """Run the load on one store, print what happened, and return whether nothing went wrong."""
    say(f"{store}: {USERS} users for {minutes:g} minutes")
    server = rig.app(store, settings={"REDIS_URL": rig.redis_url()} if store == "redis" else {})
    before = rig.counts()
    environment = Environment(user_classes=[Person], host=server.url, stop_timeout=LAST_ROUND_SECONDS)
    Person.killer, Person.rounds = Killer(server), 0
    runner = environment.create_local_runner()
    killing = gevent.spawn(Person.killer.keep_killing)
    runner.start(USERS, spawn_rate=100)
    time.sleep(minutes * 60)
    runner.stop()
    killing.kill()
    counts = {kind: count - before.get(kind, 0) for kind, count in rig.counts().items()}
    good = report(environment, store, counts)
    if not good:
        show_log(server)
    runner.quit()
    return good


def report(environment: Environment, store: str, counts: dict[str, int]) -> bool:
    """Print what happened, and return whether nothing went wrong."""
    stats, runner = environment.stats, environment.runner
    assert runner
    excused, wrong = Counter[str](), Counter[str]()
    for failure in stats.errors.values():
        if str(failure.error) in EXCUSED:
            excused[str(failure.error)] += failure.occurrences
        else:
            wrong[f"{failure.name}: {failure.error}"] += failure.occurrences
    for crash in runner.exceptions.values():
        wrong[crash["msg"]] += crash["count"]
    rows = [
        ["requests to the app", f"{stats.total.num_requests:,}"],
        ["p95 of all requests", duration(stats.total.get_response_time_percentile(0.95) / 1000)],
        ["rounds from sign-in to sign-out", f"{Person.rounds:,}"],
        ["refreshes at the tenant", f"{counts.get('refresh', 0):,}"],
        ["grants that the tenant refused", f"{counts.get('refused grants', 0):,}"],
        ["workers killed", f"{Person.killer.kills}"],
        *([what, f"{count}"] for what, count in excused.items()),
        ["went wrong", f"{wrong.total()}"],
        *([f"- {what}", f"{count}"] for what, count in wrong.items()),
    ]
    print(f"Store: {store}\n\n{table(['', 'count'], rows)}", flush=True)
    return not wrong and Person.rounds > 0


def show_log(server: AppServer) -> None:
    """Show the end of the app's log, without its access log and what it says of every sign-in."""
    lines = server.log.read_text().splitlines()
    lines = [line for line in lines if not line.startswith("127.0.0.1") and "INFO" not in line]
    say("\n".join(["the end of the app's log:", *lines[-40:]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--store", choices=("sqlite", "redis", "both"), default="both")
    options = parser.parse_args()
    exit_on_signals()
    stores = ["sqlite", "redis"] if options.store == "both" else [options.store]
    try:
        with Rig() as rig:
            good = [put_under_load(rig, store, options.minutes) for store in stores]
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
