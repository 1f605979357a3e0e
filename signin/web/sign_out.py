"""Signing out: here first, then at the sign-in service."""

import logging

from flask import Response, request

from signin.oidc import OidcError
from signin.sessions import StoreError

from .engine import engine
from .errors import log_failure
from .interactions import forget_interactions
from .responses import go_to, replace_security_headers
from .session import indexes_of, presented_ids, provider_session_index, this_session, user_index
from .user import current_user, forget_user
from .user_flows import forget_pending_flows

log = logging.getLogger(__name__)

LONGEST_SID = 500  # characters of `iss` and `sid` together


def end_session(*, everywhere: bool = False) -> Response:
    """End the session here, then send the browser to the sign-in service to end its session too.

    With `everywhere`, the user's other sessions end too, and sign-ins that are under way. Whatever fails, the
    browser loses its cookies, and the next page says what could not be done.
    """
    user_id, claims, session_id = current_user.id, current_user.claims, this_session().sid
    id_token_source = _token_cache(session_id) if current_user else ""
    indexes = indexes_of(user_id, claims) if current_user else []
    notice = _end_records(indexes, user_id, everywhere)
    session = this_session()
    session.clear()
    session.ended = True
    forget_user()
    forget_pending_flows()
    forget_interactions()
    if user_id:  # unknown when nobody was signed in, or the store did not answer
        log.info("signed out%s: user=%r", " everywhere" if everywhere else "", user_id)
    try:
        uri = engine().client.sign_out_uri(id_token_source, claims, engine().settings.origin + "/")
    except OidcError as error:
        log_failure(error)
        return go_to("/", notice="signed_out_here" if notice == "signed_out" else notice)
    return go_to(uri or "/", notice=notice)


def front_channel_sign_out() -> Response:
    """End the sessions that the provider names in `sid`, without any cookie of the browser.

    Source: OpenID Connect Front-Channel Logout 1.0 section 2. The answer is always the same, so it tells
    nobody whether there was a session. A `sid` that no session has leaves nothing in the store: a sign-in
    that is under way at this very moment goes on.
    """
    issuers, sids = request.args.getlist("iss"), request.args.getlist("sid")
    if len(issuers) == len(sids) == 1 and len(issuers[0] + sids[0]) <= LONGEST_SID:
        index = provider_session_index(issuers[0], sids[0])
        ended = engine().records.find(index)
        if ended:
            engine().records.sign_out_all(index)
            log.info("signed out by the provider: user=%r", ended[0].data["user_id"])
    frame_ancestors = " ".join(engine().client.provider.page_origins)
    replace_security_headers(
        {
            "Content-Security-Policy": f"default-src 'none'; frame-ancestors {frame_ancestors}",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
    )
    return Response("Signed out.\n", mimetype="text/plain")


def _token_cache(session_id: str) -> str:
    try:
        return engine().records.tokens(session_id)
    except StoreError as error:
        log.error("session store: the tokens could not be read at sign-out: %s", error)
        return ""


def _end_records(indexes: list[str], user_id: str, everywhere: bool) -> str:
    """End the session's record, then those of the user's other sessions. Returns the notice that says it."""
    notice = "signed_out"
    try:
        if not engine().records.sign_out(presented_ids(), indexes):
            log.error("sign-out: the request has too many session cookies")
            notice = "signed_out_record_left"
    except StoreError as error:
        log.error("session store: the session could not be deleted at sign-out: %s", error)
        return "signed_out_others_left" if everywhere else "signed_out_record_left"
    if everywhere and not user_id:  # the store did not answer when the session was read
        return "signed_out_others_left"
    if everywhere:
        try:
            engine().records.sign_out_all(user_index(user_id))
        except StoreError as error:
            log.error("session store: the user's sessions could not be deleted at sign-out: %s", error)
            return "signed_out_others_left"
    return notice
