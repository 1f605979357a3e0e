"""Medians, percentiles, and tables in Markdown."""

import sys
from collections.abc import Sequence
from statistics import median


def say(text: str) -> None:
    """Report progress on standard error. Standard output is for the tables."""
    print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are figures."""
    return "\n".join([table_head(head), *(table_row(row) for row in rows), ""])


def table_head(head: Sequence[str]) -> str:
    """Return the first two lines of a table."""
    return table_row(head) + "\n" + table_row(["---", *(["---:"] * (len(head) - 1))])


def table_row(row: Sequence[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(row)} |"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 1000) // 1000) - 1)]


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median, and the lowest and highest value in brackets."""
    middle, low, high = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def ratios(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each round, so that a slow moment of the machine affects both sides of it."""
    return [one / other for one, other in zip(mine, theirs, strict=True)]


def duration(seconds: float) -> str:
    """Return a duration in milliseconds, or in seconds from one second on."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
