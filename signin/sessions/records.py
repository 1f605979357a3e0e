"""The sessions: for each, a record of what pages need and one of its tokens, both sealed.

Only a sign-in creates records, under a new id. Later requests may replace a record but never create one, so
sign-out always wins over requests that are still under way.

Sign-out also has to win over a sign-in that is under way, which does create a session. Therefore a sign-in
remembers the sessions that it began in, and takes the place of the browser's sessions in this order:

1. It writes the new session.
2. It records the new session as the successor of the old one, under a name that can be created only once.
3. It deletes the old session. If the old session is gone already, the user has signed out: the sign-in
   deletes the new session and raises SessionEnded. Nobody has seen the new session's id.

The sign-out deletes a session, and then reads its successor and ends that in the same way. If the sign-out
deletes first, step 3 finds nothing. If step 3 comes first, the sign-out finds the successor. So one of them
wins, without a lock and without comparing clocks. A sign-out writes nothing, so it works on a full store too.

When two sign-ins meet, step 2 lets one of them in. The other deletes its own session and takes the first's.

A session that had ended before the sign-in began does not count: a browser whose session was ended from
elsewhere still presents its id. A session that has ended since then does count, whether the sign-in began in
it or the browser presents it now.

Sessions can also be found by an index, such as one for each user: a set of handles. A handle names a session
and does not open it. To sign out of all sessions of an index has to win over a sign-in that is under way:

- The sign-in writes its session, then its handle into the set, and then looks for a sign-out in the set.
- The sign-out writes its time into the set, then reads the set, and ends the sessions that it finds.

Whichever reads second sees what the other has written. A sign-in that began before the sign-out ends itself.
Both times come from the store, so that it does not matter which machine noted them.
"""

import json
import logging
import re
import secrets
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from .sealing import Seal
from .store import Store, StoreError

log = logging.getLogger(__name__)

LEASE = 20  # seconds that a lock lasts if its holder has died; a token request takes less
MOST_PRESENTED = 4  # ids that a sign-in looks at; a browser sends one
MOST_SIGN_OUTS = 16  # ids that a sign-out looks at
MOST_SUCCESSORS = 50  # of one session that a sign-in follows
MOST_SESSIONS = 50  # of one index, such as a user
SIGN_OUT_PATIENCE = 2  # seconds after which a sign-out stops trying a store that hangs
MOST_NOTES = 4096  # sessions whose last extension is remembered
SIGN_IN_LASTS = 2 * 3600  # seconds within which a sign-in has come to its end, after a password reset too
SIGN_OUT_MARK = "signed out at "  # a member of an index that is no handle
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class SessionEnded(Exception):
    """A session that a sign-in began in or was to replace has ended, or now belongs to another account."""


@dataclass(frozen=True)
class FoundSession:
    """A session that an index has led to. `last_used` is in seconds since the epoch.

    Reading a session notes its use in steps of a twentieth of its idle lifetime.
    """

    handle: str
    data: dict[str, Any]
    last_used: int


class _Latest(NamedTuple):
    """The latest session of a row of successors."""

    session_id: str | None  # None if it has not been found as a successor
    is_there: bool


