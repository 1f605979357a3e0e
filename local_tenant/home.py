"""The state folder: what stays the same from one start to the next."""

import os
import tempfile
from pathlib import Path

import platformdirs

PRIVATE = 0o600
READABLE = 0o644
HINT = "To use another one, set LOCAL_TENANT_HOME."


class HomeUnusable(Exception):
    """The state folder cannot be made or written to. The message says why."""


def home() -> Path:
    """The state folder, made if it is missing: LOCAL_TENANT_HOME, or else the usual one of the system.

    Other users of the machine may enter it, because programs that run as them read the CA bundle in it.
    What they must not read belongs in `private_folder`. Raises HomeUnusable.
    """
    configured = os.environ.get("LOCAL_TENANT_HOME", "").strip()
    folder = Path(configured) if configured else platformdirs.user_data_path("local-tenant", appauthor=False)
    folder = folder.expanduser().absolute()
    try:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)  # whatever the umask
    except OSError as error:
        raise HomeUnusable(f"The state folder {folder} cannot be made: {error.strerror}. {HINT}") from error
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise HomeUnusable(f"The state folder {folder} cannot be written to. {HINT}")
    return folder


def private_folder(folder: Path) -> Path:
    """The part of the state folder for keys, secrets and accounts. Only its owner can enter it."""
    private = folder / "private"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    return private


def write_file(path: Path, content: bytes, rights: int = PRIVATE) -> None:
    """Write a file in one step: other processes see either the old content or the new."""
    temporary = _write_beside(path, content, rights)
    temporary.replace(path)


def create_file(path: Path, content: bytes, rights: int = PRIVATE) -> bytes:
    """Write a file unless it exists. Returns its content, which another process may have written."""
    temporary = _write_beside(path, content, rights)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return path.read_bytes()
    finally:
        temporary.unlink()
    return content


def _write_beside(path: Path, content: bytes, rights: int) -> Path:
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(number, "wb") as file:
        file.write(content)
    temporary = Path(name)
    temporary.chmod(rights)
    return temporary
