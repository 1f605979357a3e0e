"""The sessions: for each, a record of what pages need and one of its tokens, both sealed.

Only a sign-in creates records, under a new id. Later requests may replace a record but never create one, so
sign-out always wins over requests that are still under way.

Sign-out also has to win over a sign-in that is under way, which does create a session. Therefore a sign-in
remembers the sessions that it began in, and takes the place of the browser's sessions in this order:

1. It writes the new session.
2. It records the new session as the successor of the old one, under a name that can be created only once.
3. It deletes the old session. If the old session is gone already, the user has signed out: the sign-in
   deletes the new session and raises SessionEnded. Nobody has seen the new session's id.

The sign-out deletes a session, then reads its successor and ends that in the same way. If the sign-out
deletes first, step 3 finds nothing, and the sign-in ends itself. If step 3 comes first, the sign-out finds
the successor. Either way no session is left, without a lock and without comparing clocks. A sign-out of
one browser writes nothing, so it works on a full store too.

When two sign-ins want to follow the same session, step 2 lets only the first. The other deletes its own and
returns the first's. It also closes the old session, in case the first fails in step 3.

If a session was already gone when the sign-in began, that does not count: a browser whose session was ended
from elsewhere still presents its id. If it ended later, it counts, whether the sign-in began in it or the
browser presents it now.

A sign-in that begins in no session remembers a random handle instead, as if it were that of a session that
has ended. Step 2 works for it too. The pending sign-ins of a browser share such a handle, or know each
other's. So they end with one session, and a sign-out of that session also counts for those that complete
later. A sign-out forgets these handles with the cookies: sign-ins that begin after it are not linked to those
from before.

Sessions can also be found by an index, such as one for each user: a set of handles. A handle names a session
and does not open it. To sign out of all sessions of an index has to win over a sign-in that is under way:

- The sign-in writes its session, then its handle into the set, and then looks for a sign-out in the set.
- The sign-out writes its time into the set, then reads the set, and ends the sessions that it finds.

Whichever reads second sees what the other has written. A sign-in that began before the sign-out ends itself.
Both times come from the store, so that it does not matter which machine noted them.
"""

import json
import logging
import secrets
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from .names import SESSION_ID, handle_of, handles_of, record, record_of
from .sealing import Seal
from .store import Store, StoreError
from .successors import Rows, SessionEnded, Successors

log = logging.getLogger(__name__)

