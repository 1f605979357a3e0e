"""The store in one SQLite file, for all threads and processes of one machine."""

import itertools
import logging
import os
import secrets
import sqlite3
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from .sqlite_file import Identity, SqliteFile
from .store import LockTimeout, StoreError, StoreUnusable

log = logging.getLogger(__name__)

BUSY_SECONDS = 2  # how long SQLite waits for another writer
PURGE_EVERY, PURGE_LIMIT = 20, 200  # one new record in so many removes as many expired ones, at most
POLL_SECONDS = 0.02
MOST_REPLACEMENTS = 20  # of the file, while one connection is being opened
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, value BLOB, expires REAL)",
    "CREATE INDEX IF NOT EXISTS expiry ON records (expires)",
    "CREATE TABLE IF NOT EXISTS members (name TEXT, member TEXT, expires REAL, PRIMARY KEY (name, member))"
    " WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS member_expiry ON members (expires)",
)
CREATE = (
    "INSERT INTO records VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE"
    " SET value = excluded.value, expires = excluded.expires WHERE expires <= ?4"
)
PURGE = "DELETE FROM records WHERE name IN (SELECT name FROM records WHERE expires <= ? LIMIT ?)"
PURGE_MEMBERS = (
    "DELETE FROM members WHERE (name, member) IN"
    " (SELECT name, member FROM members WHERE expires <= ? LIMIT ?)"
)


class Connection(NamedTuple):
    sqlite: sqlite3.Connection
    file: Identity
    process: int


