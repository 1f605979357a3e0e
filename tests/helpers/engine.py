"""The one place where the tests know the app's inside: its time limits and its loggers."""

import pytest

from signin.oidc import http_client
from signin.sessions import records
from signin.web import api

APP_LOGGERS = ("app", "signin", "msal")
LEASE_SECONDS = records.LEASE
PATIENCE_SECONDS = api.LOCK_PATIENCE


def longest_call() -> float:
    """Seconds that one HTTP call can take."""
    return http_client.DEADLINE


def wait_at_most(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make the app wait this long for an answer, instead of longer than a test can."""
    monkeypatch.setattr(http_client, "DEADLINE", seconds)


def wait_for_locks_at_most(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make the app wait this long for a lock that another request holds."""
    monkeypatch.setattr(api, "LOCK_PATIENCE", seconds)
