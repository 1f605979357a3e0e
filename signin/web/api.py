"""Access tokens, and calls to web APIs with them."""

import json
import logging
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flask import g

from signin.oidc import (
    HttpError,
    HttpOverloaded,
    HttpTimeout,
    InteractionRequired,
    Response,
    SignInRequired,
    claims_challenge,
    printable,
)
from signin.sessions import LockTimeout, SessionEnded

from .engine import api_origin, engine, without_query
from .exceptions import TooBusy
from .session import renew_claims, this_session
from .shared_calls import ShareTaken, TooManyWaiting
from .words import ApiWords, words_for_api

log = logging.getLogger(__name__)

LOCK_PATIENCE = 10.0  # seconds to wait for another worker's refresh; a token request takes up to 8
SHOWN_HEADERS = ("Content-Type", "WWW-Authenticate", "Location", "Retry-After")
LONGEST_JSON = 200_000  # characters that are laid out with indentation, which can make a page of any size


@dataclass(frozen=True)
class ApiAnswer:
    """The result of a call to a web API.

    `failure` is "" when the API answered, else "timeout" or "unreachable". `body` is text for people, and
    `kind` says what it is: "json", "text" or "" when there is none.
    """

    method: str
    url: str
    response: Response | None
    failure: str
    milliseconds: int
    reference: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def status(self) -> int:
        """The API's HTTP status; 0 without an answer."""
        return self.response.status if self.response else 0

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def page_status(self) -> int:
        """The HTTP status of a page that shows this answer."""
        if self.ok:
            return 200
        return 504 if self.failure == "timeout" else 502

    @property
    def words(self) -> ApiWords:
        """What to say about the answer."""
        return words_for_api(self.status, self.failure)

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers if self.response else {}

    @property
    def shown_headers(self) -> list[tuple[str, str]]:
        """The headers that explain an answer. A redirect may repeat a key of the URL, so its query is cut."""
        shown = [(name, self.headers.get(name, "")) for name in SHOWN_HEADERS]
        return [(name, _cut_query(value) if name == "Location" else value) for name, value in shown if value]

    @property
    def truncated(self) -> bool:
        return bool(self.response and self.response.truncated)

    @property
    def kind(self) -> str:
        return self._readable[0]

    @property
    def body(self) -> str:
        return self._readable[1]

    @property
    def json(self) -> Any:
        """The parsed JSON of the answer. None without an answer, and for one that is not JSON."""
        try:
            return json.loads(self._text) if self._text.strip() else None
        except (ValueError, RecursionError):
            return None

    @property
    def _text(self) -> str:
        return self.response.text.removeprefix("\ufeff") if self.response else ""

    @cached_property
    def _readable(self) -> tuple[str, str]:
        text = self._text
        if not text.strip():
            return "", ""
        pretty = ""
        try:
            for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(text)):
                pretty += piece
                if len(pretty) > LONGEST_JSON:
                    return "json", text
            return "json", printable(pretty)
        except (ValueError, RecursionError):
            return "text", text


def _cut_query(location: str) -> str:
    try:
        return without_query(location)
    except ValueError:
        return "malformed"


