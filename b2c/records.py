"""Where sessions are kept: sealed records in Redis or in one file, and the one rule for both.

A record is made by a sign-in alone, under an id of its own. Anything later can only replace it while it is
there, so nothing that is still under way when a session ends can bring it back.
"""

import itertools
import json
import logging
import secrets
import sqlite3
import time
import weakref
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import redis
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .problems import TenantUnavailable, short

log = logging.getLogger(__name__)

STORE_ERRORS = (sqlite3.Error, redis.RedisError)
PURGE_EVERY, PURGE_LIMIT = 20, 200  # one new record in so many removes as many expired ones, at most
LEASE = 20  # seconds after which a lock lapses whose holder has died; a token request takes less
PATIENCE = 22  # seconds to wait for a lock: more, so that who waits for a dead holder gets its turn
SUCCESSOR_LIFETIME = 60  # seconds, within which requests sent with a replaced session have come to their end


class Seal:
    """Authenticated encryption under the first of `keys`; the others still open what they have sealed."""

    def __init__(self, keys: Iterable[str]):
        self._fernet = MultiFernet([Fernet(self._derived(key)) for key in keys])

    @staticmethod
    def _derived(key: str) -> bytes:
        hkdf = HKDF(SHA256(), length=32, salt=None, info=b"b2c-flask-webapp sealed record 1")
        return urlsafe_b64encode(hkdf.derive(key.encode()))

    def seal(self, name: str, value: Any) -> bytes:
        """`value` (JSON), encrypted and authenticated, good under this `name` only; printable ASCII."""
        return self._fernet.encrypt(json.dumps([name, value]).encode())

    def unseal(self, name: str, sealed: str | bytes | None, max_age: int | None = None) -> Any:
        """What was sealed under `name`; None if missing, damaged, foreign or older than `max_age` seconds."""
        try:
            sealed_name, value = json.loads(self._fernet.decrypt(sealed or b"", ttl=max_age))
        except (InvalidToken, ValueError):  # the latter: no ASCII
            return None
        return value if sealed_name == name else None


class EmbeddedStore:
    """Records in one SQLite file, through those calls of redis-py that Records needs.

    For any number of threads and processes on one machine. Expired records go away by themselves.
    Raises sqlite3.Error, and OSError when `folder` cannot be made.
    """

    def __init__(self, folder: Path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = folder / "sessions.sqlite3"
        self._file.touch()
        self._file.chmod(0o600)
        self._sets = itertools.count()
        self._idle: list[sqlite3.Connection] = []
        weakref.finalize(self, _close_all, self._idle)
        with closing(self._connect()) as connection:  # closed, for a connection must not cross a fork
            _write_ahead(connection)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, value TEXT, expires REAL)"
            )
            connection.execute("CREATE INDEX IF NOT EXISTS expiry ON records (expires)")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=2, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.text_factory = bytes  # whatever a damaged file holds can be read, and is refused later
        return connection

    def _run(self, statement: str, *values: Any) -> tuple[Any, int]:
        """The first value of the first row, and the number of rows changed."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            cursor = connection.execute(statement, values)
            row = cursor.fetchone()
            return row and row[0], cursor.rowcount
        finally:
            self._idle.append(connection)

    def get(self, name: str) -> bytes | None:
        return self._run("SELECT value FROM records WHERE name = ? AND expires > ?", name, time.time())[0]

    def set(self, name: str, value: str | bytes, *, ex: int, nx: bool = False, xx: bool = False) -> bool:
        now = time.time()
        if xx:
            statement = "UPDATE records SET value = ?2, expires = ?3 WHERE name = ?1 AND expires > ?4"
            return self._run(statement, name, value, now + ex, now)[1] == 1
        if next(self._sets) % PURGE_EVERY == 0:
            self._run(
                "DELETE FROM records WHERE name IN (SELECT name FROM records WHERE expires < ? LIMIT ?)",
                now,
                PURGE_LIMIT,
            )
        statement = (
            "INSERT INTO records VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE"
            " SET value = excluded.value, expires = excluded.expires WHERE expires <= ?4 OR NOT ?5"
        )
        return self._run(statement, name, value, now + ex, now, nx)[1] == 1

    def expire(self, name: str, seconds: int) -> None:
        now = time.time()
        self._run("UPDATE records SET expires = ? WHERE name = ? AND expires > ?", now + seconds, name, now)

    def delete(self, *names: str) -> int:
        return sum(self._run("DELETE FROM records WHERE name = ?", name)[1] for name in names)

    @contextmanager
    def lock(self, name: str, *, timeout: int, blocking_timeout: int) -> Iterator[None]:
        owner, patience = secrets.token_hex(8), time.monotonic() + blocking_timeout
        while not self.set(name, owner, ex=timeout, nx=True):
            if time.monotonic() > patience:
                raise redis.exceptions.LockError(f"{name} is locked")
            time.sleep(0.02)
        try:
            yield
        finally:
            self._run("DELETE FROM records WHERE name = ? AND value = ?", name, owner)


def open_store(redis_url: str | None, folder: Path) -> EmbeddedStore | redis.Redis:
    """Redis, or else the embedded store in `folder`.

    Raises OSError or one of STORE_ERRORS for the folder, ValueError or TypeError for the URL.
    """
    if not redis_url:
        return EmbeddedStore(folder)
    no_retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    client = redis.Redis.from_url(redis_url, socket_connect_timeout=1, socket_timeout=1, retry=no_retry)
    client.connection_pool.make_connection()  # connects to nothing yet, but refuses unknown options
    return client


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for another process that does so just now."""
    patience = time.monotonic() + 5
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.02)


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


