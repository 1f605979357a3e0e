"""Pooled HTTP connections on which every call is bounded: in time, in size, and in number.

urllib3's timeouts restart with each byte that arrives, so a server can stretch an answer for as long as it
likes. Here each connect and each read gets only the time that is left until the call's deadline.
"""

import contextlib
import http.client
import io
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import certifi
import requests
import urllib3
from requests.utils import get_auth_from_url, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

DEADLINE = 8.0  # seconds for a whole exchange
CONNECT_TIMEOUT = 3.05  # seconds for one address; above 3, TCP's first retransmission
MOST_IDLE = 60.0  # seconds; firewalls and load balancers drop connections that idle, often silently
LARGEST_BODY = 1 << 20  # bytes
MOST_CALLS = 24  # at a time to all servers together; gunicorn.conf.py has 32 threads
MOST_LOOKUPS = 4  # at a time for one host name

RETRIES = urllib3.Retry(
    total=1, connect=1, read=1, other=0, allowed_methods={"GET"}, respect_retry_after_header=False
)

_deadline: ContextVar[float] = ContextVar("deadline")  # of the call under way in this thread, monotonic


class HttpError(Exception):
    """No whole answer was received."""


class HttpTimeout(HttpError):
    """No whole answer arrived before the deadline."""


class HttpNameNotResolved(HttpError):
    """The host's name could not be resolved."""


class HttpOverloaded(HttpError):
    """All slots of the bulkhead are taken."""


@dataclass(frozen=True)
class Response:
    """An HTTP answer. `text` is cut after LARGEST_BODY bytes; `truncated` says so. `headers` ignore case."""

    status: int
    headers: Mapping[str, str]
    text: str
    truncated: bool = False


class Bulkhead:
    """A number of slots for calls that leave the process, so that slow ones cannot take every thread.

    A call that takes a slot takes one of the bulkhead `within` too. A thread that is inside may enter again
    without another slot.
    """

    def __init__(self, slots: int, *, within: "Bulkhead | None" = None):
        self._slots = threading.Semaphore(slots)
        self._within = within
        self._inside = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._inside, "depth", 0)
        if depth == 0:
            self._take_slot()
        self._inside.depth = depth + 1

    def __exit__(self, *exception: object) -> None:
        self._inside.depth -= 1
        if self._inside.depth == 0:
            self._slots.release()
            if self._within:
                self._within.__exit__()

    def _take_slot(self) -> None:
        if self._within:
            self._within.__enter__()
        if not self._slots.acquire(blocking=False):
            if self._within:
                self._within.__exit__()
            raise HttpOverloaded("too many calls are under way")


ALL_CALLS = Bulkhead(MOST_CALLS)  # of this process


