"""Where the signed-in user is signed in, and how to end that."""

import logging
from dataclasses import dataclass
from datetime import datetime, timezone

from signin.sessions import handle_of

from .engine import engine
from .session import this_session, user_index
from .user import current_user

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenSession:
    """A session of the user. `handle` names it; the browser's cookie cannot be made from it."""

    handle: str
    browser: str
    since: datetime
    last_used: datetime
    is_this_one: bool


def my_sessions() -> list[OpenSession]:
    """The user's sessions, this one first. Raises StoreError."""
    this_handle = handle_of(this_session().sid)
    found = [
        OpenSession(
            session.handle,
            session.data["browser"],
            datetime.fromtimestamp(session.data["started"], timezone.utc),
            datetime.fromtimestamp(session.last_used, timezone.utc),
            session.handle == this_handle,
        )
        for session in engine().records.find(user_index(current_user.id))
    ]
    return sorted(found, key=lambda session: not session.is_this_one)


def end_my_session(handle: str) -> bool:
    """End one session of the user. False if the user has no such session. Raises StoreError."""
    ended = engine().records.sign_out_one(user_index(current_user.id), handle)
    if ended:
        log.info("signed out from another session: user=%r", current_user.id)
    return ended


def may_be_signed_in() -> bool:
    """Whether somebody is signed in, as far as that is known: the store may not answer."""
    return bool(current_user) or this_session().unavailable


def end_my_other_sessions() -> None:
    """End all sessions of the user but this one, and sign-ins that are under way. Raises StoreError."""
    engine().records.sign_out_all(user_index(current_user.id), keep=this_session().sid)
    log.info("signed out of all other sessions: user=%r", current_user.id)
