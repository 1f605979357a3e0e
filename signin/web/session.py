"""The session of a request: Flask-Session's interface on the session records, and its start and change."""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response, request
from flask import session as flask_session
from flask_session.base import ServerSideSession, ServerSideSessionInterface

from signin.oidc import AUTHORIZATION_CLAIMS, PROTOCOL_CLAIMS, SignIn, as_name, printable
from signin.sessions import StoreError, handle_of

from .browser_name import browser_name
from .engine import Engine, engine
from .user import forget_user

if TYPE_CHECKING:
    from .user_flows import PendingFlow

log = logging.getLogger(__name__)


class Session(ServerSideSession):  # type: ignore[misc]
    """A session, and what has become of it during this request."""

    started = False  # by this request
    ended = False  # by this request
    unavailable = False  # the store did not answer, so it is unknown whether somebody is signed in


class SessionInterface(ServerSideSessionInterface):  # type: ignore[misc]
    """Flask-Session on the records. Views start and end sessions; other changes are saved afterwards."""

    session_class = Session

    def __init__(self, app: Flask, parts: Engine) -> None:
        super().__init__(app, key_prefix="", permanent=False)
        self._records, self._cookies = parts.records, parts.cookies

    def open_session(self, app: Flask, request: Request) -> Session:
        if request.path == "/healthz" or request.path.startswith("/static/"):
            return Session()
        session_ids = request.cookies.getlist(self._cookies.session)
        if len(session_ids) != 1:
            # Two session cookies mean that one was injected. Trust neither. A sign-in still looks at both.
            return Session()
        data, unavailable = self._read(session_ids[0])
        opened = Session(data, sid=session_ids[0])
        opened.unavailable = unavailable
        return opened

    def _read(self, session_id: str) -> tuple[dict[str, Any] | None, bool]:
        """The session's data, and whether the store failed."""
        try:
            return self._records.read(session_id), False
        except StoreError as error:
            log.error("session store: %s", error)
            return None, True

    def save_session(self, app: Flask, session: Session, response: Response) -> None:
        if session.started:
            response.set_cookie(self._cookies.session, session.sid, **self._cookies.attributes)
        elif session.ended:
            # Only the request that ended the session removes the cookie. Another request's late response
            # must not remove the cookie of a newer session.
            response.delete_cookie(self._cookies.session, **self._cookies.attributes)
        elif session.modified and session:
            self._records.replace(session.sid, dict(session))

    # Flask-Session declares these three. The methods above do without them.
    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        return self._records.read(store_id)

    def _delete_session(self, store_id: str) -> None:
        self._records.sign_out([store_id])

    def _upsert_session(self, session_lifetime: Any, session: Any, store_id: str) -> None:
        self._records.replace(store_id, dict(session))


def this_session() -> Session:
    """The session of this request, with its own type."""
    return cast(Session, flask_session)


def presented_ids() -> list[str]:
    """The session ids that the browser has sent. It should be one, or none."""
    return request.cookies.getlist(engine().cookies.session)


def sessions_to_begin_in() -> dict[str, bool]:
    """What a sign-in that begins with this request has to remember of the browser's sessions.

    Raises StoreError, and SessionEnded if too many sessions have followed the one that the browser presents.
    """
    session, presented = this_session(), presented_ids()
    if not presented:
        return {}
    if session and presented == [session.sid]:
        return {handle_of(session.sid): True}
    return engine().records.latest(presented)


def start_session(completed: SignIn, pending: "PendingFlow") -> None:
    """Start a session under a new id. It takes the place of the browser's sessions.

    If the sign-in was for one API, the user keeps the access tokens for the others.

    Raises SessionEnded if the user has signed out since the sign-in began, here or everywhere. Raises
    StoreError if the store fails.
    """
    session = this_session()
    data = {
        "claims": completed.claims,
        "user_id": completed.user_id,
        "account_id": completed.account_id,
        "started": int(time.time()),
        "scopes": sorted(printable(scope) for scope in completed.granted_scopes),
        "browser": browser_name(request.user_agent.string),
    }
    token_cache = completed.token_cache
    if pending.adds_scopes and session.get("account_id") == completed.account_id:
        token_cache = engine().client.add_other_apis(token_cache, engine().records.tokens(session.sid))
    session_id = engine().records.start(
        data,
        token_cache,
        presented=presented_ids(),
        began_in=pending.began_in,
        began=pending.began,
        indexes=indexes_of(completed.user_id, completed.claims),
    )
    session.clear()
    session.update(data)
    session.sid, session.started = session_id, True
    forget_user()
    log.info("signed in: user=%r", completed.user_id)


def renew_claims(refreshed: dict[str, Any]) -> None:
    """Take over what a refreshed ID token says about the user. Raises StoreError.

    What the user may do is what the new token says: a role that was taken away is gone. Details are renewed
    too. Azure AD B2C may repeat those of the sign-in that the refresh token comes from (Microsoft Learn,
    "OpenID Connect in Azure AD B2C"). That undoes no edit, because a profile edit leads to a new sign-in.
    """
    session = this_session()
    # Another request may have changed the session while this one waited for the token.
    data = engine().records.read(session.sid)
    if data is None:
        return
    kept = {name: value for name, value in data["claims"].items() if not _is_permission(name)}
    claims = kept | {name: value for name, value in refreshed.items() if name not in PROTOCOL_CLAIMS}
    if not as_name(claims.get("name")) and "name" in kept:  # userinfo had the name at the sign-in
        claims["name"] = kept["name"]
    if claims == data["claims"]:
        return
    data["claims"] = claims
    engine().records.replace(session.sid, data)
    was_modified = session.modified
    session.update(data)
    session.modified = was_modified  # it has just been saved
    forget_user()


def _is_permission(claim: str) -> bool:
    return claim in AUTHORIZATION_CLAIMS or claim == engine().settings.roles_claim


def user_index(user_id: str) -> str:
    """By which all sessions of a user are found."""
    return f"user {user_id}"


def provider_session_index(issuer: str, sid: str) -> str:
    """By which the sessions that one session at the provider has led to are found."""
    return f"sid {issuer} {sid}"


def indexes_of(user_id: str, claims: Mapping[str, Any]) -> list[str]:
    """By which a session of this user, with these claims, is found."""
    indexes, sid = [user_index(user_id)], claims.get("sid")
    if engine().client.provider.has_front_channel_logout and isinstance(sid, str):
        indexes.append(provider_session_index(claims["iss"], sid))
    return indexes


def require_session_store() -> None:
    """Raise StoreError if the store did not answer, so that it is unknown whether somebody is signed in."""
    if this_session().unavailable:
        raise StoreError("the session could not be read")
