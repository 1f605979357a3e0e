"""Changes a `.env` file: atomically, readable by its owner only, and with a backup of what was there."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values, set_key

OWNER_ONLY = 0o600
BACKUP_SUFFIX = ".backup"


def read(path: Path) -> dict[str, str]:
    """The settings in the file, without empty ones. Values are taken as they stand, so `$` stays `$`."""
    values = dotenv_values(path, interpolate=False) if path.exists() else {}
    return {name: value.strip() for name, value in values.items() if value and value.strip()}


def change(path: Path, settings: Mapping[str, str]) -> tuple[str, ...]:
    """Write these settings, and keep all other lines. Returns the names of those that have changed.

    What was there goes to a file of the same name with `.backup` at its end. Raises OSError.
    """
    there = read(path)
    changed = {name: value for name, value in settings.items() if there.get(name, "") != value}
    if not changed:
        return ()
    path = path.resolve()
    if path.exists():
        _replace(path.with_name(path.name + BACKUP_SUFFIX), path.read_bytes())
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".env-") as folder:  # made with mode 0700
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
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".env-")  # made with mode 0600
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
