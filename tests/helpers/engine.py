"""The one place where the tests know the app's inside: its time limits and its loggers."""

import logging

import pytest

from b2c import authority, records

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


def is_in_the_log(record: logging.LogRecord) -> bool:
    """Whether the operator sees this line; MSAL's notes for its own developers they do not."""
    package = record.name.partition(".")[0]
    return package in ("app", "b2c") or (package == "msal" and record.levelno >= logging.INFO)
