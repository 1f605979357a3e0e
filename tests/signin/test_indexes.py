"""Finding and ending all sessions of a user, on each store."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signin.sessions import Records, Seal, SessionEnded, Store, StoreError, open_store
from tests.helpers.waiting import wait_until
from tests.signin import redis_servers
from tests.signin.interleavings import Choose, every_order, run, some_orders
from tests.signin.test_records import ABSOLUTE, IDLE, SEAL, at, data_of, new_id, records_on

ADA, BOB = "user ada", "user bob"


@pytest.fixture
def records(store: Store) -> Records:
    return records_on(store)


@pytest.fixture
def ada() -> str:
    """An index that no other test uses."""
    return f"user {new_id()}"


def start(
    records: Records,
    index: str,
    presented: str | None = None,
    began: float | None = None,
    began_in: dict[str, bool] | None = None,
) -> str:
    ids = [presented] if presented else []
    began_in = records.latest(ids) if began_in is None else began_in
    return records.start(data_of(), "tokens", presented=ids, began_in=began_in, indexes=[index], began=began)


def found(records: Records, index: str) -> int:
    return len(records.find(index))


def test_an_index_finds_the_sessions_that_were_started_with_it(records: Records, ada: str) -> None:
    start(records, ada)
    start(records, ada)
    start(records, f"{ada} of another kind")

    assert found(records, ada) == 2


def test_a_session_can_have_several_indexes(records: Records, ada: str) -> None:
    session_id = records.start(data_of(), "tokens", indexes=[ada, f"sid {ada}"])
    records.sign_out_all(f"sid {ada}")

    assert records.read(session_id) is None
    assert found(records, ada) == 0


def test_what_is_found_says_when_the_session_was_last_used(records: Records, ada: str) -> None:
    began = time.time()
    session_id = start(records, ada)
    with at(began + IDLE / 2):
        records.read(session_id)

    [session] = records.find(ada)
    assert session.data["account_id"] == "ada"
    assert began + IDLE / 2 - 1 <= session.last_used <= began + IDLE / 2 + 5


def test_sessions_that_have_ended_are_not_found(records: Records, ada: str) -> None:
    signed_out, replaced = start(records, ada), start(records, ada)
    records.sign_out([signed_out])
    start(records, ada, presented=replaced)

    assert found(records, ada) == 1
    with at(time.time() + ABSOLUTE + 10):
        assert found(records, ada) == 0


def test_signing_out_everywhere_ends_every_session_and_no_other_users(records: Records, ada: str) -> None:
    sessions, bobs = [start(records, ada) for _ in range(3)], start(records, f"{ada} is not bob")
    records.sign_out_all(ada)

    assert [records.read(session_id) for session_id in sessions] == [None] * 3
    assert [records.tokens(session_id) for session_id in sessions] == [""] * 3
    assert records.read(bobs)


def test_one_session_can_be_kept(records: Records, ada: str) -> None:
    kept, other = start(records, ada), start(records, ada)
    records.sign_out_all(ada, keep=kept)

    assert records.read(kept)
    assert records.read(other) is None


def test_what_has_taken_the_place_of_a_session_is_kept(records: Records, ada: str) -> None:
    replaced = start(records, ada)
    newest = start(records, ada, presented=start(records, ada, presented=replaced))
    records.sign_out_all(ada, keep=replaced)

    assert records.read(newest)


def test_an_index_holds_one_mark_however_often_its_sessions_are_ended(store: Store, ada: str) -> None:
    records = records_on(store)
    began = records.now()
    for _ in range(3):
        records.sign_out_all(ada)

    [name] = [f"index:{{{digest}}}" for digest in SEAL.digests(ada)]
    assert len(store.members(name)) == 1
    with pytest.raises(SessionEnded):
        start(records, ada, began=began)


def test_one_session_can_be_ended_by_its_handle(records: Records, ada: str) -> None:
    first = start(records, ada)
    [session] = records.find(ada)
    second = start(records, ada)

    assert records.sign_out_one(ada, session.handle)
    assert records.read(first) is None
    assert records.read(second)
    assert not records.sign_out_one(ada, session.handle)


def test_a_handle_of_another_index_ends_nothing(records: Records, ada: str) -> None:
    session_id = start(records, ada)
    [session] = records.find(ada)

    assert not records.sign_out_one(f"{ada} is not bob", session.handle)
    assert records.read(session_id)


def test_a_sign_in_that_began_before_a_sign_out_everywhere_is_refused(records: Records, ada: str) -> None:
    before = records.now()
    records.sign_out_all(ada)

    with pytest.raises(SessionEnded):
        start(records, ada, began=before)
    assert records.read(start(records, ada))


def test_a_new_key_finds_what_was_started_under_the_former_one(store: Store, ada: str) -> None:
    before = Records(store, Seal(["former key"]), idle=IDLE, absolute=ABSOLUTE)
    after = Records(store, Seal(["new key", "former key"]), idle=IDLE, absolute=ABSOLUTE)
    sessions = [start(before, ada), start(after, ada)]

    assert found(after, ada) == 2
    after.sign_out_all(ada)
    assert [after.read(session_id) for session_id in sessions] == [None, None]


def test_an_ordinary_read_of_a_session_is_one_call_to_the_store(store: Store, ada: str) -> None:
    session_id = start(records_on(store), ada)
    calls = []

    class Counting:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            calls.append(name)
            method: Callable[..., Any] = getattr(store, name)
            return method

    records = records_on(Counting())
    records.read(session_id)  # this process has not seen it before, so it extends it
    calls.clear()
    assert records.read(session_id)

    assert calls == ["get"]


def test_the_store_tells_neither_the_user_nor_the_session_id(tmp_path: Path) -> None:
    records = records_on(open_store(None, tmp_path))
    session_id = start(records, ADA)

    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"index:" in raw
    assert ADA.encode() not in raw
    assert session_id.encode() not in raw


# --- Races --------------------------------------------------------------------------------------------------


def sign_in(records: Records, index: str, presented: str | None) -> Callable[[Store], str]:
    """A sign-in that has begun, in a browser that presents this id."""
    began, began_in = records.now(), records.latest([presented] if presented else [])
    return lambda store: start(records_on(store), index, presented, began, began_in)


def sign_out_everywhere(index: str) -> Callable[[Store], None]:
    return lambda store: records_on(store).sign_out_all(index)


@pytest.mark.parametrize(
    ("presented", "orders"), [("nothing", every_order), ("a session", lambda: some_orders(120))]
)
def test_no_order_of_a_sign_in_and_a_sign_out_everywhere_leaves_a_session(
    store: Store, presented: str, orders: Callable[[], Iterator[Choose]]
) -> None:
    records = records_on(store)
    for choose in orders():
        index = f"user {new_id()}"
        session_id = start(records, index) if presented == "a session" else None
        actors = [sign_in(records, index, session_id), sign_out_everywhere(index)]
        signed_in, signed_out = run(store, actors, choose)

        assert signed_out is None
        assert isinstance(signed_in, SessionEnded) or records.read(signed_in) is None
        assert found(records, index) == 0


def test_no_order_of_two_sign_ins_and_a_sign_out_everywhere_leaves_a_session(store: Store) -> None:
    records = records_on(store)
    for choose in some_orders(70):
        index = f"user {new_id()}"
        session_id = start(records, index)
        actors = [
            sign_in(records, index, session_id),
            sign_in(records, index, None),
            sign_out_everywhere(index),
        ]
        *signed_in, signed_out = run(store, actors, choose)

        assert signed_out is None
        for result in signed_in:
            assert isinstance(result, SessionEnded) or records.read(result) is None


def test_no_order_brings_back_a_session_that_is_written_to(store: Store) -> None:
    records = records_on(store)
    for choose in every_order():
        index = f"user {new_id()}"
        session_id = start(records, index)

        def write(store: Store, session_id: str = session_id) -> bool:
            return records_on(store).replace(session_id, data_of())

        run(store, [write, sign_out_everywhere(index)], choose)
        assert records.read(session_id) is None


# --- Failures -----------------------------------------------------------------------------------------------


def test_a_sign_out_everywhere_that_fails_can_be_made_again(store: Store, ada: str) -> None:
    sessions = [start(records_on(store), ada) for _ in range(3)]

    class FailsOnce:
        failed = False

        def __getattr__(self, name: str) -> Callable[..., Any]:
            if name == "delete" and not self.failed:
                self.failed = True
                return self.fail
            method: Callable[..., Any] = getattr(store, name)
            return method

        def fail(self, *names: str) -> int:
            raise StoreError("no")

    failing = records_on(FailsOnce())
    with pytest.raises(StoreError):
        failing.sign_out_all(ada)
    assert found(records_on(store), ada) == 3

    failing.sign_out_all(ada)
    assert [records_on(store).read(session_id) for session_id in sessions] == [None] * 3


# --- Sets of a store ----------------------------------------------------------------------------------------


def test_a_member_is_there_once_and_can_be_removed(store: Store) -> None:
    name = f"x:{{{new_id()}}}"
    store.add(name, "one", 60)
    store.add(name, "one", 60)
    store.add(name, "two", 60)
    assert sorted(store.members(name)) == ["one", "two"]

    store.remove(name, "one", "never there")
    assert store.members(name) == ["two"]


def test_a_member_that_lives_shorter_does_not_shorten_the_life_of_the_set(store: Store) -> None:
    name, now = f"x:{{{new_id()}}}", time.time()
    store.add(name, "long", 600)
    store.add(name, "short", 10)

    assert sorted(store.members(name)) == ["long", "short"]
    with at(now + 100):
        assert store.members(name) == ["long"]
    with at(now + 1000):
        assert store.members(name) == []


@pytest.fixture(scope="module")
def cluster_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with redis_servers.cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield open_store(f"redis+cluster://127.0.0.1:{servers[0].port}", Path("not-used"))


def test_signing_out_everywhere_works_across_the_slots_of_a_cluster(cluster_store: Store, ada: str) -> None:
    records = records_on(cluster_store)
    sessions = [start(records, ada) for _ in range(8)]
    assert found(records, ada) == 8

    records.sign_out_all(ada)
    assert [records.read(session_id) for session_id in sessions] == [None] * 8


def test_what_stands_for_an_index_depends_on_index_and_key() -> None:
    assert SEAL.digests(ADA) != SEAL.digests(BOB)
    assert SEAL.digests(ADA) != Seal(["another key"]).digests(ADA)


# --- Clocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [-120, 120])  # seconds
def test_machines_with_different_clocks_agree_whether_a_sign_in_began_before_a_sign_out_everywhere(
    redis_url: str, ada: str, ahead: int
) -> None:
    one, other = (records_on(open_store(redis_url, Path("not-used"))) for _ in range(2))
    with at(time.time() + ahead):
        before = one.now() - 1
    other.sign_out_all(ada)
    with pytest.raises(SessionEnded):
        start(other, ada, began=before)
    with at(time.time() + ahead):
        one.sign_out_all(ada)
        signed_out = one.now()
    # Each works out the server's clock by itself, and on a busy machine not to the same millisecond.
    wait_until(lambda: other.now() > signed_out, "it is later for the other one too")

    assert other.read(start(other, ada, began=other.now()))


def test_a_clock_that_is_set_back_after_a_sign_out_everywhere_delays_the_user_by_one_sign_in(
    tmp_path: Path,
) -> None:
    records = records_on(open_store(None, tmp_path))
    with at(time.time() + 120):
        records.sign_out_all(ADA)
    with pytest.raises(SessionEnded):
        start(records, ADA, began=records.now())

    assert records.read(start(records, ADA, began=records.now()))


def test_a_sign_in_that_began_before_the_clock_was_set_back_is_refused_after_a_sign_out_everywhere(
    tmp_path: Path,
) -> None:
    records = records_on(open_store(None, tmp_path))
    with at(time.time() + 120):
        began = records.now()
    records.sign_out_all(ADA)

    with pytest.raises(SessionEnded):
        start(records, ADA, began=began)


# --- Many sessions ------------------------------------------------------------------------------------------


def test_the_oldest_session_ends_when_a_user_has_too_many(records: Records, ada: str) -> None:
    sessions = [start(records, ada) for _ in range(51)]

    assert found(records, ada) == 50
    assert records.read(sessions[0]) is None
    assert all(records.read(session_id) for session_id in sessions[1:])


def test_sessions_that_have_ended_or_are_replaced_push_none_out(records: Records, ada: str) -> None:
    oldest, newest = start(records, ada), start(records, ada)
    for _ in range(60):
        newest = start(records, ada, presented=newest)
    for _ in range(48):
        start(records, ada)
    newest = start(records, ada, presented=newest)

    assert records.read(oldest)
    assert records.read(newest)
    assert found(records, ada) == 50


def test_a_sign_out_everywhere_is_a_few_calls_to_the_store(store: Store, ada: str) -> None:
    sessions = [start(records_on(store), ada) for _ in range(50)]
    calls = []

    class Counting:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            calls.append(name)
            method: Callable[..., Any] = getattr(store, name)
            return method

    records_on(Counting()).sign_out_all(ada)

    assert sorted(calls) == ["add", "delete", "members", "now", "remove"]
    assert not any(records_on(store).read(session_id) for session_id in sessions)
