"""Which session has followed which: one record for each session that a sign-in has replaced.

It holds the id of the new session, sealed, under a name that can be created only once.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from .names import handle_of, record
from .sealing import Seal
from .store import Store

MOST_SUCCESSORS = 50  # of one session that a sign-in follows


class SessionEnded(Exception):
    """A session that a sign-in began in or was to replace has ended, or now belongs to another account."""


class Latest(NamedTuple):
    """The latest session of a row of successors."""

    session_id: str | None  # None if it has not been found as a successor
    is_there: bool


class Rows(NamedTuple):
    """Rows of successors. `latest` has the end of each, by its handle.

    `left_over` are sessions that have a successor and are still there: another sign-in is about to delete
    them, or has failed to.
    """

    latest: dict[str, Latest]
    left_over: list[str]

    def newer_than(self, known: Collection[str]) -> str | None:
        """The id of the one session that is there, if it has followed these and is none of them."""
        live = {handle: session for handle, session in self.latest.items() if session.is_there}
        if len(live) != 1:
            return None
        [(handle, session)] = live.items()
        return None if handle in known else session.session_id


class Successors:
    """`lasts` is how long a successor is known, in seconds. Every method raises StoreError."""

    def __init__(self, store: Store, seal: Seal, lasts: int):
        self._store, self._seal, self._lasts = store, seal, lasts

    def name(self, handle: str) -> str:
        return record("after", handle)

    def add(self, handle: str, session_id: str) -> bool:
        """Note that this session has followed the one with this handle. False if another one has."""
        name = self.name(handle)
        sealed = self._seal.seal_bytes(name, session_id.encode())
        if self._store.create(name, sealed, self._lasts):
            return True
        # Another tab that takes this session may have noted it first.
        return self._seal.unseal_bytes(name, self._store.get(name)) == session_id.encode()

    def of(self, handles: Iterable[str]) -> list[str]:
        """The handles of the sessions that have directly followed these."""
        handles = list(handles)
        found = self._store.get_many([self.name(handle) for handle in handles])
        return [handle_of(session_id) for session_id in self._ids(found, handles).values()]

    def follow(self, handles: Iterable[str]) -> Rows:
        """The sessions that have followed these, and those that have followed them. Raises SessionEnded."""
        rows = Rows({}, [])
        ids: dict[str, str | None] = dict.fromkeys(handles)
        for _ in range(MOST_SUCCESSORS):
            if not ids:
                return rows
            found = self._store.get_many([record(kind, h) for h in ids for kind in ("session", "after")])
            next_ids = self._ids(found, ids)
            for handle, session_id in ids.items():
                is_there = record("session", handle) in found
                if handle not in next_ids:
                    rows.latest[handle] = Latest(session_id, is_there)
                elif is_there:
                    rows.left_over.append(handle)
            ids = {handle_of(session_id): session_id for session_id in next_ids.values()}
        raise SessionEnded("too many sessions have followed one that has ended")

    def _ids(self, found: Mapping[str, bytes], handles: Iterable[str]) -> dict[str, str]:
        names = {handle: self.name(handle) for handle in handles}
        ids = {handle: self._seal.unseal_bytes(name, found.get(name)) for handle, name in names.items()}
        return {handle: session_id.decode() for handle, session_id in ids.items() if session_id}
