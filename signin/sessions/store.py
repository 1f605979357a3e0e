"""What the session records ask of a store. `sqlite_store` and `redis_store` are the two that exist."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class StoreError(Exception):
    """The store failed. An adapter raises this in place of its library's errors."""


class StoreUnusable(StoreError):
    """The store cannot be used as it is set up. `setting` is the setting to correct."""

    def __init__(self, setting: str, problem: str):
        super().__init__(f"{setting} {problem}")
        self.setting = setting


class LockTimeout(StoreError):
    """Somebody else held the lock for too long."""


class Store(Protocol):
    """Values by name, and sets of members by name, each with a lifetime. Safe for many threads and processes.

    Names that have the same text in braces belong together (`session:{abc}`, `tokens:{abc}`). Every method
    raises StoreError when the store fails.
    """

    def now(self) -> float:
        """Seconds since the epoch, by one clock for all processes that share the store."""

    def get(self, name: str) -> bytes | None: ...

    def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """The values that are there, by name."""

    def create(self, name: str, value: bytes, seconds: int) -> bool:
        """Write a new value. False if the name has another value already.

        The adapter may try twice when a connection breaks, so it reports True for its own value.
        """

    def create_all(self, values: Mapping[str, bytes], seconds: int) -> None:
        """Write values that belong together, under names that nobody else can have, such as random ones."""

    def replace(self, name: str, value: bytes, seconds: int) -> bool:
        """Write over a value. False if there is none."""

    def extend(self, names: tuple[str, ...], seconds: int) -> None:
        """Let the values that are there live for this long from now."""

    def delete(self, *names: str) -> int:
        """Delete values, and return how many there were. Works on a store that is full, if the store can."""

    def add(self, name: str, member: str, seconds: int) -> list[str]:
        """Put a member into the set of this name, for this long. Makes the set if there is none.

        Returns what `members` returns afterwards.
        """

    def members(self, name: str) -> list[str]:
        """The members of a set whose time is not over. The one whose time is over first comes first."""

    def remove(self, name: str, *members: str) -> None:
        """Take members out of a set."""

    def lock(self, name: str, *, lease: float, patience: float) -> AbstractContextManager[None]:
        """Hold a lock. It expires after `lease` seconds, in case its holder has died.

        Raises LockTimeout after waiting for `patience` seconds.
        """
