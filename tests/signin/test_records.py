"""What a session record promises, on each store."""

import base64
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from signin.sessions import LockTimeout, Records, Seal, SessionEnded, Store, StoreError
from tests.signin.interleavings import every_order, run, some_orders

IDLE, ABSOLUTE = 600, 3600  # seconds
SEAL = Seal(["a key of forty characters, or even more than that"])


def records_on(store: Store) -> Records:
    return Records(store, SEAL, idle=IDLE, absolute=ABSOLUTE)


@pytest.fixture
def records(store: Store) -> Records:
    return records_on(store)


def new_id() -> str:
    return secrets.token_urlsafe(32)


def data_of(account: str = "ada") -> dict[str, Any]:
    return {"account_id": account, "started": int(time.time())}


def start(
    records: Records,
    presented: str | None = None,
    account: str = "ada",
    began_in: dict[str, bool] | None = None,
) -> str:
    """A sign-in of a browser that presents this id. Without `began_in`, it begins now."""
    ids = [presented] if presented else []
    began_in = records.latest(ids) if began_in is None else began_in
    return records.start(data_of(account), "tokens", presented=ids, began_in=began_in)


def test_a_session_can_be_read_with_its_id(records: Records) -> None:
    data = data_of()
    session_id = records.start(data, "tokens")

    assert len(session_id) == 43
    assert (records.read(session_id), records.tokens(session_id)) == (data, "tokens")


@pytest.mark.parametrize("session_id", ["", "x", "A" * 43, "A" * 4000, "\ud7ff" * 43, "\udc80" * 43, "a b"])
def test_an_id_that_was_never_given_out_is_no_session(records: Records, session_id: str) -> None:
    assert records.read(session_id) is None


def test_data_and_tokens_can_be_replaced(records: Records) -> None:
    session_id = start(records)
    changed = data_of() | {"name": "Ada King"}

    assert records.replace(session_id, changed)
    assert records.replace_tokens(session_id, changed, "newer tokens")
    assert (records.read(session_id), records.tokens(session_id)) == (changed, "newer tokens")


def test_nothing_that_is_written_after_a_sign_out_brings_the_session_back(records: Records) -> None:
    session_id = start(records)
    records.sign_out([session_id])

    assert not records.replace(session_id, data_of())
    assert not records.replace_tokens(session_id, data_of(), "tokens")
    assert (records.read(session_id), records.tokens(session_id)) == (None, "")


def test_a_sign_in_replaces_the_presented_session(records: Records) -> None:
    before = start(records)
    after = start(records, presented=before)

    assert after != before
    assert records.read(before) is None
    assert records.tokens(before) == ""
    assert records.read(after)


def test_the_check_passes(records: Records) -> None:
    records.check()


def test_the_check_fails_on_a_store_that_loses_what_is_written(store: Store) -> None:
    class Forgetful:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            return (lambda name: None) if name == "get" else getattr(store, name)

    with pytest.raises(StoreError):
        records_on(Forgetful()).check()


# --- Who has signed out stays out ---------------------------------------------------------------------------


def test_a_sign_in_that_was_under_way_at_sign_out_is_refused(records: Records) -> None:
    session_id = start(records)
    began_in = records.latest([session_id])
    records.sign_out([session_id])

    for presented in (session_id, None):
        with pytest.raises(SessionEnded):
            start(records, presented=presented, began_in=began_in)


def test_a_sign_in_is_refused_if_a_session_that_is_newer_has_ended(records: Records) -> None:
    """The sign-in began in a browser without a session. Another tab has signed in and out since."""
    session_id = start(records)
    records.sign_out([session_id])

    with pytest.raises(SessionEnded):
        start(records, presented=session_id, began_in={})


def test_a_sign_in_follows_each_presented_id(records: Records) -> None:
    first, second = start(records), start(records)
    began_in = records.latest([first, second])
    records.sign_out([second])
    with pytest.raises(SessionEnded):
        records.start(data_of(), "tokens", presented=[first, second], began_in=began_in)
    began_in = records.latest([second, first])
    session_id = records.start(data_of(), "tokens", presented=[second, first], began_in=began_in)
    records.sign_out([second])

    assert records.read(first) is None
    assert records.read(session_id) is None


def test_a_sign_in_that_presents_many_ids_is_refused(records: Records) -> None:
    ids = [new_id() for _ in range(5)]

    with pytest.raises(SessionEnded):
        records.start(data_of(), "tokens", presented=ids, began_in=records.latest(ids))


def test_a_sign_in_that_began_after_the_sign_out_is_a_new_one(records: Records) -> None:
    ended = start(records)
    records.sign_out([ended])
    session_id = start(records, presented=ended)

    assert records.read(session_id)
    assert records.read(ended) is None


def test_a_second_sign_out_of_an_old_id_ends_what_has_followed_the_first(records: Records) -> None:
    ended = start(records)
    records.sign_out([ended])
    session_id = start(records, presented=ended)
    began_in = records.latest([ended])
    records.sign_out([ended])

    assert records.read(session_id) is None
    with pytest.raises(SessionEnded):
        start(records, presented=ended, began_in=began_in)
    assert records.read(start(records, presented=ended))


