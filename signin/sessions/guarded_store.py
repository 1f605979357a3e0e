"""Keep a store that hangs from holding every thread of the app."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import TypeVar

from .store import Store, StoreError

T = TypeVar("T")

SLOT_PATIENCE = 0.2  # seconds to wait for a slot
SLOW = 0.5  # seconds; a call that fails after this long means that the store hangs
PAUSE = 1.0  # seconds between two tries of a store that hangs


class GuardedStore:
    """A Store whose calls have a limited number of slots for reading, for writing and for deleting.

    A store that refuses at once costs no threads, so it is asked each time. While a store hangs, one call a
    second tries it, and the others fail at once. Each kind of call finds out by itself: a store whose writes
    hang can often still be read. Deleting makes no pause, because a sign-out has one chance.
    """

    def __init__(self, store: Store):
        self._store = store
        self._reading, self._writing, self._deleting = _Gate(12, PAUSE), _Gate(8, PAUSE), _Gate(4, 0)

    def now(self) -> float:
        return self._reading.run(self._store.now)

    def get(self, name: str) -> bytes | None:
        return self._reading.run(lambda: self._store.get(name))

    def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        return self._reading.run(lambda: self._store.get_many(names))

    def create(self, name: str, value: bytes, seconds: int) -> bool:
        return self._writing.run(lambda: self._store.create(name, value, seconds))

    def create_all(self, values: Mapping[str, bytes], seconds: int) -> None:
        return self._writing.run(lambda: self._store.create_all(values, seconds))

    def replace(self, name: str, value: bytes, seconds: int) -> bool:
        return self._writing.run(lambda: self._store.replace(name, value, seconds))

    def extend(self, names: tuple[str, ...], seconds: int) -> None:
        return self._writing.run(lambda: self._store.extend(names, seconds))

    def delete(self, *names: str) -> int:
        return self._deleting.run(lambda: self._store.delete(*names))

    def add(self, name: str, member: str, seconds: int) -> list[str]:
        return self._writing.run(lambda: self._store.add(name, member, seconds))

    def members(self, name: str) -> list[str]:
        return self._reading.run(lambda: self._store.members(name))

    def remove(self, name: str, *members: str) -> None:
        return self._deleting.run(lambda: self._store.remove(name, *members))

    def lock(self, name: str, *, lease: float, patience: float) -> AbstractContextManager[None]:
        """Not limited here: who waits for a lock holds a slot for calls to the provider."""
        return self._store.lock(name, lease=lease, patience=patience)


class _Gate:
    """Lets a limited number of calls through, and while the store hangs, one at a time."""

    def __init__(self, slots: int, pause: float):
        # One item for each free slot. A threading.Semaphore takes as long as reading a record.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(slots):
            self._slots.put(None)
        self._pause = pause
        self._hangs = False
        self._trying, self._next_try = threading.Lock(), 0.0

    def run(self, call: Callable[[], T]) -> T:
        """The result of `call`. Raises StoreError, also when there is no slot."""
        if self._hangs:
            return self._try_alone(call)
        try:
            self._slots.get(timeout=SLOT_PATIENCE)
        except Empty:
            # Until one of the calls in the slots succeeds. They are waiting: no other has to try at once.
            self._hangs, self._next_try = True, time.monotonic() + self._pause
            raise StoreError("too many calls wait for the session store") from None
        try:
            return self._watched(call)
        finally:
            self._slots.put(None)

    def _try_alone(self, call: Callable[[], T]) -> T:
        if time.monotonic() < self._next_try or not self._trying.acquire(blocking=False):
            raise StoreError("the session store hangs")
        try:
            return self._watched(call)
        finally:
            self._trying.release()

    def _watched(self, call: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            result = call()
        except StoreError:
            now = time.monotonic()
            self._hangs, self._next_try = now - began > SLOW, now + self._pause
            raise
        self._hangs = False
        return result
