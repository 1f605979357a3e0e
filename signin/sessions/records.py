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

A tombstone says when the session ended. It refuses a sign-in that began before. A sign-in that began later
is a new one: a browser whose session was ended from elsewhere still presents its old id. What comes after a
tombstone is recorded next to it, in the same way, so that another sign-out finds it there. The last of a few
tombstones refuses every sign-in.

A sign-in writes its session before the successor, so a successor whose session is gone has been signed out
(its tombstone may not be written yet). None of this needs a lock, and the outcome does not depend on whether
the presented session still had records.

Sessions can also be found by an index, such as one for each user: a set of handles. A handle names a session
and does not open it. To sign out of all sessions of an index has to win over a sign-in that is under way:

- The sign-in writes its session, then its handle into the set, and then looks for a sign-out in the set.
- The sign-out writes its time into the set, then reads the set, and ends the sessions that it finds.

Whichever reads second sees what the other has written. A sign-in that began before the sign-out ends itself.
"""

import json
import logging
import re
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from .sealing import Seal
from .store import Store, StoreError

log = logging.getLogger(__name__)

LEASE = 20  # seconds that a lock lasts if its holder has died; a token request takes less
AFTERLIFE = 60  # seconds to keep a tombstone or successor; by then every request from before is over
MOST_ENDS = 4  # tombstones of one session
MOST_SIGN_OUTS = 4  # ids that one sign-out looks at; a browser sends one
SIGN_OUT_PATIENCE = 2  # seconds after which a sign-out stops trying a store that hangs
MOST_NOTES = 4096  # sessions whose last extension is remembered
SIGN_IN_LASTS = 3600  # seconds within which a sign-in has come to its end
ENDED = b"ended at "
SIGN_OUT_MARK = "signed out at "  # a member of an index that is no handle
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class SessionEnded(Exception):
    """The session that a sign-in was to replace has been signed out, or now belongs to another account."""


@dataclass(frozen=True)
class FoundSession:
    """A session that an index has led to. `last_used` is in seconds since the epoch.

    Reading a session notes its use in steps of a twentieth of its idle lifetime.
    """

    handle: str
    data: dict[str, Any]
    last_used: int


class Records:
    """`idle` and `absolute` are lifetimes in seconds. Every method raises StoreError when the store fails."""

    def __init__(self, store: Store, seal: Seal, *, idle: int, absolute: int):
        self._store, self._seal, self._idle, self._absolute = store, seal, idle, absolute
        self._extended: dict[str, float] = {}

    def start(
        self,
        data: dict[str, Any],
        tokens: str,
        *,
        presented: str | None,
        indexes: Collection[str] = (),
        began: float | None = None,
    ) -> str:
        """Make a session and return its new id; `data` says when it `started`, in seconds since the epoch.

        `find` and `sign_out_all` find the session by its `indexes`. `began` is when the user began to sign
        in, by default now: raises SessionEnded after a later sign-out of one of the indexes.

        `presented` is the id that the browser sent. The new session replaces that one. If another tab with
        the same `account_id` has just replaced it, return that tab's session. Raises SessionEnded if the user
        has signed out of it since `began`, or if somebody else has signed in instead.
        """
        began = time.time() if began is None else began
        if not presented or not SESSION_ID.fullmatch(presented):
            return self._create(data, tokens, indexes, began)
        name, after = self._place(presented, began)
        session_id = None
        if after is None:
            session_id = self._create(data, tokens, indexes, began)
            if not self._store.create(name, self._seal.seal_bytes(name, session_id.encode()), AFTERLIFE):
                self._delete(session_id)
                session_id = None
        if session_id is None:
            session_id = self._replaced_by_another_tab(presented, data["account_id"], began)
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
        data: dict[str, Any] = json.loads(text.decode())  # json.loads would guess the encoding of bytes
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

    def sign_out(self, session_ids: Iterable[str], indexes: Collection[str] = ()) -> None:
        """End these sessions for good, and those that sign-ins under way have put in their place.

        They also leave these `indexes`. Without that, `find` removes them later.

        Ignores ids that are malformed, and all but the first few. Raises StoreError if a session may still be
        there; everything that can be deleted has been deleted then.
        """
        well_formed = [session_id for session_id in session_ids if SESSION_ID.fullmatch(session_id)]
        handles = [handle_of(session_id) for session_id in dict.fromkeys(well_formed)][:MOST_SIGN_OUTS]
        self._end_all(handles)
        if handles:
            for index in indexes:
                self._leave(index, handles)

    def find(self, index: str) -> list[FoundSession]:
        """The sessions of an index, the latest first."""
        found = []
        for name in self._index_names(index):
            for handle in _handles(self._store.members(name)):
                session, used = f"session:{{{handle}}}", f"used:{{{handle}}}"
                record = self._store.get(session)
                if record is None:
                    self._store.remove(name, handle)
                text = self._seal.unseal_bytes(session, record)
                data = json.loads(text) if text else None
                if data and time.time() <= data["started"] + self._absolute:
                    last_used = self._seal.unseal_bytes(used, self._store.get(used)) or data["started"]
                    found.append(FoundSession(handle, data, int(last_used)))
        return sorted(found, key=lambda session: session.data["started"], reverse=True)

    def sign_out_one(self, index: str, handle: str) -> bool:
        """End one session of an index, as `sign_out` does. False if the index has no such session."""
        for name in self._index_names(index):
            if handle in _handles(self._store.members(name)):
                self._end_all([handle])
                self._store.remove(name, handle)
                return True
        return False

    def sign_out_all(self, index: str, *, keep: str | None = None) -> None:
        """End all sessions of an index but the one with the id `keep`, and the sign-ins that are under way.

        Raises StoreError if a session may still be there. Call it again then: it goes on where it stopped.
        """
        kept = handle_of(keep) if keep else None
        deadline = time.monotonic() + SIGN_OUT_PATIENCE
        failures: list[StoreError] = []
        names = self._index_names(index)
        try:
            self._store.add(names[0], f"{SIGN_OUT_MARK}{time.time()}", SIGN_IN_LASTS)
        except StoreError as error:  # a full store takes no sign-in either, and it can still delete
            log.warning("a sign-out could not be recorded: %s", error)
        for name in names:
            for handle in _handles(self._store.members(name)):
                if handle != kept and self._try_to_delete(handle, deadline, failures):
                    self._store.remove(name, handle)
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

    def _create(self, data: dict[str, Any], tokens: str, indexes: Collection[str], began: float) -> str:
        session_id = secrets.token_urlsafe(32)
        contents = {
            _name("tokens", session_id): tokens.encode(),
            _name("used", session_id): _now(),
            _name("session", session_id): _as_json(data),
        }
        sealed = {name: self._seal.seal_bytes(name, content) for name, content in contents.items()}
        self._store.create_all(sealed, self._time_left(data))
        for index in indexes:
            lifetime = max(1, int(data["started"] + self._absolute - time.time()))
            self._store.add(self._index_names(index)[0], handle_of(session_id), lifetime)
        if any(self._signed_out_since(began, index) for index in indexes):
            self._delete(session_id)
            raise SessionEnded("the user has signed out everywhere")
        self._note_extended(_name("session", session_id))
        return session_id

    def _signed_out_since(self, began: float, index: str) -> bool:
        members = [member for name in self._index_names(index) for member in self._store.members(name)]
        marks = [member for member in members if member.startswith(SIGN_OUT_MARK)]
        return any(float(mark.removeprefix(SIGN_OUT_MARK)) >= began for mark in marks)

    def _index_names(self, index: str) -> list[str]:
        """The names of an index's set. The first is written to; the others are those of former keys."""
        return [f"index:{{{digest}}}" for digest in self._seal.digests(index)]

    def _leave(self, index: str, handles: Collection[str]) -> None:
        try:
            for name in self._index_names(index):
                self._store.remove(name, *handles)
        except StoreError as error:
            log.warning("a session that has ended could not leave its index: %s", error)

    def _delete(self, session_id: str) -> None:
        self._delete_records(handle_of(session_id))

    def _delete_records(self, handle: str) -> None:
        self._store.delete(*(f"{kind}:{{{handle}}}" for kind in ("session", "tokens", "used")))

    def _end_all(self, handles: Collection[str]) -> None:
        """End these sessions and their successors. Raises StoreError if one may still be there."""
        deadline = time.monotonic() + SIGN_OUT_PATIENCE
        failures: list[StoreError] = []
        for handle in handles:  # a store that is full or about to fail still does this
            self._try_to_delete(handle, deadline, failures)
        for handle in handles:
            successor = self._end(handle, deadline, failures)
            while successor:
                self._try_to_delete(successor, deadline, failures)
                successor = self._end(successor, deadline, failures)
        if failures:
            raise failures[0]

    def _delete_expired(self, session_id: str) -> None:
        """Delete it now, so that it stays gone if the clock is set back."""
        try:
            self._delete(session_id)
        except StoreError as error:
            log.warning("an expired session could not be deleted: %s", error)

    def _after(self, handle: str, began: float) -> tuple[str, bytes | None]:
        """What came after a session, for a sign-in that `began` then: the record's name and content.

        Tombstones from before do not count, and live on for as long as what follows them.
        """
        passed: list[str] = []
        for name in _names_after(handle):
            after = self._store.get(name)
            ended_at = _ended_at(after)
            if ended_at is None or ended_at >= began:
                break
            passed.append(name)
        if passed:
            self._store.extend(tuple(passed), AFTERLIFE)
        return name, after

    def _place(self, presented: str, began: float) -> tuple[str, bytes | None]:
        """Where a sign-in that `began` then records its session: the name and content of that record.

        That is next to the session that it presents, or behind the last tombstone that does not count.
        """
        name, after = place = self._after(handle_of(presented), began)
        while successor := self._successor(name, after):
            handle = handle_of(successor)
            name, after = self._after(handle, began)
            if name != _names_after(handle)[0]:
                place = name, after
        return place

    def _successors(self, session_id: str, began: float) -> Iterator[str]:
        """The sessions that came after this one. Raises SessionEnded at a tombstone."""
        while True:
            name, after = self._after(handle_of(session_id), began)
            if _ended_at(after) is not None:
                raise SessionEnded("the user has signed out")
            successor = self._successor(name, after)
            if not successor:
                return
            session_id = successor
            yield session_id

    def _replaced_by_another_tab(self, presented: str, account_id: str, began: float) -> str:
        *_, last = [None, *self._successors(presented, began)]
        found = self.read(last) if last else None
        if last is None or found is None or found["account_id"] != account_id:
            raise SessionEnded("the session that this sign-in was to replace has ended")
        return last

    def _end(self, handle: str, deadline: float, failures: list[StoreError]) -> str | None:
        """Leave a tombstone. Return the successor's handle if there is one already."""
        for name in _names_after(handle):
            try:
                _check_time(deadline)
                if self._store.create(name, ENDED + str(time.time()).encode(), AFTERLIFE):
                    return None
            except StoreError as error:
                # A full store takes no tombstone, and no sign-in either. It can still have a successor to be
                # ended.
                log.warning("a sign-out could not be recorded: %s", error)
            try:
                _check_time(deadline)
                after = self._store.get(name)
                self._store.extend((name,), AFTERLIFE)
            except StoreError as error:
                failures.append(error)
                return None
            if _ended_at(after) is None:
                successor = self._successor(name, after)
                return handle_of(successor) if successor else None
            # A sign-in that began after this tombstone can be under way.
        return None

    def _successor(self, name: str, after: bytes | None) -> str | None:
        """The session id in a record of what came after a session."""
        session_id = self._seal.unseal_bytes(name, after)
        return session_id.decode() if session_id else None

    def _try_to_delete(self, handle: str, deadline: float, failures: list[StoreError]) -> bool:
        try:
            _check_time(deadline)
            self._delete_records(handle)
        except StoreError as error:
            failures.append(error)
            return False
        return True

    def _time_left(self, data: dict[str, Any]) -> int:
        return max(1, min(self._idle, int(data["started"] + self._absolute - time.time())))

    def _extend(self, session_id: str, data: dict[str, Any]) -> None:
        """Move the idle limit on, in twenty steps: a read must not cost a write each time."""
        name, used = _name("session", session_id), _name("used", session_id)
        try:
            self._store.extend((name, _name("tokens", session_id)), self._time_left(data))
            self._store.replace(used, self._seal.seal_bytes(used, _now()), self._time_left(data))
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


def _now() -> bytes:
    return str(int(time.time())).encode()


def handle_of(session_id: str) -> str:
    """What names a session: a hash of its id, so that a leaked store opens no session."""
    return sha256(session_id.encode()).hexdigest()


def _name(kind: str, session_id: str) -> str:
    """A record's name. The braces keep the records of a session together in a Redis cluster."""
    return f"{kind}:{{{handle_of(session_id)}}}"


def _names_after(handle: str) -> list[str]:
    """The names of the records of what came after a session. Each but the last follows a tombstone."""
    return [f"after:{{{handle}}}:{number}" for number in range(MOST_ENDS)]


def _ended_at(after: bytes | None) -> float | None:
    """When the session ended, in seconds since the epoch, if the record is a tombstone."""
    return float(after.removeprefix(ENDED)) if after and after.startswith(ENDED) else None


def _handles(members: Iterable[str]) -> list[str]:
    return [member for member in members if not member.startswith(SIGN_OUT_MARK)]
