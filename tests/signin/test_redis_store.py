"""Redis as it fails: connections that break, servers that hang, are full or fail over; and its URLs."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from signin.sessions import Records, SessionEnded, Store, StoreError, StoreUnusable, open_store
from tests.helpers.processes import free_port
from tests.helpers.waiting import wait_until
from tests.signin import redis_servers
from tests.signin.redis_servers import Proxy, Server
from tests.signin.test_records import SEAL, new_id, records_on, start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_servers.server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with redis_servers.cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def store_at(url: str) -> Store:
    return open_store(url, Path("not-used"))


def name() -> str:
    return f"x:{{{new_id()}}}"


# --- Connections ------------------------------------------------------------------------------------------


def test_a_connection_that_the_server_has_closed_costs_nobody_an_error(server: Server) -> None:
    store, record = store_at(server.url), name()
    calls: list[Callable[[], object]] = [
        lambda: store.create(record, b"value", 60),
        lambda: store.get(record) == b"value",
        lambda: store.replace(record, b"other", 60),
        lambda: store.lock(name(), lease=5, patience=1).__enter__() is None,
        lambda: store.delete(record) == 1,
    ]
    for call in calls:
        store.get(record)
        assert server.client.client_kill_filter(_type="normal", skipme=True)
        assert call()


def test_a_connection_that_a_nat_has_forgotten_costs_a_second_and_no_error(proxy: Proxy) -> None:
    store, record = store_at(proxy.url), name()
    assert store.create(record, b"value", 60)
    proxy.swallow()
    began = time.monotonic()

    assert store.get(record) == b"value"
    assert time.monotonic() - began < 1.5


def test_a_record_whose_answer_was_lost_is_still_its_makers(proxy: Proxy) -> None:
    store, record = store_at(proxy.url), name()
    store.get(record)
    proxy.lose_next_answer_to = b"SET"

    assert store.create(record, b"value", 60)
    assert proxy.lose_next_answer_to is None
    assert not store.create(record, b"other", 60)


def test_a_lock_whose_answer_was_lost_is_held_at_once(proxy: Proxy) -> None:
    store = store_at(proxy.url)
    store.get(name())
    proxy.lose_next_answer_to = b"SET"
    began = time.monotonic()

    with store.lock(name(), lease=20, patience=5):
        assert time.monotonic() - began < 1
    assert proxy.lose_next_answer_to is None


def test_a_server_that_hangs_is_a_store_error_soon(tmp_path: Path) -> None:
    with redis_servers.server(tmp_path) as hanging:
        store = store_at(hanging.url)
        records = records_on(store)
        session_id = start(records)
        hanging.send(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(StoreError):
            records.read(session_id)
        read = time.monotonic()
        with pytest.raises(StoreError):
            records.sign_out([session_id])
        signed_out = time.monotonic()
        hanging.send(signal.SIGCONT)

        assert read - began < 2.5
        assert signed_out - read < 2.5
        wait_until(lambda: can_start(records), "the store answers again")


def test_without_a_server_the_store_can_be_made_and_every_call_is_a_store_error(tmp_path: Path) -> None:
    port = free_port()
    for scheme, path in (("redis", ""), ("redis+cluster", ""), ("redis+sentinel", "/sessions")):
        store = store_at(f"{scheme}://127.0.0.1:{port}{path}")
        with pytest.raises(StoreError):
            store.get(name())
        with pytest.raises(StoreError), store.lock(name(), lease=5, patience=1):
            pass


def test_a_sign_out_works_on_a_server_that_is_full(tmp_path: Path) -> None:
    with redis_servers.server(tmp_path, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction") as full:
        records = records_on(store_at(full.url))
        session_id = start(records)
        full.client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreError):
            start(records)
        records.sign_out([session_id])

        assert records.read(session_id) is None


# --- A cluster --------------------------------------------------------------------------------------------


def cluster_url(cluster: list[Server]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in cluster[:2])


def test_a_cluster_keeps_sessions(cluster: list[Server]) -> None:
    store = store_at(cluster_url(cluster))
    records = records_on(store)
    sessions = [start(records) for _ in range(20)]
    newer = start(records, presented=sessions[0])

    assert all(records.read(session_id) for session_id in (*sessions[1:], newer))
    assert records.replace_tokens(newer, {"started": int(time.time())}, "newer")
    with records.lock_tokens(newer, patience=1):
        assert records.tokens(newer) == "newer"
    began_in = records.latest([newer])
    records.sign_out(sessions[:2])
    assert not any(records.read(session_id) for session_id in (*sessions[:2], newer))
    with pytest.raises(SessionEnded):
        start(records, presented=sessions[0], began_in=began_in)
    records.check()


def test_all_records_of_a_session_are_in_one_slot(cluster: list[Server]) -> None:
    records = records_on(store_at(cluster_url(cluster)))
    for node in cluster:
        with suppress(Exception):  # a replica refuses
            node.client.flushall()
    session_id = start(records)
    start(records, presented=session_id)
    names = {key for node in cluster for key in node.client.scan_iter()}
    slots = {node_slot(cluster, key) for key in names}

    assert {key.partition(b":")[0] for key in names} == {b"after", b"session", b"tokens", b"used"}
    assert len(slots) == 2  # one for each session


def node_slot(cluster: list[Server], key: bytes) -> int:
    return int(cluster[0].client.cluster("keyslot", key))


def test_a_cluster_that_loses_a_primary_goes_on_with_its_replica(cluster: list[Server]) -> None:
    records = records_on(store_at(cluster_url(cluster)))
    sessions = [start(records) for _ in range(20)]
    for node in cluster:
        if node.client.info("replication")["role"] == "master":
            node.client.wait(1, 2000)
    lost = cluster[2]
    lost.send(signal.SIGSTOP)
    try:
        wait_until(lambda: can_read(records, sessions), "a replica has taken over", 20)
        assert start(records)
    finally:
        lost.send(signal.SIGCONT)


def can_start(records: Records) -> bool:
    try:
        return bool(start(records))
    except StoreError:
        return False


def can_read(records: Records, sessions: list[str]) -> bool:
    try:
        return all(records.read(session_id) for session_id in sessions)
    except StoreError:
        return False


# --- Sentinel ---------------------------------------------------------------------------------------------


def test_sentinel_leads_to_the_new_primary_when_the_old_one_fails(tmp_path: Path) -> None:
    with redis_servers.sentinel(tmp_path) as (primary, replica, port):
        records = records_on(store_at(f"redis+sentinel://127.0.0.1:{port},127.0.0.1:1/sessions/0"))
        session_id = start(records)
        primary.client.wait(1, 2000)
        primary.stop(signal.SIGKILL)
        wait_until(lambda: can_read(records, [session_id]), "Sentinel has failed over", 60)

        assert replica.client.info("replication")["role"] == "master"
        assert start(records, presented=session_id)


# --- The setting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://localhost:port",
        "redis://:secret/word@localhost",
        "redis://localhost/name",
        "redis://localhost?sockettimeout=3",
        "redis://localhost?socket_timeout=soon",
        "redis://localhost?decode_responses=True",
        "unix:///tmp/redis.sock?unknown=1",
        "unix+cluster:///tmp/redis.sock",
        "redis+cluster://localhost:7000?unknown=1",
        "redis+cluster://localhost:7000/1",
        "redis+cluster://localhost:x",
        "redis+cluster://",
        "redis+sentinel://localhost",
        "redis+sentinel://localhost/sessions/x",
        "redis+sentinel://localhost/sessions?unknown=1",
        "redis+other://localhost",
    ],
)
def test_a_url_that_cannot_work_is_refused_at_the_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable) as refused:
        open_store(url, tmp_path)

    assert refused.value.setting == "REDIS_URL"
    assert str(refused.value).startswith("REDIS_URL cannot be used: ")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:pass%2Fword@localhost:6379/2?socket_timeout=3",
        "rediss://localhost?ssl_check_hostname=False",
        "unix:///tmp/redis.sock?db=1",
        "redis+cluster://:password@a:7000,[::1]:7001/0",
        "rediss+cluster://localhost:10000?ssl_check_hostname=False",
        "redis+sentinel://user:password@a,b:26380/sessions",
        "rediss+sentinel://a/sessions/1?sentinel_password=x",
    ],
)
def test_each_form_of_url_is_accepted(url: str, tmp_path: Path) -> None:
    assert open_store(url, tmp_path)


def test_a_sealed_record_fits_into_one_answer_of_any_size(server: Server) -> None:
    records = Records(store_at(server.url), SEAL, idle=60, absolute=60)
    session_id = records.start({"started": int(time.time())}, "t" * 1_000_000)

    assert len(records.tokens(session_id)) == 1_000_000
