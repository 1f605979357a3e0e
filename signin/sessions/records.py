"""The sessions: for each, a record of what pages need and one of its tokens, both sealed.

Only a sign-in creates records, under a new id. Later requests may replace a record but never create one, so
sign-out always wins over requests that are still under way.

Sign-out also has to win over a sign-in that is under way, which does create a session. Therefore each session
has a third record that says what came after it. It is created once and never changed: either by the sign-in
that replaces the session, with the id of the new session in it (a successor), or by the sign-out, which marks
the end (a tombstone). `Store.create` lets exactly one of them in:

- The sign-out is first. The sign-in finds the tombstone when it creates its successor, deletes the session
  that it has written, and raises SessionEnded. Nobody has seen that session's id.
- The sign-in is first. The sign-out finds the successor and ends that session in the same way, and so on to
  the end of the chain.
- Two sign-ins meet. The second finds the first's successor, deletes its own session and takes the first's.

A sign-in writes its session before the successor, so a successor whose session is gone has been signed out
(its tombstone may not be written yet). None of this needs a lock, and the outcome does not depend on whether
the presented session still had records.
"""

import json
import logging
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any

from .sealing import Seal
from .store import Store, StoreError

log = logging.getLogger(__name__)

LEASE = 20  # seconds that a lock lasts if its holder has died; a token request takes less
AFTERLIFE = 60  # seconds to keep a tombstone or successor; by then every request from before is over
MOST_SIGN_OUTS = 4  # ids that one sign-out looks at; a browser sends one
SIGN_OUT_PATIENCE = 2  # seconds after which a sign-out stops trying a store that hangs
MOST_NOTES = 4096  # sessions whose last extension is remembered
ENDED = b"ended"
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class SessionEnded(Exception):
    """The session that a sign-in was to replace has been signed out, or now belongs to another account."""


