"""Keep a hostile Cookie header away from Werkzeug's parser.

Werkzeug's cookie pattern backtracks quadratically over blanks after a "=": 130 kB of them take more than ten
seconds of CPU, and the interpreter serves nobody else meanwhile. So the header is limited, and its blanks are
collapsed, before anything parses it.
"""

import re
from typing import TYPE_CHECKING

from flask import Flask, request

from .exceptions import CookiesTooLarge
from .responses import forget_cookie

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LARGEST_HEADER = 16_000  # characters; our own cookies take up to about 9,000
MOST_NAMES = 50  # cookies of ours that a response can remove
BLANKS = re.compile(r"[ \t]+")
REFUSED = "signin.refused_cookie_names"


class CookieGuard:
    """WSGI middleware that limits the Cookie header. `add_cookie_guard` puts it in front of an app."""

    def __init__(self, wsgi_app: "WSGIApplication", prefix: str) -> None:
        self._wsgi_app, self._prefix = wsgi_app, prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> object:
        header = environ.get("HTTP_COOKIE", "")
        if len(header) > LARGEST_HEADER:
            environ[REFUSED] = self._our_names(header)
            del environ["HTTP_COOKIE"]
        elif header:
            environ["HTTP_COOKIE"] = BLANKS.sub(" ", header)
        return self._wsgi_app(environ, start_response)

    def _our_names(self, header: str) -> list[str]:
        names = {part.partition("=")[0].strip() for part in header.split(";")}
        ours = [name for name in names if re.fullmatch(re.escape(self._prefix) + r"[\w-]{1,80}", name)]
        return ours[:MOST_NAMES]


def add_cookie_guard(app: Flask, prefix: str) -> None:
    """Refuse requests to `app` with too large a Cookie header, with a page that removes our cookies.

    Cookies of sibling subdomains can fill the header. Without ours the user can at least start again.
    """
    app.wsgi_app = CookieGuard(app.wsgi_app, prefix)  # type: ignore[method-assign, assignment]

    @app.before_request
    def refuse_large_cookies() -> None:
        names = request.environ.get(REFUSED)
        if names is not None:
            for name in names:
                forget_cookie(name)
            raise CookiesTooLarge(f"a Cookie header of more than {LARGEST_HEADER} characters")