class Records:
    """`idle` and `absolute` are lifetimes in seconds. Every method raises StoreError when the store fails."""

    def __init__(self, store: Store, seal: Seal, *, idle: int, absolute: int):
        self._store, self._seal, self._idle, self._absolute = store, seal, idle, absolute
        self._extended: dict[str, float] = {}

    def now(self) -> float:
        """When a sign-in begins, as `start` takes it: seconds since the epoch, by the store's clock.

        The app's own clock has to do while the store does not answer.
        """
        try:
            return self._store.now()
        except StoreError as error:
            log.warning("the time of the session store is unknown: %s", error)
            return time.time()

    def latest(self, session_ids: Iterable[str]) -> dict[str, bool]:
        """What a sign-in that begins has to remember, if the browser presents these ids now.

        They are the handles of the latest sessions that have followed these, and whether each is still there.
        """
        latest = self._latest(_handles_of(session_ids)[:MOST_PRESENTED])
        return {handle: session.is_there for handle, session in latest.items()}

    def start(
        self,
        data: dict[str, Any],
        tokens: str,
        *,
        presented: Iterable[str] = (),
        began_in: Mapping[str, bool] | None = None,
        began: float | None = None,
        indexes: Collection[str] = (),
    ) -> str:
        """Make a session and return its new id; `data` says when it `started`, in seconds since the epoch.

        `find` and `sign_out_all` find the session by its `indexes`. `began` is when the user began to sign
        in, by default now: raises SessionEnded after a later sign-out of one of the indexes.

        `began_in` is what `latest` said when the user began to sign in. `presented` are the ids that the
        browser sends now. The new session replaces all of these. If another tab with the same `account_id`
        has just replaced them, return that tab's session. Raises SessionEnded if one of them has ended since
        the user began to sign in, or if somebody else has signed in instead.
        """
        began_in, presented_now = began_in or {}, _handles_of(presented)
        if len(presented_now) > MOST_PRESENTED:
            raise SessionEnded("the browser presents too many sessions")
        had_ended = {handle for handle, was_there in began_in.items() if not was_there}
        replaced, newer = list(dict.fromkeys([*began_in, *presented_now])), None
        if len(replaced) > 1:  # one of them may have followed another
            latest = self._latest(replaced)
            if any(not session.is_there and handle not in had_ended for handle, session in latest.items()):
                raise SessionEnded("the user has signed out since the sign-in began")
            replaced, newer = list(latest), _of_another_tab(latest, presented_now)
        if not newer:
            session_id = self._create(data, tokens, indexes, self.now() if began is None else began, replaced)
            if self._take_the_place_of(replaced, session_id, had_ended):
                return session_id
            newer = _of_another_tab(self._latest(replaced), presented_now)
        found = self.read(newer) if newer else None
        if newer is None or found is None or found["account_id"] != data["account_id"]:
            raise SessionEnded("the session that this sign-in was to replace has ended")
        return newer

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

    def sign_out(self, session_ids: Iterable[str], indexes: Collection[str] = ()) -> bool:
        """End these sessions for good, and those that sign-ins under way have put in their place.

        They also leave these `indexes`. Without that, `find` removes them later.

        Ignores ids that are malformed. False if there are so many that it has not looked at all of them.
        Raises StoreError if a session may still be there; everything that can be deleted has been deleted
        then.
        """
        handles = _handles_of(session_ids)
        looked_at = handles[:MOST_SIGN_OUTS]
        self._end(looked_at)
        if looked_at:
            for index in indexes:
                self._leave(index, looked_at)
        return looked_at == handles

    def find(self, index: str) -> list[FoundSession]:
        """The sessions of an index, the latest first."""
        found = []
        for name in self._index_names(index):
            handles = _handles(self._store.members(name))
            if not handles:
                continue
            records = self._store.get_many(
                [_record(kind, h) for h in handles for kind in ("session", "used")]
            )
            for handle in handles:
                session, used = _record("session", handle), _record("used", handle)
                text = self._seal.unseal_bytes(session, records.get(session))
                data = json.loads(text) if text else None
                if data and time.time() <= data["started"] + self._absolute:
                    last_used = self._seal.unseal_bytes(used, records.get(used)) or data["started"]
                    found.append(FoundSession(handle, data, int(last_used)))
            if gone := [handle for handle in handles if _record("session", handle) not in records]:
                self._store.remove(name, *gone)
        return sorted(found, key=lambda session: session.data["started"], reverse=True)

    def sign_out_one(self, index: str, handle: str) -> bool:
        """End one session of an index, as `sign_out` does. False if the index has no such session."""
        for name in self._index_names(index):
            if handle in _handles(self._store.members(name)):
                self._end([handle])
                self._store.remove(name, handle)
                return True
        return False

    def sign_out_all(self, index: str, *, keep: str | None = None) -> None:
        """End all sessions of an index but the one with the id `keep`, and the sign-ins that are under way.

        Raises StoreError if a session may still be there.
        """
        kept = handle_of(keep) if keep else None
        names = self._index_names(index)
        try:
            self._store.add(names[0], f"{SIGN_OUT_MARK}{self._store.now()}", SIGN_IN_LASTS)
        except StoreError as error:  # a full store takes no sign-in either, and it can still delete
            log.warning("a sign-out could not be recorded: %s", error)
        for name in names:
            handles = [handle for handle in _handles(self._store.members(name)) if handle != kept]
            if handles:
                self._delete(handles)
                self._store.remove(name, *handles)

    def check(self) -> None:
        """Write a record, read it back and delete it."""
        name = _name("check", secrets.token_urlsafe(32))
        written = secrets.token_bytes(16)
        self._store.create(name, written, 60)
        if self._store.get(name) != written:
            raise StoreError("the store does not return what was written")
        if self._store.delete(name) != 1:
            raise StoreError("the store does not delete what was written")

    def _create(
        self,
        data: dict[str, Any],
        tokens: str,
        indexes: Collection[str],
        began: float,
        replaced: Collection[str],
    ) -> str:
        session_id = secrets.token_urlsafe(32)
        contents = {
            _name("tokens", session_id): tokens.encode(),
            _name("used", session_id): _now(),
            _name("session", session_id): _as_json(data),
        }
        sealed = {name: self._seal.seal_bytes(name, content) for name, content in contents.items()}
        self._store.create_all(sealed, self._time_left(data))
        handle = handle_of(session_id)
        lifetime = max(1, int(data["started"] + self._absolute - time.time()))
        for index in indexes:
            name, *former_names = self._index_names(index)
            members = self._store.add(name, handle, lifetime)
            former = [member for former_name in former_names for member in self._store.members(former_name)]
            if self._signed_out_since(began, name, members + former):
                self._delete([handle])
                raise SessionEnded("the user has signed out everywhere")
            others = [other for other in _handles(members) if other != handle and other not in replaced]
            if len(others) >= MOST_SESSIONS:
                self._make_room(name, others)
        self._note_extended(_name("session", session_id))
        return session_id

    def _signed_out_since(self, began: float, name: str, members: Iterable[str]) -> bool:
        marks = [member for member in members if member.startswith(SIGN_OUT_MARK)]
        if not marks:
            return False
        latest, now = max(float(mark.removeprefix(SIGN_OUT_MARK)) for mark in marks), self._store.now()
        if latest > now:
            # The clock has been set back. Refuse this sign-in, and let the next one pass.
            self._store.remove(name, *marks)
            self._store.add(name, f"{SIGN_OUT_MARK}{now}", SIGN_IN_LASTS)
        return began <= latest or began > now

    def _make_room(self, name: str, handles: Sequence[str]) -> None:
        """End the oldest of these sessions, so that there is room for one more. The oldest comes first."""
        try:
            there = self._store.get_many([_record("session", handle) for handle in handles])
            live = [handle for handle in handles if _record("session", handle) in there]
            kept = live[-(MOST_SESSIONS - 1) :]
            if ended := live[: len(live) - len(kept)]:
                self._delete(ended)
            self._store.remove(name, *(handle for handle in handles if handle not in kept))
        except StoreError as error:  # the next sign-in tries again
            log.warning("the oldest session could not be ended: %s", error)

    def _index_names(self, index: str) -> list[str]:
        """The names of an index's set. The first is written to; the others are those of former keys."""
        return [f"index:{{{digest}}}" for digest in self._seal.digests(index)]

    def _leave(self, index: str, handles: Collection[str]) -> None:
        try:
            for name in self._index_names(index):
                self._store.remove(name, *handles)
        except StoreError as error:
            log.warning("a session that has ended could not leave its index: %s", error)

    def _delete(self, handles: Iterable[str], *names: str) -> int:
        """Delete the records of these sessions and those with these names. Return how many there were."""
        kinds = ("session", "tokens", "used")
        return self._store.delete(*(_record(kind, handle) for handle in handles for kind in kinds), *names)

    def _end(self, handles: Sequence[str]) -> None:
        """End these sessions and their successors. Raises StoreError if one may still be there."""
        deadline, failure = time.monotonic() + SIGN_OUT_PATIENCE, None
        while handles:
            try:
                self._delete(handles)
            except StoreError as error:  # their successors can still be ended
                failure = error
            if time.monotonic() > deadline:
                raise failure or StoreError("the store is too slow for this sign-out")
            found = self._store.get_many([_record("after", handle) for handle in handles])
            handles = [handle_of(successor) for successor in self._successors_in(found, handles).values()]
        if failure:
            raise failure

    def _delete_expired(self, session_id: str) -> None:
        """Delete it now, so that it stays gone if the clock is set back."""
        try:
            self._delete([handle_of(session_id)])
        except StoreError as error:
            log.warning("an expired session could not be deleted: %s", error)

    def _successors_in(self, found: Mapping[str, bytes], handles: Iterable[str]) -> dict[str, str]:
        """The ids of the sessions that have directly followed these, as far as there are any."""
        names = {handle: _record("after", handle) for handle in handles}
        ids = {handle: self._seal.unseal_bytes(name, found.get(name)) for handle, name in names.items()}
        return {handle: session_id.decode() for handle, session_id in ids.items() if session_id}

    def _latest(self, handles: Iterable[str]) -> dict[str, _Latest]:
        """The latest sessions that have followed these, by their handles. Without a successor, the same."""
        latest: dict[str, _Latest] = {}
        ids: dict[str, str | None] = dict.fromkeys(handles)
        for _ in range(MOST_SUCCESSORS):
            if not ids:
                return latest
            found = self._store.get_many([_record(kind, h) for h in ids for kind in ("session", "after")])
            successors = self._successors_in(found, ids)
            for handle, session_id in ids.items():
                if handle not in successors:
                    latest[handle] = _Latest(session_id, _record("session", handle) in found)
            ids = {handle_of(session_id): session_id for session_id in successors.values()}
        raise SessionEnded("too many sessions have followed one that has ended")

    def _take_the_place_of(self, handles: Iterable[str], session_id: str, had_ended: Collection[str]) -> bool:
        """Let this new session follow these. False if another tab has been faster.

        Raises SessionEnded if one is gone that had not ended before. Deletes the new session in both cases.
        """
        recorded: list[str] = []
        for handle in handles:
            name = _record("after", handle)
            if not self._store.create(name, self._seal.seal_bytes(name, session_id.encode()), SIGN_IN_LASTS):
                self._delete([handle_of(session_id)], *recorded)
                return False
            recorded.append(name)
        for handle in handles:
            if handle not in had_ended and not self._delete([handle]):
                self._delete([handle_of(session_id)], *recorded)
                raise SessionEnded("the user has signed out since the sign-in began")
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