class Records:
    """The sessions: of each, a record of what pages need, and one of the token cache, both sealed.

    `idle` and `absolute` are the lifetimes in seconds. Every method raises one of STORE_ERRORS when the
    store fails.
    """

    def __init__(self, store: EmbeddedStore | redis.Redis, seal: Seal, idle: int, absolute: int):
        self._store, self._seal, self._idle, self._absolute = store, seal, idle, absolute
        self._extended: dict[str, float] = {}

    def start(self, data: dict[str, Any], token_cache: str, *, follows: str | None = None) -> str | None:
        """Make a session and return its new id; `data` says when it `started`, in seconds since the epoch.

        With `follows`, in place of that session: None if it has ended, for whoever signed out stays out. If
        another tab of the same user has just replaced it, that tab's session does for both.
        """
        if not follows:
            return self._make(data, token_cache)
        successor = _name("successor", follows)
        with self._lock("replacing", follows):
            if self.end(follows):
                session_id = self._make(data, token_cache)
                self._store.set(successor, self._seal.seal(successor, session_id), ex=SUCCESSOR_LIFETIME)
                return session_id
            other = self._read(successor)
            found = self.read(other) if other else None
            return other if found and found["account_id"] == data["account_id"] else None

    def read(self, session_id: str) -> dict[str, Any] | None:
        """A session's data; None if there is no such session, or none that is to be believed."""
        data = self._read(_name("session", session_id))
        if data is None or time.time() > data["started"] + self._absolute:
            return None
        self._extend(session_id, data)
        return data

    def replace(self, session_id: str, data: dict[str, Any]) -> bool:
        """Keep `data` instead. False if the session has ended."""
        return self._write(_name("session", session_id), data, data, xx=True)

    def end(self, session_id: str) -> bool:
        """End a session. False if it had ended already."""
        return self._store.delete(_name("session", session_id), _name("tokens", session_id)) > 0

    def sign_out(self, session_id: str) -> None:
        """End a session for good: it, and what a sign-in that is under way has just put in its place."""
        last: str | None = session_id
        while last:
            with self._lock("replacing", last):
                self.end(last)
                last = self._read(_name("successor", last))

    def token_cache(self, session_id: str) -> str:
        """The session's MSAL token cache, serialized; empty if there is none."""
        return self._read(_name("tokens", session_id)) or ""

    def replace_token_cache(self, session_id: str, data: dict[str, Any], token_cache: str) -> bool:
        """Keep this token cache instead, for the session with this `data`. False if the session has ended."""
        return self._write(_name("tokens", session_id), token_cache, data, xx=True)

    @contextmanager
    def lock_token_cache(self, session_id: str) -> Iterator[None]:
        """Held while tokens are refreshed, so that of parallel requests one redeems the refresh token.

        Raises TenantUnavailable if another request's refresh does not come to its end.
        """
        held = self._lock("refreshing", session_id)
        try:
            held.__enter__()
        except redis.exceptions.LockError as error:
            raise TenantUnavailable("another request's refresh takes too long") from error
        try:
            yield
        finally:
            with suppress(redis.exceptions.LockNotOwnedError):  # it has lapsed, but what it was for is done
                held.__exit__(None, None, None)

    def _lock(self, what: str, session_id: str) -> AbstractContextManager:
        return self._store.lock(_name(what, session_id), timeout=LEASE, blocking_timeout=PATIENCE)

    def _make(self, data: dict[str, Any], token_cache: str) -> str:
        session_id = secrets.token_urlsafe(32)
        self._note_extended(session_id)
        self._write(_name("tokens", session_id), token_cache, data, nx=True)
        self._write(_name("session", session_id), data, data, nx=True)
        return session_id

    def _read(self, name: str) -> Any:
        return self._seal.unseal(name, self._store.get(name))

    def _write(self, name: str, value: Any, data: dict[str, Any], **how: bool) -> bool:
        return bool(self._store.set(name, self._seal.seal(name, value), ex=self._time_left(data), **how))

    def _time_left(self, data: dict[str, Any]) -> int:
        return max(1, min(self._idle, data["started"] + self._absolute - int(time.time())))

    def _extend(self, session_id: str, data: dict[str, Any]) -> None:
        """Move the idle limit on: in twenty steps, for reading must not cost a write each time."""
        now = time.time()
        if now - self._extended.get(session_id, 0) < self._idle / 20:
            return
        try:
            for kind in ("session", "tokens"):
                self._store.expire(_name(kind, session_id), self._time_left(data))
        except STORE_ERRORS as error:  # what could be read shall not fail because nothing can be written
            log.warning("a session could not be extended: %s", short(error))
        self._note_extended(session_id)

    def _note_extended(self, session_id: str) -> None:
        if len(self._extended) >= 4096:
            self._extended.clear()
        self._extended[session_id] = time.time()


def _name(kind: str, session_id: str) -> str:
    """A record's name. It does not tell the session id, which opens the session to whoever knows it."""
    return f"{kind}:{sha256(session_id.encode()).hexdigest()}"
