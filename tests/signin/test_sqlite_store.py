"""The SQLite file: its rights, its processes, its durability, and how it comes back when it is deleted."""

import itertools
import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import time_machine

from signin.sessions import Store, StoreError, StoreUnusable, open_store
from signin.sessions.records import Records
from tests.helpers.processes import ROOT, program
from tests.signin.test_records import SEAL, records_on, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither these rights nor fork")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(None, folder)


def file_in(folder: Path) -> Path:
    return folder / "sessions.sqlite3"


def rows(folder: Path, statement: str = "SELECT name FROM records") -> list[tuple[str]]:
    with closing(sqlite3.connect(file_in(folder))) as connection:
        return connection.execute(statement).fetchall()


# --- Rights -----------------------------------------------------------------------------------------------


def rights(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_folder_and_files_are_the_owners_alone(folder: Path, store: Store) -> None:
    start(records_on(store))

    assert rights(folder) == "0o700"
    assert {path.name: rights(path) for path in folder.iterdir()} == {
        "sessions.sqlite3": "0o600",
        "sessions.sqlite3-owner": "0o600",
        "sessions.sqlite3-shm": "0o600",
        "sessions.sqlite3-wal": "0o600",
    }


def test_loose_rights_are_tightened_and_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    file_in(folder).touch()
    file_in(folder).chmod(0o644)
    open_store(None, folder)

    assert (rights(folder), rights(file_in(folder))) == ("0o700", "0o600")
    assert str(folder) in caplog.text


def test_a_folder_that_is_everybodys_is_refused_and_left_as_it_is(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o1777)
    with pytest.raises(StoreUnusable) as refused:
        open_store(None, folder)

    assert refused.value.setting == "SESSION_DIR"
    assert rights(folder) == "0o777"


def a_file(folder: Path) -> Path:
    folder.write_text("not a folder")
    return folder


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "sessions"


def garbage(folder: Path) -> Path:
    folder.mkdir()
    file_in(folder).write_bytes(b"garbage, " * 1000)
    return folder


def not_writable(_: Path) -> Path:
    return Path("/proc/sessions")


@pytest.mark.parametrize("prepare", [a_file, below_a_file, garbage, not_writable])
def test_a_folder_that_cannot_be_used_is_refused(folder: Path, prepare: Callable[[Path], Path]) -> None:
    unusable = prepare(folder)
    with pytest.raises(StoreUnusable) as refused:
        open_store(None, unusable)

    assert str(refused.value).startswith(f"SESSION_DIR {unusable} cannot be used: ")


# --- Lifetimes --------------------------------------------------------------------------------------------


def test_an_expired_record_stays_away_when_the_clock_steps_back(store: Store) -> None:
    now = time.time()
    store.create("x", b"value", 60)
    with time_machine.travel(now + 61):
        assert store.get("x") is None

    assert store.get("x") is None


def test_an_expired_record_can_be_created_again_but_not_replaced(store: Store) -> None:
    now = time.time()
    store.create("x", b"value", 60)
    with time_machine.travel(now + 61):
        assert not store.replace("x", b"other", 60)
        assert store.create("x", b"newer", 60)
        assert store.get("x") == b"newer"


def test_an_extension_moves_the_end_of_what_is_there(store: Store) -> None:
    now = time.time()
    store.create("x", b"value", 60)
    store.extend(("x", "y"), 600)
    with time_machine.travel(now + 599):
        assert (store.get("x"), store.get("y")) == (b"value", None)
    with time_machine.travel(now + 602):
        assert store.get("x") is None


def test_expired_records_go_away_at_a_bounded_cost(folder: Path, store: Store) -> None:
    many, left = 1000, [1000]
    with closing(sqlite3.connect(file_in(folder))) as connection, connection:
        connection.executemany(
            "INSERT INTO records VALUES (?, 'value', ?)", [(f"old:{number}", 1.0) for number in range(many)]
        )
    for number in range(200):
        store.create(f"new:{number}", b"value", 60)
        left.append(len(rows(folder, "SELECT name FROM records WHERE expires = 1")))

    assert left[-1] == 0
    assert max(before - after for before, after in itertools.pairwise(left)) <= 200


# --- Threads and processes --------------------------------------------------------------------------------

START_TOGETHER = """
import multiprocessing, sys, tempfile
from pathlib import Path
from signin.sessions import open_store

def start(folders, barrier, failures):
    for folder in folders:
        barrier.wait()
        try:
            open_store(None, Path(folder) / "sessions").create("x", b"value", 60)
        except Exception as error:
            failures.put(repr(error))

fork = multiprocessing.get_context("fork")
folders = [tempfile.mkdtemp(dir=sys.argv[1]) for _ in range(30)]
barrier, failures = fork.Barrier(6), fork.SimpleQueue()
workers = [fork.Process(target=start, args=(folders, barrier, failures)) for _ in range(6)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
while not failures.empty():
    print(failures.get())
"""


def test_workers_that_start_together_on_an_empty_folder_all_start(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START_TOGETHER, str(tmp_path)]
    started = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")


def test_a_store_that_was_used_before_a_fork_works_in_both_processes(folder: Path, store: Store) -> None:
    def write_and_read(name: str) -> None:
        for number in range(50):
            assert store.create(f"{name}{number}", b"value", 60)
            assert store.get(f"{name}{number}") == b"value"

    write_and_read("before")
    child = multiprocessing.get_context("fork").Process(target=write_and_read, args=("child",))
    child.start()
    write_and_read("parent")
    child.join(20)

    assert child.exitcode == 0
    assert len(rows(folder)) == 150
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]


