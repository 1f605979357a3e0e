"""The one place where the tests know the app's inside: its time limits, loggers and error codes."""

import logging

import pytest

from signin.oidc import http_client
from signin.oidc.providers import b2c, microsoft
from signin.sessions import records
from signin.web import api, engine, words

LEASE_SECONDS = records.LEASE
PATIENCE_SECONDS = api.LOCK_PATIENCE
MOST_API_CALLS_OF_A_SESSION = engine.MOST_API_CALLS_OF_A_SESSION


def longest_call() -> float:
    """Seconds that one HTTP call can take."""
    return http_client.DEADLINE


def wait_at_most(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make the app wait this long for an answer, instead of longer than a test can."""
    monkeypatch.setattr(http_client, "DEADLINE", seconds)


def wait_for_locks_at_most(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make the app wait this long for a lock that another request holds."""
    monkeypatch.setattr(api, "LOCK_PATIENCE", seconds)


def known_b2c_codes() -> set[str]:
    """The error codes of Azure AD B2C that the app tells apart, or has words of its own for."""
    return {code for code in words.CODES if code.startswith("AADB2C")} | set(b2c.B2C_ERRORS)


def known_entra_codes() -> set[str]:
    """The error codes of Entra that the app tells apart, or has words of its own for."""
    return {code for code in words.CODES if code.startswith("AADSTS")} | set(microsoft.AADSTS_ERRORS)


def entra_codes_without_words() -> set[str]:
    """The error codes of Entra that the app tells apart, and has no words of its own for."""
    return set(microsoft.AADSTS_ERRORS) - set(words.CODES)


def is_in_the_log(record: logging.LogRecord) -> bool:
    """Whether the operator sees this line; MSAL's notes for its own developers they do not."""
    package = record.name.partition(".")[0]
    return package in ("app", "signin") or (package == "msal" and record.levelno >= logging.INFO)
