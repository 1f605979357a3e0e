"""Fills the app's store with copies of one session, through the app's own store and in its own format.

``python -m benchmarks.fill COUNT COOKIE``, in the app's environment; COOKIE is a signed-in browser's header.
"""

import sys
from http.cookies import SimpleCookie

import app


def fill(count: int, cookie_header: str) -> None:
    """Make ``count`` more sessions with the data and the tokens of the one that the cookie names."""
    session_id = SimpleCookie(cookie_header)[app.app.config["SESSION_COOKIE_NAME"]].value
    data, token_cache = app.records.read(session_id), app.records.token_cache(session_id)
    for _ in range(count):
        app.records.start(dict(data), token_cache)


if __name__ == "__main__":
    fill(int(sys.argv[1]), sys.argv[2])