def call_api(
    url: str,
    scopes: str | Collection[str],
    method: str = "GET",
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> ApiAnswer:
    """Call a web API for the signed-in user, with an access token for `scopes`. `body` is sent as JSON.

    The token goes only to the host of ENDPOINT and those that `SignInApp.allow_api` was given, because a URL
    can hold text that came with a request.

    If the API wants more of the user's sign-in than the token shows (RFC 6750 section 3, and Microsoft Learn,
    "Claims challenges"), the call is repeated once with a new token. If that is not enough, only the user can
    help. Raises SignInRequired or InteractionRequired, which `sign_in_required` turns into a way through the
    sign-in service, and what `access_token` raises; ValueError for a URL of another host, or one that is
    neither https nor on this machine.
    """
    origin, wanted = api_origin(url), scope_names(scopes)
    if origin not in engine().apis:
        raise ValueError(f"access tokens may not go to {origin}. To allow it, call app.allow_api in app.py")
    answer = _send(method, url, access_token(wanted), body, headers)
    challenge = _claims_challenge(answer)
    if not challenge:
        return answer
    answer = _send(method, url, access_token(wanted, claims_challenge=challenge), body, headers)
    challenge = _claims_challenge(answer)
    if challenge:
        error = InteractionRequired("the API wants more of the sign-in", claims=challenge)
        error.scopes = error.wanted = wanted
        raise error
    return answer


def scope_names(scopes: str | Collection[str]) -> tuple[str, ...]:
    """The scopes one by one. A string has them separated by spaces (RFC 6749 section 3.3)."""
    return tuple(scopes.split() if isinstance(scopes, str) else scopes)


def _claims_challenge(answer: ApiAnswer) -> str | None:
    return claims_challenge(answer.headers.get("WWW-Authenticate", "")) if answer.status == 401 else None


def _send(method: str, url: str, token: str, body: object, headers: Mapping[str, str] | None) -> ApiAnswer:
    sent = {"Authorization": f"Bearer {token}", "Accept": "application/json", **(headers or {})}
    content = None
    if body is not None:
        sent["Content-Type"] = "application/json"
        content = json.dumps(body).encode()
    began, response, failure = time.perf_counter(), None, ""
    try:
        with engine().api_shares.one_of(this_session().sid):
            response = engine().apis[api_origin(url)].request(method, url, body=content, headers=sent)
    except HttpOverloaded as error:
        raise TooBusy("too many calls to web APIs are under way") from error
    except ShareTaken as error:
        raise TooBusy("too many calls of this session to web APIs are under way") from error
    except HttpError as error:
        failure = "timeout" if isinstance(error, HttpTimeout) else "unreachable"
        log.warning("web API: no answer from %s: %s", without_query(url), error)
    milliseconds = round((time.perf_counter() - began) * 1000)
    answer = ApiAnswer(method, without_query(url), response, failure, milliseconds)
    if not answer.ok:
        form = "web API: %s %s status=%s reference=%s"
        log.warning(form, method, answer.url, answer.status or failure, answer.reference)
    return answer


def access_token(scopes: str | Collection[str], *, claims_challenge: str | None = None) -> str:
    """An access token for the signed-in user and these scopes of one API.

    Of parallel requests one refreshes the token. A few wait and share the outcome, the others get TooBusy.
    Raises SignInRequired, InteractionRequired, ProviderUnavailable, SetupFault, TokenRefused, StoreError,
    TooBusy or SessionEnded.
    """
    wanted = scope_names(scopes)
    session, parts = this_session(), engine()
    if not session:
        raise SignInRequired("nobody is signed in")
    session_id, account_id = session.sid, session["account_id"]
    used_before: dict[tuple[str, ...], str] = g.setdefault(
        "access_tokens", {}
    )  # a guard and a view of one request use the same token
    if not claims_challenge:
        cached = used_before.get(wanted) or parts.client.cached_access_token(
            parts.records.tokens(session_id), account_id, wanted
        )
        if cached:
            used_before[wanted] = cached
            return cached

    def refresh() -> str:
        parts.client.warm_up()  # so that the lock is held for one request to the provider
        with parts.records.lock_tokens(session_id, patience=LOCK_PATIENCE):
            token = parts.client.refresh_access_token(
                parts.records.tokens(session_id),
                account_id,
                session["user_id"],
                wanted,
                claims_challenge=claims_challenge,
            )
            kept = not token.token_cache or parts.records.replace_tokens(
                session_id, dict(session), token.token_cache
            )
        if not kept:
            raise SessionEnded("the session has ended while its tokens were refreshed")
        if token.claims:
            renew_claims(token.claims)
        return token.secret

    try:
        # Waiting holds a thread as a call does, so it takes a slot of the bulkhead too.
        with parts.client.http.bulkhead:
            used_before[wanted] = parts.refreshes.run((session_id, wanted, claims_challenge), refresh)
    except InteractionRequired as error:
        error.wanted = wanted
        raise
    except (HttpOverloaded, LockTimeout, TooManyWaiting) as error:
        raise TooBusy("too many requests wait for this session's tokens") from error
    return used_before[wanted]