def _as_json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _now() -> bytes:
    return str(int(time.time())).encode()


def handle_of(session_id: str) -> str:
    """What names a session: a hash of its id, so that a leaked store opens no session."""
    return sha256(session_id.encode()).hexdigest()


def _of_another_tab(latest: Mapping[str, _Latest], presented: Collection[str]) -> str | None:
    """The id of the session that another tab has put in place of what the browser presents.

    That tab deletes the session that it has replaced.
    """
    live = {handle: session for handle, session in latest.items() if session.is_there}
    if len(live) != 1:
        return None
    [(handle, session)] = live.items()
    return None if handle in presented else session.session_id


def _handles_of(session_ids: Iterable[str]) -> list[str]:
    """The handles of those that are well-formed, each once."""
    well_formed = [session_id for session_id in session_ids if SESSION_ID.fullmatch(session_id)]
    return [handle_of(session_id) for session_id in dict.fromkeys(well_formed)]


def _record(kind: str, handle: str) -> str:
    """A record's name. The braces keep the records of a session together in a Redis cluster."""
    return f"{kind}:{{{handle}}}"


def _name(kind: str, session_id: str) -> str:
    return _record(kind, handle_of(session_id))


def _handles(members: Iterable[str]) -> list[str]:
    return [member for member in members if not member.startswith(SIGN_OUT_MARK)]
