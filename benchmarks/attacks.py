"""Attacks an app on this machine and measures how long its other visitors wait meanwhile.

``python -m benchmarks.attacks [--store sqlite|redis] [--only TEXT]``. The app runs with the project's
``gunicorn.conf.py``, on two workers of 32 threads. Every attack has an app of its own and stops by itself. It
sends bursts of requests for five seconds, four a second at most, and gives each request up after twenty.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from .attack_list import ATTACKS, Attack, MakeRequest, cookie_header
from .figures import duration, percentile, say, table_head, table_row
from .others import Others, Visit
from .processes import exit_on_signals
from .raw_http import Answer, send
from .rig import AppServer, Rig
from .visitor import Visitor

THREADS = 32
OTHER_VISITORS = 20
WARMING_UP = 8  # at once; a worker that knows nothing of the tenant yet lets 12 requests wait for it
ATTACK_SECONDS = 5
BURST_EVERY = 0.25  # seconds, or later if the burst before is still being answered
GIVE_UP = 20  # seconds for one answer
APART = 0.01  # seconds between two requests of a burst: one worker would accept all that come at once
COLUMNS = ["attack", "p95 of /healthz", "p95 of home page", "worst", "failed", "the attack's answers"]
LARGE = 100_000  # bytes; a larger answer is worth a word


def run_attack(rig: Rig, attack: Attack, stores: dict[str, str], cookies: list[str]) -> list[str]:
    """Run one attack against a fresh app and return its row of the table."""
    say(attack.name)
    if attack.cold:
        rig.slow_down(**attack.slow)
    server = start_app(rig, attack.name, stores)
    if not attack.cold:
        warm_up(server)
    make_request = attack.prepare(server)
    rig.slow_down(**attack.slow)
    rig.drip(attack.drip)
    try:
        redis = rig.hanging_redis() if attack.stop_redis else nullcontext()
        with redis, Others(server.url, cookies) as others:
            answers = send_bursts(server, attack.at_once, make_request)
    finally:
        rig.slow_down()
        rig.drip("")
        server.kill()
    return [attack.name, *waits(others.visits), summary(answers)]


def start_app(rig: Rig, name: str, stores: dict[str, str]) -> AppServer:
    """Start an app as the project is served in production."""
    label = "".join(letter if letter.isalnum() else "-" for letter in name)
    return rig.app(label, threads=THREADS, settings=stores)


def warm_up(server: AppServer) -> None:
    """Let both workers fetch what they need from the tenant."""
    with ThreadPoolExecutor(WARMING_UP) as pool:
        list(pool.map(lambda _: Visitor(server.url, keep_alive=False).sign_in(), range(16)))


def send_bursts(server: AppServer, at_once: int, make_request: MakeRequest) -> list[Answer]:
    """Send bursts of requests, the next when the one before is answered or given up."""
    answers: list[Answer] = []
    began = next_burst = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        while next_burst < began + ATTACK_SECONDS:
            requests = [make_request() for _ in range(at_once)]
            pending = []
            for request in requests:
                pending.append(pool.submit(send, server.url, request, GIVE_UP))
                time.sleep(APART)
            answers += [answer.result() for answer in pending]
            next_burst = max(next_burst + BURST_EVERY, time.monotonic())
            time.sleep(max(0.0, next_burst - time.monotonic()))
    return answers


def waits(visits: list[Visit]) -> list[str]:
    """Return p95 of /healthz, p95 of the home page, the worst of both, and how many were answered wrongly."""
    by_path = {path: [visit.seconds for visit in visits if visit.what == path] for path in ("/healthz", "/")}
    p95 = [duration(percentile(seconds, 0.95)) for seconds in by_path.values()]
    wrong = sum(not visit.right for visit in visits)
    return [*p95, duration(max(visit.seconds for visit in visits)), f"{wrong} of {len(visits)}"]


def summary(answers: list[Answer]) -> str:
    """Return how often the attack got which status, after how long, and the size of large answers."""
    statuses = Counter(str(answer.status) if answer.status else "no answer" for answer in answers)
    seconds = [answer.seconds for answer in answers]
    text = ", ".join(f"{count} x {status}" for status, count in statuses.most_common())
    text += f"; {duration(min(seconds))} to {duration(max(seconds))}"
    largest = max(answer.size for answer in answers)
    return text + (f"; {largest / 1e6:.1f} MB" if largest > LARGE else "")


def run_attacks(rig: Rig, store: str, only: str) -> None:
    """Run the attacks whose names contain a text, and print a row of the table after each."""
    # All apps share one store, so that the other visitors stay signed in from one to the next.
    stores = (
        {"REDIS_URL": rig.redis_url()} if store == "redis" else {"SESSION_DIR": str(rig.directory / "store")}
    )
    first = start_app(rig, "first", stores)
    visitors = [Visitor(first.url) for _ in range(OTHER_VISITORS)]
    for visitor in visitors:
        visitor.sign_in()
        visitor.get("/")
    first.kill()
    cookies = [cookie_header(visitor) for visitor in visitors]
    print(f"Store: {store}\n\n{table_head(COLUMNS)}", flush=True)
    for attack in ATTACKS:
        if only in attack.name and (store == "redis" or not attack.stop_redis):
            print(table_row(run_attack(rig, attack, stores, cookies)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "redis"), default="sqlite")
    parser.add_argument("--only", default="", help="only attacks whose name contains this text")
    options = parser.parse_args()
    exit_on_signals()
    try:
        with Rig() as rig:
            run_attacks(rig, options.store, options.only)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