def test_a_sign_out_is_on_the_disk_when_it_has_been_answered(folder: Path, tmp_path: Path) -> None:
    """SQLite syncs the log after the last write of a deletion, so that it survives a power failure."""
    code = (
        "import os, sys; from pathlib import Path; from signin.sessions import open_store;"
        "store = open_store(None, Path(sys.argv[1])); store.create('x', b'value', 60);"
        "os.write(2, b'DELETING'); store.delete('x'); os.write(2, b'DELETED')"
    )
    trace = tmp_path / "trace"
    strace = [
        program("strace", "strace"),
        "-f",
        "-e",
        "trace=write,pwrite64,fsync,fdatasync",
        "-o",
        str(trace),
    ]
    subprocess.run([*strace, sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True, timeout=60)
    deletion = trace.read_text().partition("DELETING")[2].partition("DELETED")[0].splitlines()

    last_write = max(number for number, line in enumerate(deletion) if "pwrite64(" in line)
    assert any("sync(" in line for line in deletion[last_write:])


# --- The file is deleted or replaced while the app runs ---------------------------------------------------


def delete_file(folder: Path) -> None:
    file_in(folder).unlink()


def delete_all_files(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def delete_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def replace_file(folder: Path) -> None:
    other = folder.with_name("other")
    open_store(None, other)
    file_in(other).replace(file_in(folder))


DELETIONS = [delete_file, delete_all_files, delete_folder, replace_file]


@pytest.mark.parametrize("delete", DELETIONS)
def test_two_instances_meet_in_one_new_store(folder: Path, delete: Callable[[Path], None]) -> None:
    stores = [open_store(None, folder), open_store(None, folder)]
    before = start(records_on(stores[0]))
    assert records_on(stores[1]).read(before)
    delete(folder)

    for one, other in (stores, stores[::-1]):
        assert records_on(one).read(before) is None
        session_id = start(records_on(one))
        assert records_on(other).read(session_id)
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    assert rights(folder) == "0o700"
    assert rights(file_in(folder)) == "0o600"


def hammer(folder: str, kind: str, deletions_end: Event, report: Callable[[str], None]) -> None:
    """Write and read with four threads on one store while files are deleted, and until each has done well."""
    records = Records(open_store(None, Path(folder)), SEAL, idle=600, absolute=600)
    made = threading.local()

    def run(thread: int) -> None:
        made.count = 0
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (deletions_end.is_set() and made.count >= 5):
            try:
                records.read(start(records))
                made.count += 1
            except StoreError as error:
                report(f"{kind}{thread}: {error}")
        if made.count < 5:
            report(f"{kind}{thread}: only {made.count} sessions")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("delete", [delete_file, delete_folder, delete_all_files])
def test_eight_threads_of_two_processes_survive_deletions(
    folder: Path, delete: Callable[[Path], None]
) -> None:
    fork = multiprocessing.get_context("fork")
    failures = fork.SimpleQueue()
    deletions_end = fork.Event()
    workers = [
        fork.Process(target=hammer, args=(str(folder), kind, deletions_end, failures.put)) for kind in "ab"
    ]
    for worker in workers:
        worker.start()
    deletions = 0
    while deletions < 8:
        try:
            delete(folder)
            deletions += 1
        except OSError:  # a file has gone, or has come, while the folder was being deleted
            pass
        time.sleep(0.05)
    deletions_end.set()
    for worker in workers:
        worker.join(20)
    reported = []
    while not failures.empty():
        reported.append(failures.get())

    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(reported) <= deletions  # of the calls that were under way
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    first, second = open_store(None, folder), open_store(None, folder)
    assert first.create("x", b"value", 60)
    assert second.get("x") == b"value"