class HttpClient:
    """An HTTP client for a few servers, to which at most `most_calls` are under way at a time.

    It follows no redirect, sends no cookie, reads no ~/.netrc and asks for no compression. Proxies and the CA
    bundle come from the environment, as in requests, once, as they apply to the URL `ca_for`.
    """

    def __init__(
        self,
        name: str,
        *,
        most_calls: int = 12,
        within: Bulkhead = ALL_CALLS,
        ca_for: str,
        deadline: float | None = None,
        use_proxies: bool = True,
    ):
        self.name = name
        self.bulkhead = Bulkhead(most_calls, within=within)
        self._own_deadline = deadline
        environment = requests.Session().merge_environment_settings(ca_for, {}, None, None, None)
        self._verify = environment["verify"]
        self._proxy: str | None = select_proxy(ca_for, environment["proxies"]) if use_proxies else None
        self._most_calls = most_calls
        self._starting = threading.Lock()
        self._manager: urllib3.PoolManager | None = None

    @property
    def _deadline(self) -> float:
        return DEADLINE if self._own_deadline is None else self._own_deadline

    def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send one request and read the answer. Raises HttpError.

        A connection that cannot be made is tried once more, and so is a GET whose connection breaks.
        """
        with self.bulkhead:
            try:
                connections = self._connections()
                running = _deadline.set(time.monotonic() + self._deadline)
                try:
                    return self._exchange(connections, method, url, body, headers or {})
                finally:
                    _deadline.reset(running)
            except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                raise _translated(error, self._deadline) from error

    def _exchange(
        self,
        connections: urllib3.PoolManager,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Response:
        response = connections.urlopen(
            method,
            url,
            body=body,
            headers={"Accept-Encoding": "identity", "User-Agent": "python-urllib3", **headers},
            redirect=False,
            retries=RETRIES,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=self._deadline),
            preload_content=False,
            decode_content=False,
        )
        with _closed_unless_read(response):
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.lower() != "identity":
                raise HttpError(
                    f"the answer is compressed ({encoding[:20]!r}), although that was not asked for"
                )
            received = bytearray()
            while len(received) <= LARGEST_BODY and (piece := response.read1(1 << 16, decode_content=False)):
                received += piece
        text = bytes(received[:LARGEST_BODY]).decode("utf-8", "replace")
        return Response(response.status, response.headers, text, len(received) > LARGEST_BODY)

    def _connections(self) -> urllib3.PoolManager:
        with self._starting:
            if self._manager is None:
                self._manager = self._new_manager()
            return self._manager

    def _new_manager(self) -> urllib3.PoolManager:
        options: dict[str, Any] = {"maxsize": self._most_calls, "ssl_context": self._ssl_context()}
        manager: urllib3.PoolManager
        if self._proxy:
            user, secret = get_auth_from_url(self._proxy)
            proxy_headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{secret}") if user else {}
            manager = urllib3.ProxyManager(self._proxy, proxy_headers=proxy_headers, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager

    def _ssl_context(self) -> Any:
        """One for all connections: loading the certificates takes longer than a request."""
        context = create_urllib3_context()
        bundle = self._verify if isinstance(self._verify, str) else certifi.where()
        try:
            if os.path.isdir(bundle):  # noqa: PTH112 - as requests tells the two apart
                context.load_verify_locations(capath=bundle)
            else:
                context.load_verify_locations(cafile=bundle)
        except OSError as error:
            raise HttpError(f"the CA bundle {bundle} cannot be read: {error}") from error
        return context


@contextlib.contextmanager
def _closed_unless_read(response: urllib3.BaseHTTPResponse) -> Iterator[None]:
    """Give the connection back to the pool; close it first if something is left to read on it."""
    try:
        yield
    finally:
        if not response.closed:
            response.close()
        response.release_conn()


def _translated(error: Exception, deadline: float) -> HttpError:
    cause: BaseException = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    # urllib3 puts a connection's own description before the message.
    said = cause.__cause__ if isinstance(cause, NewConnectionError) and cause.__cause__ else cause
    detail = f"{type(said).__name__}: {str(said)[:200]!r}"
    if isinstance(cause, NameResolutionError):
        return HttpNameNotResolved(detail)
    # urllib3 counts a refused connection among the time-outs.
    timed_out = isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError)
    if timed_out and not isinstance(cause, NewConnectionError):
        return HttpTimeout(f"no whole answer within {deadline:g} seconds: {detail}")
    return HttpError(detail)


# --- Connections that keep the deadline ---------------------------------------------------------------------


def _time_left() -> float:
    """Seconds until the deadline of the call under way. Raises TimeoutError when there are none."""
    seconds = _deadline.get() - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


_Addresses = list[tuple[Any, ...]]  # as getaddrinfo gives them
_lookups: dict[str, threading.Semaphore] = {}  # by host name


def _look_up(host: str, port: int) -> _Addresses:
    """The addresses of `host`. Raises TimeoutError at the deadline, and what getaddrinfo raises.

    getaddrinfo takes no time limit, so it runs in a thread that can be left behind. A name whose lookups hang
    occupies few threads, and none that other names need.
    """
    slots = _lookups.setdefault(host, threading.Semaphore(MOST_LOOKUPS))
    if not slots.acquire(timeout=_time_left()):
        raise TimeoutError("earlier lookups of this name hang")
    found: Future[_Addresses] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)
        finally:
            slots.release()

    try:
        threading.Thread(target=look_up, daemon=True).start()
    except RuntimeError as error:
        slots.release()
        raise OSError("no thread for a lookup") from error
    try:
        return found.result(_time_left())
    except FutureTimeout as error:
        raise TimeoutError("the name was not resolved in time") from error


class _TimedReader(io.RawIOBase):
    """What comes from a socket, as long as the deadline allows."""

    def __init__(self, sock: socket.socket, raw: Any):
        self._sock = sock
        self._raw = raw  # holds the socket open when http.client closes its own reference (Connection: close)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_time_left())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """Status line, headers, chunks and trailers are all read through a _TimedReader."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp.detach()))


class _Timed:
    """Mixed into urllib3's connections."""

    response_class: Any = _TimedResponse
    _used_at = 0.0
    _held: list[bytes] | None = None  # what is to be sent in one piece

    def _new_conn(self) -> socket.socket:
        """A connection to the first address that answers, in the time that is left.

        urllib3's own would give every address the whole timeout.
        """
        connection: Any = self
        host = connection._dns_host.strip("[]")
        try:
            addresses = _look_up(host, connection.port)
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, f"{host}: {error}") from error
        except (socket.gaierror, UnicodeError) as error:
            gai_error = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(host, connection, gai_error) from error
        failure: OSError = OSError("getaddrinfo found no address")
        for family, kind, protocol, _, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(min(CONNECT_TIMEOUT, _time_left()))
                sock.connect(address)
                sock.settimeout(_time_left())  # for the TLS handshake
                return sock
            except OSError as error:
                sock.close()
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(connection, f"{host}: {failure}") from failure
        raise NewConnectionError(connection, str(failure)) from failure

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used_at = time.monotonic()
        sock: socket.socket | None = getattr(self, "sock", None)
        if sock:  # a pooled socket still has the previous call's time-out
            sock.settimeout(_time_left())
        self._held = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
            whole = b"".join(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        """Send `data`, or keep it until the request is complete.

        urllib3 sends headers and body one after the other, in a TLS record and a TCP segment each.
        """
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data)

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be used again. The pool opens a new one where it cannot."""
        if self._used_at and time.monotonic() - self._used_at > MOST_IDLE:
            return False
        return bool(super().is_connected)  # type: ignore[misc]


class _TimedHttpConnection(_Timed, HTTPConnection):
    pass


class _TimedHttpsConnection(_Timed, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _TimedHttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedHttpsConnection
