"""The file of the SQLite store: only its owner can read it, and all processes open the same one.

SQLite finds a database's log and index by name. Mixing those of two databases destroys both, so these rules
hold when the file is deleted or replaced while the app runs:

- Only one thread of one process at a time makes or opens the file. A lock on the folder sees to it.
- Leftover log and index files are deleted before a database is created or opened. A note file records
  which database they belong to.
- Within that lock, files are named relative to the locked folder, not to one that has just replaced it.
"""

import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

Identity = tuple[int, int, int]  # device, inode, and inode of the log

NAME = "sessions.sqlite3"
NOTE = f"{NAME}-owner"
LOCK_SECONDS = 2


class SqliteFile:
    """`sessions.sqlite3` in `folder`. Methods raise OSError."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / NAME
        self._path, self._log = str(self.path), f"{self.path}-wal"  # as str, because every page uses them
        self._thread_lock = threading.Lock()

    def identity(self) -> Identity | None:
        """Changes when the file or its log is deleted or replaced. None without a file.

        The log stays the same for as long as somebody has the file open. os.stat is faster than Path.stat,
        and every page comes here.
        """
        try:
            found = os.stat(self._path)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return found.st_dev, found.st_ino, os.stat(self._log).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return found.st_dev, found.st_ino, 0

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Hold the lock, with a file in place that can be opened. Only the owner has rights to it.

        Raises FileNotFoundError if the folder vanishes meanwhile.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + LOCK_SECONDS
        if not self._thread_lock.acquire(timeout=LOCK_SECONDS):
            raise TimeoutError(f"{self.folder} is locked")
        try:
            if fcntl is None:
                self.path.touch()
                yield
                return
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                while not _locked(folder):
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{self.folder} is locked by another process")
                    time.sleep(0.005)
                self._tighten_folder()
                _make(folder)
                yield
            finally:
                os.close(folder)
        finally:
            self._thread_lock.release()

    def _tighten_folder(self) -> None:
        found = self.folder.stat()
        if not found.st_mode & 0o077:
            return
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
            raise PermissionError(
                "other users can get at this folder, and it is not the app's own; name a folder inside it"
            )
        self.folder.chmod(0o700)
        if self.folder.stat().st_mode & 0o077:
            raise PermissionError("other users can get at this folder, and its rights cannot be changed")
        log.warning("other users could get at %s: its rights are now 0700", self.folder)


def _locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(folder: int) -> None:
    """Make the file if it is missing, and remove what a former one has left."""
    former = _read_note(folder)
    if not _exists(NAME, folder):
        _remove_beside(folder)
        # Made under another name: when a process closes a file, it loses SQLite's locks on that file.
        new = f"new-{os.getpid()}"
        os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
        os.rename(new, NAME, src_dir_fd=folder, dst_dir_fd=folder)
    note = f"{os.fstat(folder).st_ino} {os.stat(NAME, dir_fd=folder).st_ino}"
    if former != note:
        # In a copy of the folder, file and log belong together although both have new numbers.
        if former.partition(" ")[0] == note.partition(" ")[0]:
            log.warning("%s was replaced", NAME)
            _remove_beside(folder)
        _write_note(note, folder)
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm"):
        if _exists(name, folder) and os.stat(name, dir_fd=folder).st_mode & 0o077:
            os.chmod(name, 0o600, dir_fd=folder)


def _remove_beside(folder: int) -> None:
    for name in (f"{NAME}-wal", f"{NAME}-shm"):
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _read_note(folder: int) -> str:
    try:
        with os.fdopen(os.open(NOTE, os.O_RDONLY, dir_fd=folder)) as file:
            return file.read(100)
    except FileNotFoundError:
        return ""


def _write_note(note: str, folder: int) -> None:
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    with os.fdopen(os.open(NOTE, flags, 0o600, dir_fd=folder), "w") as file:
        file.write(note)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
