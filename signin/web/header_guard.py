"""Keep hostile headers away from Werkzeug's parsers.

Werkzeug's cookie pattern backtracks quadratically over blanks after a "=": 130 kB of them take more than ten
seconds of CPU. Its parser for Accept needs a second for 2 MB. The interpreter serves nobody else meanwhile.
So headers are limited, and the blanks between cookies are collapsed, before anything parses them.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, Response, after_this_request, request

from .exceptions import CookiesTooLarge, HeaderTooLarge
from .responses import forget_cookie

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LARGEST_COOKIES = 16_000  # characters; our own cookies take up to about 9,000
LARGEST_HEADER = 8_190  # characters of any other header, which may have come in several lines
LOOKED_THROUGH = 33_000  # characters in which our own cookies are looked for; nginx lets no more through
MOST_NAMES = 20  # cookies of ours that a response can remove
NEEDS_NO_HEADERS = ("static", "healthz")  # the page that refuses a request has a style sheet
BLANKS = re.compile(r"[ \t]+")
COOKIES_TOO_LARGE = "signin.cookies_too_large"
HEADER_TOO_LARGE = "signin.header_too_large"


@dataclass(frozen=True)
class TooManyCookies:
    """What to know about a Cookie header that was refused."""

    our_names: list[str]
    too_many_without_ours: bool


class HeaderGuard:
    """WSGI middleware that limits headers. `add_header_guard` puts it in front of an app."""

    def __init__(self, wsgi_app: "WSGIApplication", prefix: str) -> None:
        self._wsgi_app = wsgi_app
        self._our_cookie = re.compile(rf"(?:^|;)\s*({re.escape(prefix)}[\w-]{{1,80}})=[^;]*", re.ASCII)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> object:
        cookies = environ.pop("HTTP_COOKIE", "")
        large = [
            name
            for name, value in environ.items()
            if isinstance(value, str) and len(value) > LARGEST_HEADER and _is_header(name)
        ]
        for name in large:
            environ[HEADER_TOO_LARGE] = name
            del environ[name]
        if len(cookies) > LARGEST_COOKIES:
            environ[COOKIES_TOO_LARGE] = self._look_through(cookies)
        elif cookies:
            environ["HTTP_COOKIE"] = BLANKS.sub(" ", cookies)
        return self._wsgi_app(environ, start_response)

    def _look_through(self, cookies: str) -> TooManyCookies:
        ours = list(self._our_cookie.finditer(cookies[:LOOKED_THROUGH]))
        names = list(dict.fromkeys(cookie[1] for cookie in ours))
        without_ours = len(cookies) - sum(len(cookie[0]) for cookie in ours)
        return TooManyCookies(names[:MOST_NAMES], without_ours > LARGEST_COOKIES)


def add_header_guard(app: Flask, prefix: str) -> None:
    """Refuse requests to `app` with too large a header.

    Cookies of sibling subdomains can fill the Cookie header. The page that refuses it removes our cookies,
    so that the user can at least start again. If that is not enough, it asks the browser to remove all
    cookies of the domain, because the user would be locked out otherwise.
    """
    app.wsgi_app = HeaderGuard(app.wsgi_app, prefix)  # type: ignore[method-assign, assignment]

    @app.before_request
    def refuse_large_headers() -> None:
        environ = request.environ
        found: TooManyCookies | None = environ.get(COOKIES_TOO_LARGE)
        name: str | None = environ.get(HEADER_TOO_LARGE)
        if not (found or name) or request.endpoint in NEEDS_NO_HEADERS:
            return
        if found:
            for cookie in found.our_names:
                forget_cookie(cookie)
            if found.too_many_without_ours:
                after_this_request(_clear_all_cookies)
            raise CookiesTooLarge(f"a Cookie header of more than {LARGEST_COOKIES} characters")
        raise HeaderTooLarge(f"{name} has more than {LARGEST_HEADER} characters")


def _is_header(name: str) -> bool:
    return name.startswith("HTTP_") or name == "CONTENT_TYPE"


def _clear_all_cookies(response: Response) -> Response:
    """W3C, "Clear Site Data", section 3.1."""
    response.headers["Clear-Site-Data"] = '"cookies"'
    return response
