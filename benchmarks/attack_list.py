"""The attacks of ``benchmarks.attacks``: how many requests come at once, and what each of them is."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import parse_qs, urlsplit

from .raw_http import RawRequest
from .rig import AppServer
from .stand_in.dripping import EMPTY_MEMBERS, WAYS
from .visitor import Visitor, same_origin

HEADER_FIELDS = 16
FIELD_BYTES = 8100  # gunicorn refuses header fields above 8,190
SESSION_ID_LENGTH = 43
SLOW = 6  # seconds

MakeRequest = Callable[[], RawRequest]


@dataclass(frozen=True)
class Attack:
    """``prepare`` is called before anything is slow, and returns what makes each request."""

    name: str
    at_once: int
    prepare: Callable[[AppServer], MakeRequest]
    slow: dict[str, float] = field(default_factory=dict)  # seconds by endpoint of the stand-in
    drip: str = ""  # a way of stand_in/dripping.py in which the API answers
    stop_redis: bool = False  # Redis hangs meanwhile
    cold: bool = False  # the app has just started and has no metadata yet


def cookie_fields(pair: str) -> list[tuple[str, str]]:
    """Return 16 Cookie headers full of copies of ``pair``, each with another number in it."""
    longest = len(pair.format(99_999)) + len("; ")
    each = FIELD_BYTES // longest
    starts = range(0, HEADER_FIELDS * each, each)
    return [("Cookie", "; ".join(pair.format(start + n) for n in range(each))) for start in starts]


def nothing(server: AppServer) -> MakeRequest:
    return lambda: RawRequest("GET", "/healthz")


def blanks_in_cookie(server: AppServer) -> MakeRequest:
    """Werkzeug's cookie parser backtracks over blanks after the equals sign."""
    cookie = "a=" + " " * FIELD_BYTES + '"x;'
    return lambda: RawRequest("GET", "/", [("Cookie", cookie)] * HEADER_FIELDS)


def short_session_ids(server: AppServer) -> MakeRequest:
    return _sign_out_with(server, f"{session_cookie_name(server)}={{}}")


def well_formed_session_ids(server: AppServer) -> MakeRequest:
    return _sign_out_with(server, f"{session_cookie_name(server)}={{:0{SESSION_ID_LENGTH}}}")


def flow_cookies_at_sign_out(server: AppServer) -> MakeRequest:
    return _sign_out_with(server, f"{flow_cookie_prefix(server)}{{}}=x")


def flow_cookies_at_sign_in(server: AppServer) -> MakeRequest:
    cookies = cookie_fields(f"{flow_cookie_prefix(server)}{{}}=x")
    return lambda: RawRequest("GET", "/login", cookies)


def _sign_out_with(server: AppServer, pair: str) -> MakeRequest:
    headers = [*same_origin(server.url).items(), *cookie_fields(pair)]
    return lambda: RawRequest("POST", "/logout", headers)


def api_calls_of_one_user(server: AppServer, first_lifetime: int = 0) -> MakeRequest:
    visitor = Visitor(server.url)
    visitor.sign_in(first_lifetime)
    return lambda: RawRequest("GET", "/call_downstream_api", [("Cookie", cookie_header(visitor))])


def refreshes_of_one_user(server: AppServer) -> MakeRequest:
    return api_calls_of_one_user(server, first_lifetime=1)


def refreshes_of_many_users(server: AppServer) -> MakeRequest:
    visitors = [Visitor(server.url) for _ in range(64)]
    for visitor in visitors:
        visitor.sign_in(first_lifetime=1)
    cookies = cycle([cookie_header(visitor) for visitor in visitors])
    return lambda: RawRequest("GET", "/call_downstream_api", [("Cookie", next(cookies))])


def refreshes_and_api_calls(server: AppServer) -> MakeRequest:
    makers = cycle([refreshes_of_many_users(server), api_calls_of_one_user(server)])
    return lambda: next(makers)()