def test_a_sign_out_half_an_hour_ago_still_counts(records: Records) -> None:
    session_id = start(records)
    began_in = records.latest([session_id])
    records.sign_out([session_id])

    with at(time.time() + 30 * 60), pytest.raises(SessionEnded):
        start(records, presented=session_id, began_in=began_in)


def test_two_tabs_that_sign_in_after_a_sign_out_share_the_session(records: Records) -> None:
    ended = start(records)
    records.sign_out([ended])

    assert start(records, presented=ended) == start(records, presented=ended)


def test_a_sign_out_writes_nothing(store: Store) -> None:
    session_id = start(records_on(store))

    class Full:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            assert name in ("delete", "get_many")
            method: Callable[..., Any] = getattr(store, name)
            return method

    assert records_on(Full()).sign_out([session_id, new_id()])
    assert records_on(store).read(session_id) is None


def test_a_sign_out_ends_every_session_that_has_followed(records: Records) -> None:
    chain = [start(records)]
    for _ in range(3):
        chain.append(start(records, presented=chain[-1]))
    began_in = records.latest(chain[-1:])
    records.sign_out([chain[0]])

    assert [records.read(session_id) for session_id in chain] == [None] * 4
    for session_id in chain:
        with pytest.raises(SessionEnded):
            start(records, presented=session_id, began_in=began_in)


def test_a_sign_in_with_an_id_of_which_nothing_is_left_is_a_strangers(records: Records) -> None:
    presented = new_id()
    session_id = start(records, presented=presented)

    assert session_id != presented
    assert records.read(session_id)


def test_two_tabs_that_replace_one_session_share_the_new_one(records: Records) -> None:
    before = start(records)
    first, second = start(records, presented=before), start(records, presented=before)

    assert first == second
    assert records.read(first)


def test_a_late_tab_gets_the_newest_session_of_the_chain(records: Records) -> None:
    before = start(records)
    newest = start(records, presented=start(records, presented=before))

    assert start(records, presented=before) == newest


def test_a_session_that_another_account_has_replaced_is_not_shared(records: Records) -> None:
    before = start(records)
    bobs = start(records, presented=before, account="bob")

    with pytest.raises(SessionEnded):
        start(records, presented=before)
    assert records.read(bobs)


def test_a_sign_out_of_several_ids_ignores_malformed_ones(records: Records) -> None:
    sessions = [start(records) for _ in range(6)]

    assert records.sign_out(["", "x" * 4000, sessions[0], sessions[0], "\udc80" * 43, *sessions[1:]])
    assert not any(records.read(session_id) for session_id in sessions)


def test_a_sign_out_says_when_there_are_more_ids_than_it_looks_at(records: Records) -> None:
    session_id = start(records)

    assert not records.sign_out([*(new_id() for _ in range(16)), session_id])
    assert records.sign_out([*(new_id() for _ in range(15)), session_id])
    assert records.read(session_id) is None


def test_a_sign_out_tries_every_part_although_one_fails(store: Store) -> None:
    records = records_on(store)
    before = start(records)
    after = start(records, presented=before)

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

    with pytest.raises(StoreError):
        records_on(FailsOnce()).sign_out([before])
    assert records.read(after) is None


def sign_in_with(records: Records, presented: str) -> Callable[[Store], str]:
    """A sign-in that has begun, in a browser that presents this id."""
    began_in = records.latest([presented])
    return lambda store: start(records_on(store), presented=presented, began_in=began_in)


def sign_out_of(presented: str) -> Callable[[Store], bool]:
    return lambda store: records_on(store).sign_out([presented])


@pytest.mark.parametrize("presented", ["a session", "a replaced session"])
def test_no_order_of_a_sign_in_and_a_sign_out_leaves_a_session(store: Store, presented: str) -> None:
    records, orders = records_on(store), 0
    for choose in some_orders(70) if presented == "a replaced session" else every_order():
        session_id = start(records)
        sign_in = sign_in_with(records, session_id)
        if presented == "a replaced session":
            start(records, presented=session_id)
        signed_in, signed_out = run(store, [sign_in, sign_out_of(session_id)], choose)
        orders += 1

        assert signed_out is True
        assert isinstance(signed_in, SessionEnded) or records.read(signed_in) is None
        assert records.read(session_id) is None

    assert orders > 5


def test_no_order_of_two_sign_ins_and_a_sign_out_leaves_a_session(store: Store) -> None:
    records = records_on(store)
    for choose in some_orders(70):
        session_id = start(records)
        actors = [sign_in_with(records, session_id) for _ in range(2)]
        *signed_in, signed_out = run(store, [*actors, sign_out_of(session_id)], choose)

        assert signed_out is True
        for result in signed_in:
            assert isinstance(result, SessionEnded) or records.read(result) is None


