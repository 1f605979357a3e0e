"""User flows that have begun and wait for the user to come back.

Each lives in an encrypted cookie of its own, named after its `state`. So every tab has its own flow, any
worker can complete it, and the server stores nothing for strangers.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Response, g, request

from signin.oidc import (
    SIGN_IN,
    SIGN_UP,
    InteractionRequired,
    SignInRequired,
    checked_claims,
    checked_hints,
)

from .engine import engine
from .exceptions import InteractionFailed, SignInLoop
from .fetch_metadata import is_on_its_way
from .interactions import forget_interaction, interaction_for, was_just_asked_for
from .responses import forget_cookie, redirect_to
from .session import require_session_store, sessions_to_begin_in

LARGEST_COOKIE = 4096  # bytes of name and value that browsers keep (RFC 6265 section 6.1)
LIFETIME = 30 * 60  # seconds a user may take at the sign-in service
NEED_LASTS = 5 * 60  # seconds within which a page follows the address that its script got
MOST_BYTES = 6000  # of pending flows in one browser; servers refuse requests with larger headers
MOST_COOKIES = 12  # pending flows that are looked at; a browser of ours has fewer
MOST_UNASKED = 5  # user flows begun within a minute without a click
STATE = re.compile(r"[A-Za-z0-9_-]{8,64}")  # as MSAL makes it


@dataclass(frozen=True)
class PendingFlow:
    """A user flow under way, and what to do when the user comes back."""

    user_flow: str
    auth_code_flow: dict[str, Any]  # MSAL's: state, nonce, PKCE verifier, scopes
    next_path: str
    notice: str
    hints: dict[str, str]
    adds_scopes: bool = False  # the sign-in is for one API; the tokens for others stay
    interaction: str = ""  # what a page needs from this sign-in, as `interaction_for` writes it
    answers_challenge: bool = False  # the sign-in asks for the claims of a claims challenge
    began: float = 0.0  # in seconds since the epoch, by the store's clock
    began_in: dict[str, bool] = field(default_factory=dict)  # sessions, as `Records.latest` returns them


def hints_from(parameters: Mapping[str, str]) -> dict[str, str]:
    """The well-formed hints for the sign-in pages: `login_hint`, `domain_hint`, `ui_locales`."""
    return checked_hints(parameters)


def begin_user_flow(
    user_flow: str,
    next_path: str,
    notice: str = "signed_in",
    *,
    hints: Mapping[str, str] | None = None,
    scopes: Collection[str] | None = None,
    claims_challenge: str | None = None,
    interaction: str = "",
) -> Response:
    """Send the browser to a user flow of the sign-in service.

    The user comes back to `next_path`, which shows `notice`. A sign-in asks for the web API's scopes unless
    `scopes` names others.
    """
    require_session_store()
    hints, adds_scopes = dict(hints or {}), scopes is not None
    if scopes is None:
        scopes = engine().settings.scope if user_flow in (SIGN_IN, SIGN_UP) else ()
    flow = engine().client.begin(user_flow, scopes, claims_challenge=claims_challenge, **hints)
    response = redirect_to(flow.pop("auth_uri"))
    language = {name: value for name, value in hints.items() if name == "ui_locales"}
    # A user flow that follows another one, such as the sign-in after a password reset, began with it.
    former: PendingFlow | None = g.get("pending_flow")
    pending = PendingFlow(
        user_flow,
        flow,
        next_path,
        notice,
        language,
        adds_scopes,
        interaction,
        bool(claims_challenge),
        former.began if former else engine().records.now(),
        former.began_in if former else sessions_to_begin_in(),
    )
    _keep(pending, response)
    return response


def begin_unasked(
    user_flow: str, next_path: str, notice: str = "signed_in", *, hints: Mapping[str, str] | None = None
) -> Response:
    """Begin a user flow without a click. Raises SignInLoop when this happens again and again."""
    tries = _tries_so_far()
    response = begin_user_flow(user_flow, next_path, notice, hints=hints)
    _count_try(tries, response)
    return response


def begin_interaction(
    error: InteractionRequired, next_path: str, notice: str = "", *, after: PendingFlow | None = None
) -> Response:
    """Send the user to the sign-in service for what a token needs: consent, or another factor.

    `after` is the user flow that has just come back, if the token endpoint refused its code. Raises
    InteractionFailed if the same has just been done, whatever the claims: an API may ask for other claims
    each time. Raises SignInLoop when this happens again and again.
    """
    tries = _tries_so_far()
    if after.answers_challenge if after else was_just_asked_for(error):
        forget_interaction(error)
        raise InteractionFailed(f"still required after an interactive sign-in: {error}")
    response = begin_user_flow(
        SIGN_IN,
        next_path,
        notice,
        scopes=error.scopes or None,
        claims_challenge=error.claims or None,
        interaction=after.interaction if after else interaction_for(error),
    )
    _count_try(tries, response)
    return response


def seal_need(error: SignInRequired) -> str:
    """What a script's user has to sign in for, sealed, as `begin_needed` takes it."""
    need: dict[str, Any] = {}
    if isinstance(error, InteractionRequired):
        need = {"scopes": error.scopes, "wanted": error.wanted, "claims": checked_claims(error.claims) or ""}
    return engine().seal.seal("need", need)


