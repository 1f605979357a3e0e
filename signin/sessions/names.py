"""What names a session and its records in the store."""

import re
import secrets
from collections.abc import Iterable
from hashlib import sha256

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def handle_of(session_id: str) -> str:
    """What names a session: a hash of its id, so that a leaked store opens no session."""
    return sha256(session_id.encode()).hexdigest()


def new_handle() -> str:
    """The handle of no session. Sign-ins that begin in one browser without a session are linked by it."""
    return secrets.token_urlsafe(16)


def handles_of(session_ids: Iterable[str]) -> list[str]:
    """The handles of those that are well-formed, each once."""
    well_formed = [session_id for session_id in session_ids if SESSION_ID.fullmatch(session_id)]
    return [handle_of(session_id) for session_id in dict.fromkeys(well_formed)]


def record(kind: str, handle: str) -> str:
    """A record's name. The braces keep the records of a session together in a Redis cluster."""
    return f"{kind}:{{{handle}}}"


def record_of(kind: str, session_id: str) -> str:
    return record(kind, handle_of(session_id))
