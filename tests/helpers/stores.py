"""The session stores, as somebody with access to them sees them; and several instances of the app on one."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser
from tests.helpers.processes import Redis
from tests.helpers.tenant import Tenant


class StoreInspector(Protocol):
    """What the tests ask of either store."""

    settings: dict[str, str]
    clock_can_be_moved: bool

    def names(self) -> set[str]: ...
    def get(self, name: str) -> bytes: ...
    def put(self, name: str, value: bytes) -> None: ...
    def seconds_left(self, name: str) -> float: ...
    def expire(self, name: str, seconds: float) -> None: ...
    def fill(self, count: int, seconds: int) -> None: ...
    def raw(self) -> bytes: ...
    def no_writes(self) -> AbstractContextManager[None]: ...


class SqliteFile:
    """The embedded store, as somebody with the file in hands sees it."""

    clock_can_be_moved = True

    def __init__(self, folder: Path):
        self.file = folder / "sessions.sqlite3"
        self.settings = {"SESSION_DIR": str(folder)}

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file, timeout=5, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def names(self) -> set[str]:
        return {name for (name,) in self.run("SELECT name FROM records WHERE expires > ?", time.time())}

    def get(self, name: str) -> bytes:
        value: bytes = self.run("SELECT CAST(value AS BLOB) FROM records WHERE name = ?", name)[0][0]
        return value

    def put(self, name: str, value: bytes) -> None:
        self.run("UPDATE records SET value = CAST(? AS TEXT) WHERE name = ?", value, name)

    def seconds_left(self, name: str) -> float:
        expires: float = self.run("SELECT expires FROM records WHERE name = ?", name)[0][0]
        return expires - time.time()

    def expire(self, name: str, seconds: float) -> None:
        self.run("UPDATE records SET expires = ? WHERE name = ?", time.time() + seconds, name)

    def fill(self, count: int, seconds: int) -> None:
        """Add so many records that are of no use, and expire in so many seconds."""
        self.run(
            "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?)"
            " INSERT INTO records (name, value, expires) SELECT 'session:' || i, 'value', ? FROM numbers",
            count,
            time.time() + seconds,
        )

    def raw(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.file.parent.iterdir())

    @contextmanager
    def no_writes(self) -> Iterator[None]:
        """Fail if anything in the store changes while the block runs."""
        with closing(sqlite3.connect(self.file, isolation_level=None)) as watcher:
            before = watcher.execute("PRAGMA data_version").fetchone()
            yield
            assert watcher.execute("PRAGMA data_version").fetchone() == before


class RedisKeys:
    """The Redis store, as somebody with access to the Redis server sees it."""

    clock_can_be_moved = False  # Redis has a clock of its own

    def __init__(self, server: Redis):
        self.client = server.client
        self.settings = {"REDIS_URL": server.url}

    def names(self) -> set[str]:
        return {name.decode() for name in self.client.scan_iter("*", count=10_000, _type="STRING")}

    def get(self, name: str) -> bytes:
        value = self.client.get(name)
        assert isinstance(value, bytes)
        return value

    def put(self, name: str, value: bytes) -> None:
        self.client.set(name, value, keepttl=True, xx=True)

    def seconds_left(self, name: str) -> float:
        return self.client.pttl(name) / 1000

    def expire(self, name: str, seconds: float) -> None:
        self.client.pexpire(name, int(seconds * 1000))

    def fill(self, count: int, seconds: int) -> None:
        """Add so many records that are of no use, and expire in so many seconds."""
        with self.client.pipeline() as pipeline:
            for number in range(count):
                pipeline.set(f"session:{number}", "value", ex=seconds)
            pipeline.execute()

    def raw(self) -> bytes:
        return b"".join(name.encode() + self.get(name) for name in self.names())

    @contextmanager
    def no_writes(self) -> Iterator[None]:
        """Fail if anything in the store changes while the block runs."""
        before = self._changes()
        yield
        assert self._changes() == before

    def _changes(self) -> int:
        return int(self.client.info("persistence")["rdb_changes_since_last_save"])

    @contextmanager
    def full(self) -> Iterator[None]:
        """Refuse every write that needs memory."""
        self.client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            self.client.config_set("maxmemory", 0)


def session_records(store: StoreInspector) -> set[str]:
    """The names of all records but those that keep late requests from bringing an ended session back."""
    return {name for name in store.names() if not name.startswith("after:")}


class Instances:
    """Two instances of the app on one store, as on two machines behind a balancer."""

    def __init__(self, serve_app: ServeApp, store: StoreInspector, **settings: str):
        self.store, self._serve = store, serve_app
        self.first = serve_app(**store.settings, **settings)
        self._settings = store.settings | settings | {"REDIRECT_URI": self.first.environ["REDIRECT_URI"]}
        self.second = self.another()

    def another(self, **settings: str) -> RunningApp:
        """One more instance, with these settings on top of those that all have."""
        return self._serve(**self._settings | settings)


class User(Browser):
    """Somebody who has signed in. `records` are the names of their two records: session, tokens."""

    def __init__(self, instances: Instances, tenant: Tenant, **account: str):
        super().__init__(instances.first.url, tenant)
        before = session_records(instances.store)
        self.sign_in(**account)
        self.records = sorted(session_records(instances.store) - before)


def visit(app: RunningApp, browser: Browser, path: str, method: str = "get") -> requests.Response:
    """A page as a balancer in front of all instances gets it from this one; no redirect is followed."""
    path = path.removeprefix(browser.app_url)
    host = browser.app_url.removeprefix("http://")
    send = browser.post if method == "post" else browser.get
    return send(app.url + path, follow=False, Host=host)


def home_with(app: RunningApp, session_id: str | None) -> requests.Response:
    """The home page, as this instance shows it to anybody who sends this session id."""
    host = urlsplit(app.environ["REDIRECT_URI"]).netloc
    headers = {"Host": host, "Cookie": f"signin_session={session_id}", "Accept": "text/html"}
    return requests.get(app.url, headers=headers, allow_redirects=False, timeout=10)