LEASE = 20  # seconds that a lock lasts if its holder has died; a token request takes less
MOST_PRESENTED = 4  # ids that a sign-in looks at; a browser sends one
MOST_SIGN_OUTS = 16  # ids that a sign-out looks at
MOST_SESSIONS = 50  # of one index, such as a user
SIGN_OUT_PATIENCE = 2  # seconds after which a sign-out stops trying a store that hangs
MOST_NOTES = 4096  # sessions whose last extension is remembered
SIGN_IN_LASTS = 2 * 3600  # seconds within which a sign-in has come to its end, after a password reset too
SUCCESSOR_LASTS = SIGN_IN_LASTS + 300  # seconds; longer than any sign-in that has to find it
SIGN_OUT_MARK = "signed out at "  # a member of an index that is no handle


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
        self._successors = Successors(store, seal, SUCCESSOR_LASTS)
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

    def latest(self, session_ids: Iterable[str], linked: Collection[str] = ()) -> dict[str, bool]:
        """What a sign-in that begins has to remember, if the browser presents these ids now.

        They are the handles of the latest sessions that have followed these, and whether each is still there.
        `linked` are the handles that the browser's other pending sign-ins remember as ended or as not there
        yet. A browser without any of these remembers `new_handle()`.
        """
        handles = [*handles_of(session_ids)[:MOST_PRESENTED], *linked]
        rows = self._successors.follow(dict.fromkeys(handles))
        return {handle: session.is_there for handle, session in rows.latest.items()}

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
        in, by default now, and at most SIGN_IN_LASTS ago: raises SessionEnded after a later sign-out of one
        of the indexes.

        `began_in` is what `latest` said when the user began to sign in. `presented` are the ids that the
        browser sends now. The new session replaces all of these. If another tab with the same `account_id`
        has just replaced them, return that tab's session. Raises SessionEnded if one of them has ended since
        the user began to sign in, or if somebody else has signed in instead.
        """
        began_in, presented_now = began_in or {}, handles_of(presented)
        if len(presented_now) > MOST_PRESENTED:
            raise SessionEnded("the browser presents too many sessions")
        had_ended = {handle for handle, was_there in began_in.items() if not was_there}
        known = list(dict.fromkeys([*began_in, *presented_now]))
        replaced, newer = known, None
        if len(known) > 1:  # one of them may have followed another
            rows = self._follow_and_close(known)
            ended = {handle for handle, session in rows.latest.items() if not session.is_there}
            if ended - had_ended:
                raise SessionEnded("the user has signed out since the sign-in began")
            replaced, newer = list(rows.latest), rows.newer_than(presented_now)
            if newer and handle_of(newer) in began_in and self._account_of(newer) != data["account_id"]:
                newer = None  # the user has begun to sign in with another account since
        if not newer:
            session_id = self._create(data, tokens, indexes, self.now() if began is None else began, replaced)
            if self._take_the_place_of(replaced, session_id, had_ended):
                return session_id
            rows = self._follow_and_close(replaced)
            newer = rows.newer_than(presented_now)
        if newer is None or self._account_of(newer) != data["account_id"]:
            raise SessionEnded("the session that this sign-in was to replace has ended")
        for handle in had_ended.intersection(rows.latest):
            self._successors.add(handle, newer)
        return newer

    def read(self, session_id: str) -> dict[str, Any] | None:
        """A session's data; None if there is no such session, or it cannot be trusted."""
        if not SESSION_ID.fullmatch(session_id):
            return None
        name = record_of("session", session_id)
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

    def successor(self, session_ids: Iterable[str]) -> str | None:
        """The id of the session that has taken the place of these, if it is there."""
        handles = handles_of(session_ids)[:MOST_PRESENTED]
        try:
            return self._successors.follow(handles).newer_than(handles)
        except SessionEnded:
            return None

    def replace(self, session_id: str, data: dict[str, Any]) -> bool:
        """Keep `data` instead. False if the session has ended."""
        name = record_of("session", session_id)
        return self._store.replace(name, self._seal.seal_bytes(name, _as_json(data)), self._time_left(data))

    def tokens(self, session_id: str) -> str:
        """The session's tokens; empty if there are none."""
        name = record_of("tokens", session_id)
        return (self._seal.unseal_bytes(name, self._store.get(name)) or b"").decode()

    def replace_tokens(self, session_id: str, data: dict[str, Any], tokens: str) -> bool:
        """Keep these tokens instead, for the session with this `data`. False if the session has ended."""
        name = record_of("tokens", session_id)
        return self._store.replace(name, self._seal.seal_bytes(name, tokens.encode()), self._time_left(data))

    def lock_tokens(self, session_id: str, *, patience: float) -> AbstractContextManager[None]:
        """Held while tokens are refreshed, so that of parallel requests one redeems the refresh token.

        Raises LockTimeout after waiting for `patience` seconds.
        """
        return self._store.lock(record_of("refreshing", session_id), lease=LEASE, patience=patience)

    def sign_out(
        self, session_ids: Iterable[str], indexes: Collection[str] = (), linked: Collection[str] = ()
    ) -> bool:
        """End these sessions for good, and those that sign-ins under way have put in their place.

        They also leave these `indexes`. Without that, `find` removes them later. `linked` are the handles
        that the browser's pending sign-ins remember, as for `latest`.

        Ignores ids that are malformed. False if there are so many that it has not looked at all of them.
        Raises StoreError if a session may still be there; everything that can be deleted has been deleted
        then.
        """
        handles = handles_of(session_ids)
        looked_at = handles[:MOST_SIGN_OUTS]
        self._end([*looked_at, *linked])
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
            records = self._store.get_many([record(kind, h) for h in handles for kind in ("session", "used")])
            for handle in handles:
                session, used = record("session", handle), record("used", handle)
                text = self._seal.unseal_bytes(session, records.get(session))
                data = json.loads(text) if text else None
                if data and time.time() <= data["started"] + self._absolute:
                    last_used = self._seal.unseal_bytes(used, records.get(used)) or data["started"]
                    found.append(FoundSession(handle, data, int(last_used)))
            if gone := [handle for handle in handles if record("session", handle) not in records]:
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
        """End all sessions of an index, and the sign-ins that are under way.

        The session with the id `keep` stays, or what has taken its place meanwhile.

        Raises StoreError if a session may still be there.
        """
        names = self._index_names(index)
        self._mark_sign_out(names[0])
        members = {name: _handles(self._store.members(name)) for name in names}
        kept = self._with_successors(keep) if keep else set()
        for name, handles in members.items():
            if ended := [handle for handle in handles if handle not in kept]:
                self._delete(ended)
                self._store.remove(name, *ended)

    def check(self) -> None:
        """Write a record, read it back and delete it."""
        name = record_of("check", secrets.token_urlsafe(32))
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
            record_of("tokens", session_id): tokens.encode(),
            record_of("used", session_id): _now(),
            record_of("session", session_id): _as_json(data),
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
        self._note_extended(record_of("session", session_id))
        return session_id

    def _mark_sign_out(self, name: str) -> None:
        """Note the time of a sign-out in this set, in place of earlier ones."""
        try:
            now = self._store.now()
            members = self._store.add(name, f"{SIGN_OUT_MARK}{now}", SIGN_IN_LASTS)
            earlier = [mark for mark in members if mark.startswith(SIGN_OUT_MARK) and _time_of(mark) < now]
            if earlier:
                self._store.remove(name, *earlier)
        except StoreError as error:  # a full store takes no sign-in either, and it can still delete
            log.warning("a sign-out could not be recorded: %s", error)

    def _with_successors(self, session_id: str) -> set[str]:
        handle = handle_of(session_id)
        return {handle, *self._successors.follow([handle]).latest}

    def _signed_out_since(self, began: float, name: str, members: Iterable[str]) -> bool:
        marks = [member for member in members if member.startswith(SIGN_OUT_MARK)]
        if not marks:
            return False
        latest, now = max(map(_time_of, marks)), self._store.now()
        if latest > now:
            # The clock has been set back. Refuse this sign-in, and let the next one pass.
            self._store.remove(name, *marks)
            self._store.add(name, f"{SIGN_OUT_MARK}{now}", SIGN_IN_LASTS)
        return began <= latest or began > now

    def _make_room(self, name: str, handles: Sequence[str]) -> None:
        """End the oldest of these sessions, so that there is room for one more. The oldest comes first."""
        try:
            there = self._store.get_many([record("session", handle) for handle in handles])
            live = [handle for handle in handles if record("session", handle) in there]
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
        return self._store.delete(*(record(kind, handle) for handle in handles for kind in kinds), *names)

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
            handles = self._successors.of(handles)
        if failure:
            raise failure

    def _delete_expired(self, session_id: str) -> None:
        """Delete it now, so that it stays gone if the clock is set back."""
        try:
            self._delete([handle_of(session_id)])
        except StoreError as error:
            log.warning("an expired session could not be deleted: %s", error)

    def _account_of(self, session_id: str) -> str | None:
        data = self.read(session_id)
        return data["account_id"] if data else None

    def _follow_and_close(self, handles: Collection[str]) -> Rows:
        """Follow the successors. Make sure that nothing opens a session that has one.

        The sign-in that has replaced the session may be about to delete it, or have failed to. If it is about
        to, it must not take this for a sign-out. So `used` stays, which a sign-out deletes.
        """
        rows = self._successors.follow(handles)
        if rows.left_over:
            self._store.delete(*(record(kind, h) for h in rows.left_over for kind in ("session", "tokens")))
        return rows

    def _take_the_place_of(self, handles: Iterable[str], session_id: str, had_ended: Collection[str]) -> bool:
        """Let this new session follow these. False if another tab has been faster.

        Raises SessionEnded if one is gone that had not ended before. Deletes the new session in both cases.
        """
        recorded: list[str] = []
        for handle in sorted(handles):  # in the same order everywhere, so that of two sign-ins one gets all
            if not self._successors.add(handle, session_id):
                self._delete([handle_of(session_id)], *recorded)
                return False
            recorded.append(self._successors.name(handle))
        for handle in handles:
            if handle not in had_ended and not self._delete([handle]):
                self._delete([handle_of(session_id)], *recorded)
                raise SessionEnded("the user has signed out since the sign-in began")
        return True

    def _time_left(self, data: dict[str, Any]) -> int:
        return max(1, min(self._idle, int(data["started"] + self._absolute - time.time())))

    def _extend(self, session_id: str, data: dict[str, Any]) -> None:
        """Move the idle limit on, in twenty steps: a read must not cost a write each time."""
        name, used = record_of("session", session_id), record_of("used", session_id)
        try:
            self._store.extend((name, record_of("tokens", session_id)), self._time_left(data))
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


def _handles(members: Iterable[str]) -> list[str]:
    return [member for member in members if not member.startswith(SIGN_OUT_MARK)]


def _time_of(mark: str) -> float:
    return float(mark.removeprefix(SIGN_OUT_MARK))
