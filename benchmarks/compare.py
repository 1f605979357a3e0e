"""Compares the app with bare Flask and with other ways of writing it, and prints Markdown tables.

``python -m benchmarks.compare`` takes about forty minutes, most of them to fill two stores with a million
sessions each. ``--quick`` takes about two, with rougher figures.
"""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

from .apps import APP_KINDS, BARE, FEW, Effort, RunningApps
from .draw import draw_growth
from .figures import say
from .measure import Measurements
from .memory import grow
from .processes import exit_on_signals
from .report import report
from .rig import ROOT, Rig

PICTURE = ROOT / "benchmarks" / "memory.svg"
FULL = Effort(
    rounds=9,
    home_seconds=3,
    sign_ins=64,
    calls=160,
    many=1_000_000,
    growth_sign_ins=10_000,
    hanging_seconds=60,
)
QUICK = Effort(
    rounds=3, home_seconds=1, sign_ins=32, calls=96, many=20_000, growth_sign_ins=400, hanging_seconds=10
)


def in_rounds(title: str, rounds: int, measure: Callable[[str], None], names: list[str]) -> None:
    """Measure every app once a round, in changing order, so that a slow minute affects all of them."""
    for number in range(rounds):
        say(f"{title}: round {number + 1} of {rounds}")
        for name in random.sample(names, len(names)):
            measure(name)


def hanging_tenant(seconds: int) -> dict[str, float]:
    """Run ``benchmarks.hanging_tenant`` in a process of its own, because Locust replaces Python's sockets."""
    command = [sys.executable, "-m", "benchmarks.hanging_tenant", "--json", "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=seconds + 240)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(rig: Rig, effort: Effort, *, public_cas: bool) -> str:
    """Measure everything and return the report."""
    apps = RunningApps(rig, effort, public_cas=public_cas)
    apps.start()
    measured, names = Measurements(apps), list(APP_KINDS)
    with_sign_in = [name for name in names if name != BARE]
    in_rounds("home page", effort.rounds, measured.home_page, names)
    in_rounds("sign-in", effort.rounds, measured.sign_in, with_sign_in)
    in_rounds("API call", effort.rounds, measured.api_call, with_sign_in)
    for name in with_sign_in:
        if name in FEW:
            measured.requests_to_tenant(name)
    curves = grow(rig, effort.growth_sign_ins)
    if effort.many == FULL.many:
        draw_growth(curves, PICTURE)
    apps.stop()
    say("tenant hanging, 200 users")
    return report(measured, curves, hanging_tenant(effort.hanging_seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, 20,000 sessions")
    parser.add_argument("--rounds", type=int, help="how often each figure is measured (9, with --quick 3)")
    parser.add_argument(
        "--public-cas",
        action="store_true",
        help="trust all public CAs besides the stand-in's, and call the API over TLS",
    )
    options = parser.parse_args()
    exit_on_signals()
    try:
        with Rig() as rig:
            effort = QUICK if options.quick else FULL
            if options.rounds:
                effort = replace(effort, rounds=options.rounds)
            print(compare(rig, effort, public_cas=options.public_cas))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