class SqliteStore:
    """A Store in `folder`. Raises StoreUnusable when it cannot be made there.

    If the file is deleted or replaced while the app runs, every connection moves to the file that is there
    now.
    """

    def __init__(self, folder: Path):
        self._file = SqliteFile(folder)
        self._creations = itertools.count()
        self._idle: list[Connection] = []
        weakref.finalize(self, _close_all, self._idle)
        try:
            self._connect().sqlite.close()  # a connection must not cross a fork
        except (sqlite3.Error, OSError) as error:
            raise StoreUnusable("SESSION_DIR", f"{folder} cannot be used: {error}") from error

    def now(self) -> float:
        return time.time()

    def get(self, name: str) -> bytes | None:
        rows, _ = self._run("SELECT value, expires FROM records WHERE name = ?", name)
        if not rows:
            return None
        value: bytes
        [(value, expires)] = rows
        now = time.time()
        if expires > now:
            return value
        try:
            self._run("DELETE FROM records WHERE name = ? AND expires <= ?", name, now)
        except StoreError as error:
            log.warning("an expired record could not be deleted: %s", error)
        return None

    def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        marks = ", ".join("?" * len(names))
        statement = f"SELECT name, value FROM records WHERE name IN ({marks}) AND expires > ?"  # noqa: S608
        return {name.decode(): value for name, value in self._run(statement, *names, time.time())[0]}

    def create(self, name: str, value: bytes, seconds: float) -> bool:
        now = time.time()
        self._purge_sometimes(now)
        return self._run(CREATE, name, value, now + seconds, now)[1] == 1

    def create_all(self, values: Mapping[str, bytes], seconds: int) -> None:
        now = time.time()
        self._purge_sometimes(now)
        rows = ", ".join(["(?, ?, ?)"] * len(values))
        columns = [column for name, value in values.items() for column in (name, value, now + seconds)]
        self._run(f"INSERT OR REPLACE INTO records VALUES {rows}", *columns)  # noqa: S608

    def replace(self, name: str, value: bytes, seconds: int) -> bool:
        now = time.time()
        statement = "UPDATE records SET value = ?2, expires = ?3 WHERE name = ?1 AND expires > ?4"
        return self._run(statement, name, value, now + seconds, now)[1] == 1

    def extend(self, names: tuple[str, ...], seconds: int) -> None:
        now = time.time()
        for name in names:
            statement = "UPDATE records SET expires = ? WHERE name = ? AND expires > ?"
            self._run(statement, now + seconds, name, now)

    def delete(self, *names: str) -> int:
        marks = ", ".join("?" * len(names))
        statement = f"DELETE FROM records WHERE name IN ({marks})"  # noqa: S608
        return self._run(statement, *names, durable=True)[1]

    def add(self, name: str, member: str, seconds: int) -> list[str]:
        statement = "INSERT OR REPLACE INTO members VALUES (?, ?, ?)"
        self._run(statement, name, member, time.time() + seconds)
        return self.members(name)

    def members(self, name: str) -> list[str]:
        statement = "SELECT member FROM members WHERE name = ? AND expires > ? ORDER BY expires"
        return [member.decode() for (member,) in self._run(statement, name, time.time())[0]]

    def remove(self, name: str, *members: str) -> None:
        marks = ", ".join("?" * len(members))
        statement = f"DELETE FROM members WHERE name = ? AND member IN ({marks})"  # noqa: S608
        self._run(statement, name, *members)

    @contextmanager
    def lock(self, name: str, *, lease: float, patience: float) -> Iterator[None]:
        owner, deadline = secrets.token_bytes(8), time.monotonic() + patience
        while self.get(name) is not None or not self.create(name, owner, lease):  # reading disturbs no writer
            if time.monotonic() > deadline:
                raise LockTimeout(f"{name} is locked")
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            try:
                self._run("DELETE FROM records WHERE name = ? AND value = ?", name, owner)
            except StoreError as error:  # it lapses, and what it was held for is done
                log.warning("a lock could not be released: %s", error)

    def _purge_sometimes(self, now: float) -> None:
        if next(self._creations) % PURGE_EVERY == 0:
            self._run(PURGE, now, PURGE_LIMIT)
            self._run(PURGE_MEMBERS, now, PURGE_LIMIT)

    def _run(self, statement: str, *values: Any, durable: bool = False) -> tuple[list[Any], int]:
        """The rows, and the number of rows changed.

        A power failure may undo the last writes that are not `durable`. To lose a sign-in does little harm,
        and waiting for the disk after each write makes a sign-in several times as slow. To lose a sign-out is
        different: the old cookie would open the session again.
        """
        try:
            while True:
                connection = self._connection()
                try:
                    if durable:
                        connection.sqlite.execute("PRAGMA synchronous = FULL")
                    cursor = connection.sqlite.execute(statement, values)
                    result = cursor.fetchall(), cursor.rowcount
                    if durable:
                        connection.sqlite.execute("PRAGMA synchronous = NORMAL")
                except BaseException as error:
                    connection.sqlite.close()
                    if isinstance(error, sqlite3.Error) and self._file.identity() != connection.file:
                        continue  # the file was deleted just now, and another connection will do
                    raise
                self._idle.append(connection)
                return result
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"SQLite: {error}") from error

    def _connection(self) -> Connection:
        file, process = self._file.identity(), os.getpid()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if connection.process != process:
                _of_other_processes.append(connection)
            elif connection.file == file:
                return connection
            else:
                connection.sqlite.close()

    def _connect(self) -> Connection:
        """Open the file that is there. Make it if there is none."""
        failure: Exception | None = None
        for _ in range(MOST_REPLACEMENTS):
            file = None
            try:
                with self._file.ready():
                    file = self._file.identity()
                    connection = self._open(file) if file else None
                    if connection:
                        return connection
            except (FileNotFoundError, FileExistsError) as error:  # the folder may have vanished again
                failure = error
            except sqlite3.Error:
                if _same_file(self._file.identity(), file):
                    raise
        raise failure or OSError(f"{self._file.path} keeps being replaced")

    def _open(self, file: Identity) -> Connection | None:
        """None if the file is deleted or replaced meanwhile."""
        uri = f"file:{quote(str(self._file.path.absolute()))}?mode=rw"  # which does not make a file
        sqlite = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            if _same_file(self._file.identity(), file):
                sqlite.execute("PRAGMA journal_mode = WAL")
                sqlite.execute("PRAGMA synchronous = NORMAL")
                for statement in SCHEMA:
                    sqlite.execute(statement)
                sqlite.text_factory = bytes  # what a damaged file holds can be read, and is refused later
                opened = self._file.identity()
                if opened and _same_file(opened, file):
                    return Connection(sqlite, opened, os.getpid())
        except BaseException:
            sqlite.close()
            raise
        sqlite.close()
        return None


_of_other_processes: list[
    Connection
] = []  # closing them here would end the locks of the process they belong to


def _same_file(one: Identity | None, other: Identity | None) -> bool:
    """Whether it is the same file. Its log is made when it is opened."""
    return one is not None and other is not None and one[:2] == other[:2]


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connection = connections.pop()
        if connection.process == os.getpid():
            connection.sqlite.close()
