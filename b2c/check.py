"""What can be known about the set-up before anybody signs in."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

import requests

from .authority import Authority, Reply, Server
from .client import CLOCK_SKEW, Client
from .problems import Problem, SetupFault, short
from .records import STORE_ERRORS, Records


@dataclass(frozen=True)
class Finding:
    """One line of the report; `advice` says what to do when `ok` is false."""

    what: str
    ok: bool
    detail: str
    advice: str = ""


def findings(client: Client, records: Records, endpoint: str | None) -> Iterator[Finding]:
    """Check the registration, every user flow, the clock, the secret, the session store and the web API."""
    yield Finding("settings", True, f"complete and well-formed; scope: {' '.join(client.scopes) or 'none'}")
    yield _finding("redirect URI", lambda: _redirect_uri(client))
    metadata = [
        _finding(f"user flow {authority.user_flow}", lambda a=authority: _metadata(a))
        for authority in client.authorities.values()
    ]
    yield from metadata
    for user_flow, found in zip(client.authorities, metadata, strict=True):
        if found.ok:
            yield _finding(f"sign-in request to {user_flow}", lambda u=user_flow: _request(client, u))
    if metadata[0].ok:
        sign_in = next(iter(client.authorities.values()))
        yield _finding("clock", lambda: _clock(sign_in))
        yield _finding("client secret", lambda: _secret(client, sign_in))
    else:
        yield Finding("clock and client secret", False, "not checked: they need the sign-in user flow")
    yield _finding("session store", lambda: _store(records))
    if endpoint:
        yield _finding("web API", lambda: _api(endpoint))


def _finding(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except Problem as problem:
        return Finding(what, False, str(problem).splitlines()[0], problem.operator)


def _fault(detail: str, advice: str) -> SetupFault:
    fault = SetupFault(detail)
    fault.operator = advice
    return fault


def _redirect_uri(client: Client) -> str:
    origin = urlsplit(client.redirect_uri)
    secure = "cookies are Secure" if origin.scheme == "https" else "http, so good for this machine only"
    return f"register {client.redirect_uri} and {origin.scheme}://{origin.netloc}/ as Web; {secure}"


def _metadata(authority: Authority) -> str:
    try:
        issuer = authority.metadata["issuer"]
    except SetupFault as fault:
        if "misspelt" in str(fault):
            fault.operator = (
                "Check the user flow's name in the Azure portal; if none is found, look at B2C_TENANT_NAME "
                f"and AUTHORITY_TEMPLATE. Tried {authority.metadata_url}"
            )
        raise
    return f"issuer {issuer}, {len(authority.signing_keys)} signing key(s)"


def _clock(authority: Authority) -> str:
    date = authority.date()
    if not date:
        return "the tenant does not say what time it is"
    try:
        seconds = time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError as error:
        raise _fault(
            f"the tenant's Date header {date[:40]!r} cannot be read", "Look at what is in between."
        ) from error
    if abs(seconds) > CLOCK_SKEW / 2:
        ahead = "ahead of" if seconds > 0 else "behind"
        raise _fault(
            f"{abs(seconds):.0f} s {ahead} the tenant's", "Set this machine's clock; let it be kept by NTP."
        )
    return f"{seconds:+.0f} s against the tenant's"


def _request(client: Client, user_flow: str) -> str:
    """Send the authorization request without a user: what is wrong with it comes back at once."""
    scopes = client.scopes if user_flow == next(iter(client.authorities)) else ()
    uri = client.begin(user_flow, scopes=scopes)["auth_uri"]
    reply = _get(uri)
    answer = dict(parse_qsl(urlsplit(reply.headers.get("Location", "")).query))
    if "error" in answer:
        raise client.problem(answer)
    if reply.status_code >= 400:
        raise _fault(
            f"the sign-in page answers {reply.status_code}",
            "Open it in a browser to see why; usually CLIENT_ID or the redirect URI: " + uri,
        )
    return "client id, redirect URI and scopes are accepted"


def _secret(client: Client, authority: Authority) -> str:
    """Redeem a made-up code: the secret is refused before the code is, where the tenant tells them apart."""
    problem = client.problem(client.redeem_made_up_code(authority.user_flow))
    if isinstance(problem, SetupFault):
        raise problem
    return "not refused"


def _store(records: Records) -> str:
    try:
        session_id = records.start({"started": int(time.time())}, "check")
        kept = records.token_cache(session_id)
        records.end(session_id)
    except STORE_ERRORS as error:
        raise _fault(short(error), "Check REDIS_URL, or the space and permissions of SESSION_DIR.") from error
    if kept != "check":
        raise _fault("what was written could not be read back", "Look for another program using the store.")
    return "written and read back"


def _api(endpoint: str) -> str:
    status = _get(endpoint).status_code
    if status < 300:
        return f"{endpoint} answers {status} without a token: is it protected?"
    if status not in (401, 403):
        raise _fault(f"{endpoint} answers {status} without a token", "Check ENDPOINT and the API's own log.")
    return f"{endpoint} answers {status} without a token, as it should"


def _get(url: str) -> Reply:
    try:
        return Server(url).request("GET", url)
    except requests.RequestException as error:
        raise _fault(
            f"no answer: {short(error)}", f"Is it running, and can this machine reach {url}?"
        ) from error
