"""Waiting for what another thread or process does, and moving the clock instead where that is possible."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import time_machine


def wait_until(true: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait until `true()` is true. Fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} seconds: {what}"
        time.sleep(0.02)


@contextmanager
def clock_at(moment: float) -> Iterator[None]:
    """This process, with the servers in its threads, at `moment` (seconds since the epoch); time goes on."""
    ahead, monotonic = moment - time.time(), time.monotonic
    with (
        mock.patch("time.monotonic", lambda: monotonic() + ahead),
        time_machine.travel(moment, tick=True),
    ):
        yield