class Records:
    """`idle` and `absolute` are lifetimes in seconds. Every method raises StoreError when the store fails."""

    def __init__(self, store: Store, seal: Seal, *, idle: int, absolute: int):
        self._store, self._seal, self._idle, self._absolute = store, seal, idle, absolute
        self._extended: dict[str, float] = {}

    def start(self, data: dict[str, Any], tokens: str, *, presented: str | None) -> str:
        """Make a session and return its new id; `data` says when it `started`, in seconds since the epoch.

        `presented` is the id that the browser sent. The new session replaces that one. If another tab with
        the same `account_id` has just replaced it, return that tab's session. Raises SessionEnded if the user
        has signed out of it, or if somebody else has signed in instead.
        """
        if not presented or not SESSION_ID.fullmatch(presented):
            return self._create(data, tokens)
        after = _name("after", presented)
        session_id = None
        if self._store.get(after) is None:
            session_id = self._create(data, tokens)
            if not self._store.create(after, self._seal.seal_bytes(after, session_id.encode()), AFTERLIFE):
                self._delete(session_id)
                session_id = None
        if session_id is None:
            session_id = self._replaced_by_another_tab(presented, data["account_id"])
        self._delete(presented)
        return session_id

    def read(self, session_id: str) -> dict[str, Any] | None:
        """A session's data; None if there is no such session, or it cannot be trusted."""
        if not SESSION_ID.fullmatch(session_id):
            return None
        name = _name("session", session_id)
        text = self._seal.unseal_bytes(name, self._store.get(name))
        if text is None:
            return None
        data: dict[str, Any] = json.loads(text)
        now = time.time()
        if now > data["started"] + self._absolute:
            self._delete_expired(session_id)
            return None
        if not 0 <= now - self._extended.get(name, 0) < self._idle / 20:
            self._extend(session_id, data)
        return data

    def replace(self, session_id: str, data: dict[str, Any]) -> bool:
        """Keep `data` instead. False if the session has ended."""
        name = _name("session", session_id)
        return self._store.replace(name, self._seal.seal_bytes(name, _as_json(data)), self._time_left(data))

    def tokens(self, session_id: str) -> str:
        """The session's tokens; empty if there are none."""
        name = _name("tokens", session_id)
        return (self._seal.unseal_bytes(name, self._store.get(name)) or b"").decode()

    def replace_tokens(self, session_id: str, data: dict[str, Any], tokens: str) -> bool:
        """Keep these tokens instead, for the session with this `data`. False if the session has ended."""
        name = _name("tokens", session_id)
        return self._store.replace(name, self._seal.seal_bytes(name, tokens.encode()), self._time_left(data))

    def lock_tokens(self, session_id: str, *, patience: float) -> AbstractContextManager[None]:
        """Held while tokens are refreshed, so that of parallel requests one redeems the refresh token.

        Raises LockTimeout after waiting for `patience` seconds.
        """
        return self._store.lock(_name("refreshing", session_id), lease=LEASE, patience=patience)

    def sign_out(self, session_ids: Iterable[str]) -> None:
        """End these sessions for good, and those that sign-ins under way have put in their place.

        Ignores ids that are malformed, and all but the first few. Raises StoreError if a session may still be
        there; everything that can be deleted has been deleted then.
        """
        well_formed = [session_id for session_id in session_ids if SESSION_ID.fullmatch(session_id)]
        ids = list(dict.fromkeys(well_formed))[:MOST_SIGN_OUTS]
        deadline = time.monotonic() + SIGN_OUT_PATIENCE
        failures: list[StoreError] = []
        for session_id in ids:  # a store that is full or about to fail still does this
            self._try_to_delete(session_id, deadline, failures)
        for session_id in ids:
            successor = self._end(session_id, deadline, failures)
            while successor:
                self._try_to_delete(successor, deadline, failures)
                successor = self._end(successor, deadline, failures)
        if failures:
            raise failures[0]

    def check(self) -> None:
        """Write a record, read it back and delete it."""
        name = _name("check", secrets.token_urlsafe(32))
        written = secrets.token_bytes(16)
        self._store.create(name, written, 60)
        if self._store.get(name) != written:
            raise StoreError("the store does not return what was written")
        if self._store.delete(name) != 1:
            raise StoreError("the store does not delete what was written")

    def _create(self, data: dict[str, Any], tokens: str) -> str:
        session_id = secrets.token_urlsafe(32)
        for kind, content in (("tokens", tokens.encode()), ("session", _as_json(data))):
            name = _name(kind, session_id)
            self._store.create(name, self._seal.seal_bytes(name, content), self._time_left(data))
        self._note_extended(_name("session", session_id))
        return session_id

    def _delete(self, session_id: str) -> None:
        self._store.delete(_name("session", session_id), _name("tokens", session_id))

    def _delete_expired(self, session_id: str) -> None:
        """Delete it now, so that it stays gone if the clock is set back."""
        try:
            self._delete(session_id)
        except StoreError as error:
            log.warning("an expired session could not be deleted: %s", error)

    def _successors(self, session_id: str) -> Iterator[str]:
        """The sessions that came after this one. Raises SessionEnded at a tombstone."""
        while True:
            name = _name("after", session_id)
            after = self._store.get(name)
            if after == ENDED:
                raise SessionEnded("the user has signed out")
            successor = self._successor(name, after)
            if not successor:
                return
            session_id = successor
            yield session_id

    def _replaced_by_another_tab(self, presented: str, account_id: str) -> str:
        *_, last = [None, *self._successors(presented)]
        found = self.read(last) if last else None
        if last is None or found is None or found["account_id"] != account_id:
            raise SessionEnded("the session that this sign-in was to replace has ended")
        return last

    def _end(self, session_id: str, deadline: float, failures: list[StoreError]) -> str | None:
        """Leave a tombstone. Return the successor if there is one already."""
        name = _name("after", session_id)
        try:
            _check_time(deadline)
            if self._store.create(name, ENDED, AFTERLIFE):
                return None
        except StoreError as error:
            # A full store takes no tombstone, and no sign-in either. It can still have a successor to be
            # ended.
            log.warning("a sign-out could not be recorded: %s", error)
        try:
            _check_time(deadline)
            after = self._store.get(name)
        except StoreError as error:
            failures.append(error)
            return None
        return self._successor(name, after)

    def _successor(self, name: str, after: bytes | None) -> str | None:
        """The session id in a record of what came after a session."""
        session_id = self._seal.unseal_bytes(name, after)
        return session_id.decode() if session_id else None

    def _try_to_delete(self, session_id: str, deadline: float, failures: list[StoreError]) -> None:
        try:
            _check_time(deadline)
            self._delete(session_id)
        except StoreError as error:
            failures.append(error)

    def _time_left(self, data: dict[str, Any]) -> int:
        return max(1, min(self._idle, int(data["started"] + self._absolute - time.time())))

    def _extend(self, session_id: str, data: dict[str, Any]) -> None:
        """Move the idle limit on, in twenty steps: a read must not cost a write each time."""
        name = _name("session", session_id)
        try:
            self._store.extend((name, _name("tokens", session_id)), self._time_left(data))
        except StoreError as error:  # a page can be shown even if nothing can be written
            log.warning("a session could not be extended: %s", error)
        self._note_extended(name)

    def _note_extended(self, name: str) -> None:
        if len(self._extended) >= MOST_NOTES:
            self._extended.clear()
        self._extended[name] = time.time()


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise StoreError("the store is too slow for this sign-out")


def _as_json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _name(kind: str, session_id: str) -> str:
    """A record's name. It has a hash of the session id, so a leaked store opens no session.

    The braces keep the records of a session together in a Redis cluster.
    """
    return f"{kind}:{{{sha256(session_id.encode()).hexdigest()}}}"
