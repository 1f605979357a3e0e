"""The file of the SQLite store: for its owner alone, and the same file for everybody who has it open."""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

Identity = tuple[int, int]  # device and inode


class SqliteFile:
    """`sessions.sqlite3` in `folder`. Methods raise OSError."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "sessions.sqlite3"
        self._beside = [f"{self.path}-wal", f"{self.path}-shm"]

    def identity(self) -> Identity | None:
        """Tells a file that was deleted or replaced from the one that is there now. None if there is none."""
        try:
            found = os.stat(self.path)  # noqa: PTH116, for this is on every page and Path.stat takes longer
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino

    def make(self) -> None:
        """Make folder and file where they are missing, and take all rights from group and others."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tighten_folder()
        with self._folder_lock():
            if not self.path.exists():
                self._make_file()
        for path in (self.path, *map(Path, self._beside)):
            if path.exists() and path.stat().st_mode & 0o077:
                path.chmod(0o600)

    def beside(self) -> dict[str, Identity]:
        """The write-ahead log and its index, by path."""
        found = ((path, _identity(path)) for path in self._beside)
        return {path: identity for path, identity in found if identity}

    def forget(self, beside: dict[str, Identity]) -> None:
        """Remove the log and index of a replaced database: SQLite would apply them to the new one."""
        with self._folder_lock():
            for path, identity in beside.items():
                if _identity(path) == identity:
                    Path(path).unlink()

    def _make_file(self) -> None:
        # What is left of a deleted database would be applied to the new one.
        for path in self._beside:
            Path(path).unlink(missing_ok=True)
        # Made beside and renamed: a thread that closes a file loses the locks that SQLite holds on it in
        # others.
        new = self.folder / f"new-{os.getpid()}"
        os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))
        new.replace(self.path)

    def _tighten_folder(self) -> None:
        found = self.folder.stat()
        if os.name == "nt" or not found.st_mode & 0o077:
            return
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
            raise PermissionError(
                "other users can get at this folder, and it is not the app's own; name a folder inside it"
            )
        self.folder.chmod(0o700)
        if self.folder.stat().st_mode & 0o077:
            raise PermissionError("other users can get at this folder, and its rights cannot be changed")
        log.warning("other users could get at %s: its rights are now 0700", self.folder)

    @contextmanager
    def _folder_lock(self) -> Iterator[None]:
        """Keeps other threads and processes from making the file at the same time."""
        if fcntl is None:
            yield
            return
        while True:
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                held = os.fstat(folder)
                if _identity(str(self.folder)) == (held.st_dev, held.st_ino):
                    yield
                    return
            finally:
                os.close(folder)


def _identity(path: str) -> Identity | None:
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
