"""The one place where the tests know the app's inside: its time limits and its loggers."""

import pytest

from b2c import authority, records

APP_LOGGERS = ("app", "b2c", "msal")
LEASE_SECONDS = records.LEASE
PATIENCE_SECONDS = records.PATIENCE


def longest_call() -> float:
    """Seconds that one HTTP call can take: two tries to connect, then an answer that stalls just in time."""
    connect, read = authority.TIMEOUT
    return 2 * connect + authority.DEADLINE + read


def wait_at_most(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make the app wait this long for an answer, instead of longer than a test can."""
    monkeypatch.setattr(authority, "TIMEOUT", (1, seconds))
    monkeypatch.setattr(authority, "DEADLINE", seconds)


def wait_for_locks_at_most(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make the app wait this long for a lock that another request holds."""
    monkeypatch.setattr(records, "PATIENCE", seconds)