@pytest.mark.parametrize("presented", ["a session", "an ended session"])
def test_in_every_order_two_sign_ins_end_with_one_session(store: Store, presented: str) -> None:
    records = records_on(store)
    for choose in every_order():
        session_id = start(records)
        if presented == "an ended session":
            records.sign_out([session_id])
        first, second = run(store, [sign_in_with(records, session_id) for _ in range(2)], choose)

        assert first == second
        assert records.read(first)
        assert records.read(session_id) is None


# --- Lifetimes ----------------------------------------------------------------------------------------------


def at(moment: float) -> time_machine.travel:
    return time_machine.travel(moment, tick=True)


def test_a_session_ends_at_its_absolute_lifetime_and_a_clock_that_steps_back_does_not_revive_it(
    records: Records,
) -> None:
    began = time.time()
    with at(began - ABSOLUTE - 10):
        session_id = start(records)
    assert records.read(session_id) is None

    with at(began - ABSOLUTE - 10):
        assert records.read(session_id) is None


def test_using_a_session_extends_it_in_steps(store: Store) -> None:
    records, extended, began = records_on(store), [], time.time()
    session_id = start(records)
    store.extend = lambda names, seconds: extended.append((len(names), seconds))  # type: ignore[method-assign]
    for seconds in (1, 10, IDLE / 20 + 1, IDLE / 20 + 10):
        with at(began + seconds):
            assert records.read(session_id)

    assert extended == [(2, IDLE)]


def test_a_session_that_cannot_be_extended_can_still_be_read(store: Store) -> None:
    session_id = start(records_on(store))

    def fail(names: tuple[str, ...], seconds: int) -> None:
        raise StoreError("full")

    store.extend = fail  # type: ignore[method-assign]
    assert records_on(store).read(session_id)


# --- Stores -------------------------------------------------------------------------------------------------


def test_a_record_is_created_once(store: Store) -> None:
    name = f"x:{{{new_id()}}}"

    assert store.create(name, b"first", 60)
    assert not store.create(name, b"second", 60)
    assert store.get(name) == b"first"


def test_a_record_that_is_not_there_cannot_be_replaced(store: Store) -> None:
    name = f"x:{{{new_id()}}}"

    assert not store.replace(name, b"value", 60)
    assert store.get(name) is None


def test_deleting_tells_how_many_were_there(store: Store) -> None:
    name, other = f"x:{{{new_id()}}}", f"y:{{{new_id()}}}"
    store.create(name, b"value", 60)

    assert store.delete(name) == 1
    assert store.delete(name) == 0
    assert store.get(other) is None


def test_a_lock_is_held_by_one_at_a_time(store: Store) -> None:
    name = f"x:{{{new_id()}}}"
    other = store.lock(name, lease=20, patience=0.1)
    with store.lock(name, lease=20, patience=1), pytest.raises(LockTimeout):
        other.__enter__()
    with store.lock(name, lease=20, patience=0.1):
        pass


def test_a_lock_whose_holder_is_late_goes_to_the_next_and_stays_theirs(store: Store) -> None:
    name = f"x:{{{new_id()}}}"
    late = store.lock(name, lease=0.05, patience=0.1)
    late.__enter__()
    with store.lock(name, lease=20, patience=2):
        late.__exit__(None, None, None)
        with pytest.raises(LockTimeout), store.lock(name, lease=20, patience=0.1):
            pass


# --- Sealing ------------------------------------------------------------------------------------------------


def test_what_is_sealed_opens_under_its_name_only() -> None:
    sealed = SEAL.seal("name", {"a": [1, None, "ü"]})

    assert sealed.isascii()
    assert sealed.isprintable()
    assert SEAL.unseal("name", sealed) == {"a": [1, None, "ü"]}
    assert SEAL.unseal("name", sealed.encode()) == {"a": [1, None, "ü"]}
    assert SEAL.unseal("other name", sealed) is None


def test_no_changed_bit_opens() -> None:
    raw = base64.urlsafe_b64decode(SEAL.seal("name", "value"))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        assert SEAL.unseal("name", base64.urlsafe_b64encode(changed)) is None


@pytest.mark.parametrize(
    "junk", [None, "", b"", "x", b"\xff\xfe", "é", "A" * 27, "A" * 40, "A" * 4000, '["name", 1]']
)
def test_junk_does_not_open(junk: str | bytes | None) -> None:
    assert SEAL.unseal("name", junk) is None


def test_an_older_key_opens_what_it_has_sealed_and_a_foreign_one_nothing() -> None:
    sealed = Seal(["old key"]).seal("name", "value")

    assert Seal(["new key", "old key"]).unseal("name", sealed) == "value"
    assert Seal(["new key"]).unseal("name", sealed) is None


@pytest.mark.parametrize(
    ("age", "opens"), [(-301, False), (-290, True), (-90, True), (0, True), (50, True), (70, False)]
)
def test_an_age_limit_allows_for_a_clock_that_runs_five_minutes_ahead(age: int, opens: bool) -> None:
    now = time.time()
    with at(now - age):
        sealed = SEAL.seal("name", "value")

    with at(now):
        assert SEAL.unseal("name", sealed, max_age=60) == ("value" if opens else None)
        assert SEAL.unseal("name", sealed) == "value"
