"""A Redis primary that dies while people sign in and out: only what it had not replicated is lost."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import redis

from signin.sessions import Records, StoreError, open_store
from tests.helpers.waiting import wait_until
from tests.signin import redis_servers
from tests.signin.redis_servers import Server
from tests.signin.test_records import records_on, start

USERS = 4


class Load:
    """People who sign in, use their sessions and sign out, and what they were told about it."""

    def __init__(self, records: Records):
        self._records, self._over = records, threading.Event()
        self.signed_in: list[str] = []
        self.signed_out: list[str] = []
        self.failures = 0
        self.latest_success = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(USERS) as pool:
            users = [pool.submit(self._use) for _ in range(USERS)]
            try:
                yield
            finally:
                self._over.set()
            for user in users:
                user.result()

    def _use(self) -> None:
        while not self._over.wait(0.02):
            try:
                stays, leaves = start(self._records), start(self._records)
                self.signed_in.append(stays)
                self._records.sign_out([leaves])
                self.signed_out.append(leaves)
                if self._records.read(stays):
                    self.latest_success = time.monotonic()
            except StoreError:
                self.failures += 1


def replicate(primary: Server) -> None:
    """Wait until the replica has everything that the primary has acknowledged so far."""
    # WAIT is about what was written before its connection's latest command.
    with redis.Redis(port=primary.port, single_connection_client=True) as connection:
        connection.ping()
        assert connection.wait(1, 5000) == 1


def assert_nothing_replicated_is_lost(records: Records, primaries: list[Server], dying: Server) -> None:
    load = Load(records)
    with load.running():
        wait_until(lambda: len(load.signed_out) >= 100, "there is something to lose")
        signed_in, signed_out = list(load.signed_in), list(load.signed_out)
        for primary in primaries:
            replicate(primary)
        dying.stop(signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: load.failures, "somebody notices")
        wait_until(lambda: load.latest_success > killed + 2, "the load goes on", 30)
        wait_until(lambda: can_read(records, signed_in), "everything can be read again")

    assert [session_id for session_id in signed_in if not records.read(session_id)] == []
    assert [session_id for session_id in signed_out if records.read(session_id)] == []


def can_read(records: Records, session_ids: list[str]) -> bool:
    try:
        return all(records.read(session_id) for session_id in session_ids)
    except StoreError:
        return False


def test_a_cluster_that_loses_a_primary_under_load_loses_nothing_that_was_replicated(tmp_path: Path) -> None:
    with redis_servers.cluster(tmp_path) as cluster:
        primaries = [node for node in cluster if node.client.info("replication")["role"] == "master"]
        addresses = ",".join(f"127.0.0.1:{node.port}" for node in cluster[:3])
        records = records_on(open_store(f"redis+cluster://{addresses}", Path("not-used")))

        assert len(primaries) == 3
        assert_nothing_replicated_is_lost(records, primaries, primaries[1])


def test_sentinel_under_load_loses_nothing_that_was_replicated(tmp_path: Path) -> None:
    with redis_servers.sentinel(tmp_path) as (primary, replica, port):
        store = open_store(f"redis+sentinel://127.0.0.1:{port}/sessions/0", Path("not-used"))

        assert_nothing_replicated_is_lost(records_on(store), [primary], primary)
        assert replica.client.info("replication")["role"] == "master"
