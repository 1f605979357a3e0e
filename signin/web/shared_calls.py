"""Share one slow call among the requests that need its result."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_WAITING = 3  # requests that may wait for one call; each of them holds a thread


class TooManyWaiting(Exception):
    """Enough requests wait for this call already."""


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