def accept_headers(server: AppServer) -> MakeRequest:
    """Werkzeug's parser for Accept needs 0.5 s for a megabyte."""
    accept = "a," * (FIELD_BYTES // 2)
    return lambda: RawRequest("GET", "/login", [("Accept", accept)] * 60)


def home_pages(server: AppServer) -> MakeRequest:
    cookie = signed_in_cookie(server)
    return lambda: RawRequest("GET", "/", [("Cookie", cookie)])


def sign_outs(server: AppServer) -> MakeRequest:
    headers = [*same_origin(server.url).items(), ("Cookie", signed_in_cookie(server))]
    return lambda: RawRequest("POST", "/logout", headers)


def signed_in_cookie(server: AppServer) -> str:
    visitor = Visitor(server.url)
    visitor.sign_in()
    return cookie_header(visitor)


def junk_callbacks(server: AppServer) -> MakeRequest:
    """Strangers who come back from the tenant with a code that the tenant never gave."""
    visitor = Visitor(server.url)
    authorization_request = urlsplit(visitor.start_sign_in())
    state = parse_qs(authorization_request.query)["state"][0]
    cookie = cookie_header(visitor)

    def make() -> RawRequest:
        code = secrets.token_urlsafe(600)  # a new one each time: MSAL caches refusals
        return RawRequest("GET", f"/getAToken?state={state}&code={code}", [("Cookie", cookie)])

    return make


def sign_ins(server: AppServer) -> MakeRequest:
    return lambda: RawRequest("GET", "/login")


def half_requests(server: AppServer) -> MakeRequest:
    return lambda: RawRequest("GET", "/", half=True)


def cookie_header(visitor: Visitor) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items())


def session_cookie_name(server: AppServer) -> str:
    visitor = Visitor(server.url)
    visitor.sign_in()
    names: list[str] = visitor.client.cookies.keys()
    return next(name for name in names if name.endswith("session"))


def flow_cookie_prefix(server: AppServer) -> str:
    visitor = Visitor(server.url)
    state = parse_qs(urlsplit(visitor.start_sign_in()).query)["state"][0]
    names: list[str] = visitor.client.cookies.keys()
    return next(name.removesuffix(state) for name in names if name.endswith(state))


ATTACKS = [
    Attack("none", 1, nothing),
    Attack("8 GET /, 16 Cookie headers full of blanks", 8, blanks_in_cookie),
    Attack("8 GET /login, 60 Accept headers", 8, accept_headers),
    Attack("64 POST /logout, thousands of short session ids", 64, short_session_ids),
    Attack("64 POST /logout, thousands of well-formed session ids", 64, well_formed_session_ids),
    Attack("64 POST /logout, thousands of flow cookies", 64, flow_cookies_at_sign_out),
    Attack("64 GET /login, thousands of flow cookies", 64, flow_cookies_at_sign_in),
    Attack("64 API calls of one user, token endpoint takes 6 s", 64, refreshes_of_one_user, {"token": SLOW}),
    Attack(
        "64 API calls of 64 users, token endpoint takes 6 s", 64, refreshes_of_many_users, {"token": SLOW}
    ),
    Attack(
        "64 API calls, token endpoint and API take 6 s",
        64,
        refreshes_and_api_calls,
        {"token": SLOW, "api": SLOW},
    ),
    Attack("64 junk callbacks, token endpoint takes 6 s", 64, junk_callbacks, {"token": SLOW}),
    Attack("64 cold GET /login, metadata takes 6 s", 64, sign_ins, {"metadata": SLOW}, cold=True),
    *(Attack(f"64 API calls, the API drips: {way}", 64, api_calls_of_one_user, drip=way) for way in WAYS),
    Attack("4 API calls, 200 MB of empty gzip members", 4, api_calls_of_one_user, drip=EMPTY_MEMBERS),
    Attack("64 home pages, Redis hangs", 64, home_pages, stop_redis=True),
    Attack("64 POST /logout, Redis hangs", 64, sign_outs, stop_redis=True),
    Attack("150 half-sent requests, no proxy in front", 150, half_requests),
]
