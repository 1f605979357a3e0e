"""The store in Redis, for many machines: one server, a cluster, or servers that Sentinel watches."""

import logging
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.cluster import RedisCluster
from redis.exceptions import LockError, RedisClusterException
from redis.lock import Lock

from .redis_url import Client
from .store import LockTimeout, StoreError

log = logging.getLogger(__name__)

REDIS_ERRORS = (redis.RedisError, RedisClusterException)
# In one call: write several values.
CREATE_ALL = """
for number, name in ipairs(KEYS) do
    redis.call('SET', name, ARGV[number + 1], 'EX', ARGV[1])
end
"""
# In one call: drop what has expired, add the member, let the set live as long as its last member, and return
# the members.
ADD_MEMBER = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('EXPIREAT', KEYS[1], math.ceil(last[2]))
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
# A script, because it runs on the server that has the name: a cluster has one clock for each server.
TIME = "return redis.call('TIME')"
TIME_LASTS = 30  # seconds until the server is asked again; by then two clocks differ by about a millisecond
# Commands for names in several slots of a cluster, which needs a command for each slot.
ACROSS_SLOTS: dict[str, Callable[..., Any]] = {
    "DEL": RedisCluster.delete,
    "MGET": RedisCluster.mget_nonatomic,
}
CONNECT_SECONDS = 1  # how long to wait for another thread that is connecting to a cluster


class RedisStore:
    """A Store on the client that `connect` returns. A cluster's client connects at once, so it is made when
    needed.

    Every call may be sent twice, because the client tries once more on a new connection when one breaks. That
    is safe for all of them: `create` and the lock recognize a value that their first try has written.
    """

    def __init__(self, connect: Callable[[], Client]):
        self._connect = connect
        self._client: Client | None = None
        self._idle: dict[int, list[Client]] = defaultdict(list)  # by process: none crosses a fork
        self._connecting = threading.Lock()
        self._time = -math.inf, 0.0  # when the server was asked, by the monotonic clock, and its answer

    def now(self) -> float:
        asked, answer = self._time
        if not 0 <= time.monotonic() - asked < TIME_LASTS:
            sent = time.monotonic()
            seconds, microseconds = self._run("EVAL", TIME, 1, "clock")
            answered = time.monotonic()
            asked, answer = self._time = (sent + answered) / 2, int(seconds) + int(microseconds) / 1e6
        return answer + time.monotonic() - asked

    def get(self, name: str) -> bytes | None:
        value: bytes | None = self._run("GET", name)
        return value

    def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        values = self._run("MGET", *names) if names else []
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    def create(self, name: str, value: bytes, seconds: int) -> bool:
        return bool(self._run("SET", name, value, "EX", seconds, "NX")) or self.get(name) == value

    def create_all(self, values: Mapping[str, bytes], seconds: int) -> None:
        self._run("EVAL", CREATE_ALL, len(values), *values, seconds, *values.values())

    def replace(self, name: str, value: bytes, seconds: int) -> bool:
        return bool(self._run("SET", name, value, "EX", seconds, "XX"))

    def extend(self, names: tuple[str, ...], seconds: int) -> None:
        for name in names:
            self._run("EXPIRE", name, seconds)

    def delete(self, *names: str) -> int:
        return int(self._run("DEL", *names))

    def add(self, name: str, member: str, seconds: int) -> list[str]:
        now = time.time()
        found = self._run("EVAL", ADD_MEMBER, 1, name, str(now), str(now + seconds), member)
        return [member.decode() for member in found]

    def members(self, name: str) -> list[str]:
        found = self._run("ZRANGEBYSCORE", name, f"({time.time()}", "+inf")
        return [member.decode() for member in found]

    def remove(self, name: str, *members: str) -> None:
        self._run("ZREM", name, *members)

    @contextmanager
    def lock(self, name: str, *, lease: float, patience: float) -> Iterator[None]:
        try:
            lock = _Lock(self._ready_client(), name, timeout=lease, blocking_timeout=patience)
            acquired = lock.acquire()
        except REDIS_ERRORS as error:
            raise StoreError(f"Redis: {error}") from error
        if not acquired:
            raise LockTimeout(f"{name} is locked")
        try:
            yield
        finally:
            try:
                lock.release()
            except LockError:  # it has lapsed
                pass
            except REDIS_ERRORS as error:  # it will lapse, and what it was held for is done
                log.warning("a lock could not be released: %s", error)

    def _run(self, command: str, *arguments: str | bytes | int) -> Any:
        """Run one command on a connection that no other thread uses meanwhile.

        Redis-py's pool hands a connection out and takes it back for each command, which costs a third of a
        read. After a failure the connection goes back to that pool, which checks it before the next use.
        """
        idle = self._idle[os.getpid()]
        try:
            try:
                client = idle.pop()
            except IndexError:
                client = self._new_client()
            across_slots = ACROSS_SLOTS.get(command) if isinstance(client, RedisCluster) else None
            if across_slots and len({_slot_tag(name) for name in arguments}) > 1:
                answer = across_slots(client, *arguments)
            else:
                answer = client.execute_command(command, *arguments)  # type: ignore[no-untyped-call]
        except REDIS_ERRORS as error:
            raise StoreError(f"Redis: {error}") from error
        idle.append(client)
        return answer

    def _new_client(self) -> Client:
        client = self._ready_client()
        if isinstance(client, RedisCluster):  # it has connections to many servers
            return client
        return redis.Redis(connection_pool=client.connection_pool, single_connection_client=True)

    def _ready_client(self) -> Client:
        if self._client is None:
            if not self._connecting.acquire(timeout=CONNECT_SECONDS):
                raise StoreError("Redis: another thread is still connecting")
            try:
                self._client = self._client or self._connect()
            finally:
                self._connecting.release()
        return self._client


def _slot_tag(name: str | bytes | int) -> str:
    """The text in braces: names that have the same are in one slot."""
    return str(name).partition("{")[2].partition("}")[0]


class _Lock(Lock):
    def do_acquire(self, token: str) -> bool:
        return super().do_acquire(token) or self.redis.get(self.name) == token
