"""Where the servers of a tenant are, and by which name a request reached them."""

from collections.abc import Sequence
from contextvars import ContextVar
from urllib.parse import urlsplit

LOOPBACK, IPV6_LOOPBACK = "127.0.0.1", "::1"
CONTAINER_HOST = "host.docker.internal"  # what containers call the machine that they run on

_asked: ContextVar[str] = ContextVar("asked", default="")


class Origins:
    """The origins of pages, back channel and web API, once the servers have their ports.

    When all of them are https, pages and back channel have one origin: that of the request at hand, so that
    metadata is consistent for clients with other names for this machine. `hosts` are the names that are
    accepted.
    """

    def __init__(self) -> None:
        self.hosts: tuple[str, ...] = (LOOPBACK, "localhost")
        self.https = False
        self.api = ""
        self._pages = self._back_channel = ""

    def set(self, origins: Sequence[str]) -> None:
        """Take the origins of pages, back channel and API, or of both pages and back channel, and API."""
        self._pages, self._back_channel, self.api = origins[0], origins[-2], origins[-1]

    def answer_as(self, origin: str) -> None:
        """Name `origin` in the answer to the current request. With "", name 127.0.0.1."""
        _asked.set(origin if self.https else "")

    @property
    def pages(self) -> str:
        return _asked.get() or self._pages

    @property
    def back_channel(self) -> str:
        return _asked.get() or self._back_channel

    @property
    def port(self) -> int:
        """The port of the pages on this machine."""
        parts = urlsplit(self._pages)
        return parts.port or (443 if parts.scheme == "https" else 80)

    def here(self, url: str) -> str:
        """`url` with the name for this machine that the request at hand uses."""
        parts = urlsplit(url)
        if not self.https or parts.hostname not in self.hosts:
            return url
        return f"{self.back_channel}{parts.path}"
