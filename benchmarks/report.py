"""The tables that ``benchmarks.compare`` prints."""

from .apps import AUTHLIB, BARE, FEW, IDENTITY, PLAIN, REDIS, REDIS_MANY, SQLITE, SQLITE_MANY
from .figures import duration, ratios, spread, table
from .measure import Figures, Measurements
from .memory import Curves

SPREAD = "median (lowest to highest)"
WITH_SIGN_IN = [SQLITE, REDIS, IDENTITY, AUTHLIB, PLAIN]


def report(measured: Measurements, curves: Curves, hanging: dict[str, float]) -> str:
    """Return everything that was measured as Markdown."""
    steps = list(next(iter(measured.requests.values())))
    requests = [[name, *(seen[step] for step in steps)] for name, seen in measured.requests.items()]
    memory = [[name, *(f"{size:.1f}" for size in milestones(curve))] for name, curve in curves.items()]
    return "\n".join(
        [
            "## Speed\n",
            table(["", SPREAD], speed(measured, hanging)),
            "## Signed-in home page\n",
            table(["", "pages/s", "CPU, ms"], side_by_side(FEW, measured.home_rate, 0, measured.home_cpu, 2)),
            "## CPU time in ms\n",
            table(
                ["", "sign-in", "API call, token cached"],
                side_by_side(WITH_SIGN_IN, measured.sign_in_cpu, 1, measured.call_cpu, 1),
            ),
            "## Requests to the tenant (+ to the API) when both workers are warm\n",
            table(["", *steps], requests),
            f"## Memory of the app's workers in MiB, {measured.apps.effort.growth_sign_ins:,} sign-ins\n",
            table(["", "start", "after a fifth", "half", "end"], memory),
        ]
    )


def speed(measured: Measurements, hanging: dict[str, float]) -> list[list[str]]:
    """Return the rows of the main table."""
    home, home_cpu = measured.home_rate, measured.home_cpu
    sign_in, call = measured.sign_in_cpu, measured.call_cpu
    growth = f"100 to {measured.apps.effort.many:,} sessions"
    return [
        *share_rows("Home page, pages/s, share of bare Flask's", home, BARE),
        *share_rows("Home page, CPU, multiple of bare Flask's", home_cpu, BARE),
        *share_rows("CPU of a sign-in, share of identity's", sign_in, IDENTITY),
        *share_rows("CPU of an API call, share of identity's", call, IDENTITY),
        *growth_rows(f"{growth}: CPU of a home page", home_cpu),
        *growth_rows(f"{growth}: CPU of a sign-in", sign_in),
        ["Memory of a session in Redis", f"{measured.apps.redis_bytes_a_session / 1024:.1f} KiB"],
        [
            "Tenant hanging, 200 users: p95 of signed-in pages that need no token",
            f"{duration(hanging['p95'])} (worst {duration(hanging['worst'])}, "
            f"{hanging['failed']:.0f} of {hanging['pages']:.0f} failed)",
        ],
    ]


def share_rows(what: str, figures: Figures, base: str) -> list[list[str]]:
    """Return how both stores compare with another app."""
    shares = [(store, ratios(figures[store], figures[base])) for store in (SQLITE, REDIS)]
    return [[f"{what}: {store.removeprefix('the app, ')}", spread(values, 2)] for store, values in shares]


def growth_rows(what: str, figures: Figures) -> list[list[str]]:
    """Return how both stores compare with themselves when they hold few sessions."""
    pairs = (("SQLite", SQLITE_MANY, SQLITE), ("Redis", REDIS_MANY, REDIS))
    return [[f"{what}: {name}", spread(ratios(figures[many], figures[few]), 2)] for name, many, few in pairs]


def side_by_side(
    names: list[str], left: Figures, left_digits: int, right: Figures, right_digits: int
) -> list[list[str]]:
    """Return two figures of each app."""
    return [[name, spread(left[name], left_digits), spread(right[name], right_digits)] for name in names]


def milestones(curve: list[tuple[int, float]]) -> list[float]:
    """Return the first value, those after a fifth and a half of the curve, and the last."""
    return [curve[0][1], curve[len(curve) // 5][1], curve[len(curve) // 2][1], curve[-1][1]]
