"""Connections that stay open from one test to the next: a new one costs more than a request on it."""

import requests
from requests.adapters import HTTPAdapter


class SharedConnections(HTTPAdapter):
    """The connections of all sessions of this process. No session closes them."""

    def close(self) -> None:
        pass


SHARED = SharedConnections(pool_connections=200)


def http_session() -> requests.Session:
    """A session with cookies and headers of its own, on connections that it shares with others."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, SHARED)
    return session
