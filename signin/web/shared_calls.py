"""Share one slow call among requests, and the slots for calls among sessions."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_WAITING = 3  # requests that may wait for one call; each of them holds a thread


class TooManyWaiting(Exception):
    """Enough requests wait for this call already."""


class ShareTaken(Exception):
    """As many calls as one session may have are under way."""


@dataclass
class _Running(Generic[T]):
    future: Future[T] = field(default_factory=Future)
    waiting: int = 0


class SharedCalls(Generic[T]):
    """Runs one call at a time for each key. Requests that come meanwhile share its outcome."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, _Running[T]] = {}

    def run(self, key: Hashable, call: Callable[[], T]) -> T:
        """The result of `call`, or of the call for `key` that is under way.

        Raises what the call raises, and TooManyWaiting when MOST_WAITING requests wait already.
        """
        with self._lock:
            under_way = self._running.get(key)
            if under_way is None:
                mine = self._running[key] = _Running()
            elif under_way.waiting == MOST_WAITING:
                raise TooManyWaiting
            else:
                under_way.waiting += 1
        if under_way:
            return under_way.future.result()
        try:
            result = call()
        except BaseException as error:
            mine.future.set_exception(error)
            raise
        else:
            mine.future.set_result(result)
            return result
        finally:
            with self._lock:
                del self._running[key]


class FairShares:
    """Gives each session a share of the slots for calls, so that one cannot take them all."""

    def __init__(self, most_calls: int) -> None:
        self._most_calls = most_calls  # of one session at a time
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one_of(self, session_id: str) -> Iterator[None]:
        """Count a call while it is under way. Raises ShareTaken when the session has too many."""
        with self._lock:
            if self._under_way[session_id] == self._most_calls:
                raise ShareTaken
            self._under_way[session_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[session_id] -= 1
                if not self._under_way[session_id]:
                    del self._under_way[session_id]
