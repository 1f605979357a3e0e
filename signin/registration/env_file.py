"""Changes a `.env` file: atomically, readable by its owner only, and with a backup of what was there."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values, set_key

from .errors import EnvFileUnusable

OWNER_ONLY = 0o600
BACKUP_SUFFIX = ".backup"
DRAFT_PREFIX = ".env.draft-"


def read(path: Path) -> dict[str, str]:
    """The settings in the file, without empty ones. Values are taken as they stand, so `$` stays `$`.

    Raises EnvFileUnusable.
    """
    values = _values(path, interpolate=False)
    return {name: value.strip() for name, value in values.items() if value and value.strip()}


def read_raw(path: Path) -> dict[str, tuple[str, ...]]:
    """What each line of the file may have put into the environment: with `$` as it stands, and expanded."""
    raw, expanded = _values(path, interpolate=False), _values(path, interpolate=True)
    return {name: (raw[name] or "", expanded[name] or "") for name in raw}


def _values(path: Path, *, interpolate: bool) -> dict[str, str | None]:
    if not path.exists():
        return {}
    if path.is_dir():
        raise EnvFileUnusable(f"{path} is a folder. It has to be a file.")
    try:
        if b"\0" in path.read_bytes():
            raise EnvFileUnusable(f"{path} has a NUL character in it. Remove it.")
        return dotenv_values(path, interpolate=interpolate)
    except UnicodeDecodeError as error:
        raise EnvFileUnusable(f"{path} is not UTF-8 text. Save it as UTF-8.") from error
    except OSError as error:
        raise EnvFileUnusable(f"{path} cannot be read: {error.strerror}.") from error


def require_writable(path: Path) -> None:
    """Try whether `change` can write the file. Changes nothing. Raises EnvFileUnusable."""
    try:
        for file in (path, backup_of(path)):
            if file.is_dir():
                raise EnvFileUnusable(f"{file} is a folder. It has to be a file.")
        if path.is_symlink() and not path.exists():
            raise EnvFileUnusable(f"{path} cannot be written: it is a link to a file that is not there.")
        with tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=DRAFT_PREFIX):
            pass
    except OSError as error:
        raise EnvFileUnusable(f"{path} cannot be written: {error.strerror}.") from error


def backup_of(path: Path) -> Path:
    """Where `change` keeps what was there: beside the file itself, if `path` is a link to it."""
    target = path if path.is_symlink() and not path.exists() else path.resolve()
    return target.with_name(target.name + BACKUP_SUFFIX)


def change(path: Path, settings: Mapping[str, str]) -> tuple[str, ...]:
    """Write these settings, and keep all other lines. Returns the names of those that have changed.

    What was there goes to `backup_of(path)`. Raises EnvFileUnusable, OSError.
    """
    there = read(path)
    changed = {name: value for name, value in settings.items() if there.get(name, "") != value}
    if not changed:
        return ()
    path = path.resolve()
    if path.exists():
        _replace(backup_of(path), path.read_bytes())
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=DRAFT_PREFIX) as folder:  # made with mode 0700
        draft = Path(folder) / "draft"
        if path.exists():
            shutil.copyfile(path, draft)
        else:
            draft.touch()
        for name, value in changed.items():
            set_key(draft, name, value)
        _replace(path, draft.read_bytes())
    return tuple(changed)


def _replace(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, and that only its owner can read."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=DRAFT_PREFIX)  # made with mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, OWNER_ONLY)  # noqa: PTH101
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