def begin_needed(sealed: str, next_path: str) -> Response | None:
    """Begin the sign-in that a script was told to send its user to. None if that is too long ago.

    The script did it, not the user. So it counts as a try, and raises what `begin_interaction` raises.
    """
    need = engine().seal.unseal("need", sealed, max_age=NEED_LASTS)
    if need is None:
        return None
    if not need:
        return begin_unasked(SIGN_IN, next_path)
    error = InteractionRequired("a script needs it", claims=need["claims"])
    error.scopes, error.wanted = tuple(need["scopes"]), tuple(need["wanted"])
    return begin_interaction(error, next_path)


def just_came_back() -> bool:
    """Whether the browser comes from the sign-in service by way of the callback, which left one of these."""
    return is_on_its_way() or engine().cookies.tries in request.cookies


def take_pending_flow() -> PendingFlow | None:
    """The pending flow that has this request's `state`. The response deletes its cookie, so it works once."""
    require_session_store()
    states = request.args.getlist("state")
    if len(states) != 1 or not STATE.fullmatch(states[0]):
        return None
    name = engine().cookies.flow + states[0]
    sealed = request.cookies.get(name)
    if sealed is None:
        return None
    forget_cookie(name)
    pending = _unseal(name, sealed)
    # The settings may have changed since the flow began.
    if not pending or pending.user_flow not in engine().client.user_flows:
        return None
    g.next_path = pending.next_path  # where the button of an error page leads to
    g.pending_flow = pending
    return pending


def forget_pending_flows() -> None:
    """Drop all pending flows of this browser."""
    for name in _flow_cookies():
        forget_cookie(name)


def _keep(pending: PendingFlow, response: Response) -> None:
    cookies = engine().cookies
    name = cookies.flow + pending.auth_code_flow["state"]
    sealed = _sealed(name, pending)
    response.set_cookie(name, sealed, max_age=LIFETIME, **cookies.attributes)
    _forget_oldest_flows(MOST_BYTES - len(name) - len(sealed))


def _sealed(name: str, pending: PendingFlow) -> str:
    """The value of the pending flow's cookie. The path to return to is shortened if it would be too large."""
    sealed = ""
    for next_path in (pending.next_path, pending.next_path.partition("?")[0], "/"):
        sealed = engine().seal.seal(name, vars(replace(pending, next_path=next_path)))
        if len(name) + len(sealed) <= LARGEST_COOKIE:
            break
    return sealed


def _tries_so_far() -> int:
    """The user flows begun without a click within the last minute. Raises SignInLoop if they are too many."""
    tries_so_far = request.cookies.get(engine().cookies.tries, "")
    tries = int(tries_so_far) if re.fullmatch("[0-9]", tries_so_far) else 0
    if tries >= MOST_UNASKED:
        raise SignInLoop(f"{tries} user flows begun within a minute")
    return tries


def _count_try(tries_so_far: int, response: Response) -> None:
    cookies = engine().cookies
    response.set_cookie(cookies.tries, str(tries_so_far + 1), max_age=60, **cookies.attributes)


def _flow_cookies() -> dict[str, str]:
    """The cookies of pending flows that can be ours, a bounded number of them."""
    prefix = engine().cookies.flow
    found = {
        name: value
        for name, value in request.cookies.items()
        if name.startswith(prefix) and STATE.fullmatch(name.removeprefix(prefix))
    }
    return dict(list(found.items())[:MOST_COOKIES])


def _forget_oldest_flows(room: int) -> None:
    """Keep the latest pending flows, as many as fit into `room` bytes."""
    sealed = _flow_cookies()
    if sum(len(name) + len(value) for name, value in sealed.items()) <= room:
        return
    flows = {name: _unseal(name, value) for name, value in sealed.items()}
    began = {name: flow.auth_code_flow["began"] if flow else 0 for name, flow in flows.items()}
    for name in sorted(began, key=lambda name: began[name], reverse=True):
        room -= len(name) + len(sealed[name])
        if room < 0:
            forget_cookie(name)


def _unseal(name: str, sealed: str) -> PendingFlow | None:
    fields = engine().seal.unseal(name, sealed, max_age=LIFETIME)
    return PendingFlow(**fields) if fields else None
