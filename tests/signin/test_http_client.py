"""No server can hold a call longer, or make it larger, than the client allows."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from signin.oidc.http_client import (
    LARGEST_BODY,
    MOST_LOOKUPS,
    Bulkhead,
    HttpClient,
    HttpError,
    HttpNameNotResolved,
    HttpOverloaded,
    HttpTimeout,
)

DEADLINE = 0.5  # seconds
OK = b"HTTP/1.1 200 OK\r\n"

Script = Callable[[socket.socket], None]


class RawServer:
    """Runs `script` on each connection, after it has read the request, until the client hangs up."""

    def __init__(self, script: Script):
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.connections = 0
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while request := connection.recv(1 << 16):
                self.requests.append(request)
                self._script(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()


@contextmanager
def serving(script: Script) -> Iterator[RawServer]:
    server = RawServer(script)
    try:
        yield server
    finally:
        server.close()


def client(url: str, deadline: float = 5) -> HttpClient:
    return HttpClient("test", ca_for=url, deadline=deadline)


def sends(*pieces: bytes) -> Script:
    """An answer, and then the connection stays open."""
    return lambda connection: connection.sendall(b"".join(pieces))


def repeats(start: bytes, piece: bytes, pause: float = 0.0) -> Script:
    """`start`, and then `piece` without end."""

    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in itertools.count():
            connection.sendall(piece)
            time.sleep(pause)

    return script


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n"
EMPTY_GZIP_MEMBER = bytes.fromhex("1f8b08000000000002ff03000000000000000000")

SLOW = [
    pytest.param(sends(), id="nothing at all"),
    pytest.param(repeats(b"", b"H", 0.1), id="a dripping status line"),
    pytest.param(repeats(OK + b"X: ", b"a", 0.1), id="a dripping header"),
    pytest.param(repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1), id="a dripping 100 Continue"),
    pytest.param(repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), id="a flood of 100 Continue"),
    pytest.param(repeats(CHUNKED + b"5;x=", b"a", 0.1), id="a dripping chunk extension"),
    pytest.param(repeats(CHUNKED + b"1\r\na\r\n0\r\n", b"X: a\r\n", 0.1), id="dripping trailers"),
    pytest.param(repeats(CHUNKED + b"1\r\na\r\n0\r\n", b"X: a\r\n" * 1000), id="a flood of trailers"),
    pytest.param(repeats(CHUNKED, b"1\r\na\r\n", 0.1), id="dripping chunks"),
    pytest.param(repeats(OK + b"Content-Length: 1000\r\n\r\n", b"a", 0.1), id="a dripping body"),
    pytest.param(repeats(OK + b"\r\n", b"a", 0.1), id="a dripping body without a length"),
]

ABSURD = [
    pytest.param(repeats(OK, b"X: a\r\n"), id="a flood of headers"),
    pytest.param(repeats(OK + b"X: ", b"a" * 1000), id="an endless header"),
    pytest.param(repeats(CHUNKED + b"5;x=", b"a" * 1000), id="an endless chunk extension"),
    pytest.param(repeats(GZIP + b"\r\n\x1f\x8b\x08\x08", b"a", 0.1), id="a dripping gzip file name"),
    pytest.param(repeats(GZIP + b"\r\n", EMPTY_GZIP_MEMBER * 1000), id="empty gzip members"),
    pytest.param(sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), id="another protocol"),
    pytest.param(lambda connection: connection.close(), id="a connection that is closed"),
    pytest.param(sends(CHUNKED, b"zz\r\n"), id="a chunk size that is no number"),
]


@pytest.mark.parametrize("script", SLOW)
def test_slow_answer_ends_at_the_deadline(script: Script) -> None:
    with serving(script) as server:
        began = time.monotonic()
        with pytest.raises(HttpTimeout):
            client(server.url, DEADLINE).request("GET", server.url)
        assert DEADLINE * 0.9 < time.monotonic() - began < DEADLINE + 1


@pytest.mark.parametrize("script", ABSURD)
def test_absurd_answer_is_an_error_at_once(script: Script) -> None:
    with serving(script) as server:
        began = time.monotonic()
        with pytest.raises(HttpError):
            client(server.url).request("GET", server.url)
        assert time.monotonic() - began < 2


def test_tls_handshake_that_hangs_ends_at_the_deadline() -> None:
    with serving(sends()) as server:
        url = server.url.replace("http://", "https://")
        began = time.monotonic()
        with pytest.raises(HttpTimeout):
            client(url, DEADLINE).request("GET", url)
        assert time.monotonic() - began < DEADLINE + 1


def test_large_body_is_cut() -> None:
    with serving(repeats(OK + b"\r\n", b"a" * 65536)) as server:
        response = client(server.url).request("GET", server.url)
        assert (len(response.text), response.truncated) == (LARGEST_BODY, True)


def test_body_of_the_largest_size_is_whole() -> None:
    length = b"Content-Length: %d\r\n\r\n" % LARGEST_BODY
    with serving(sends(OK, length, b"a" * LARGEST_BODY)) as server:
        response = client(server.url).request("GET", server.url)
        assert (len(response.text), response.truncated) == (LARGEST_BODY, False)


def test_body_shorter_than_its_length_is_an_error() -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 10\r\n\r\nshort")
        connection.shutdown(socket.SHUT_RDWR)

    with serving(script) as server, pytest.raises(HttpError):
        client(server.url).request("GET", server.url)


def test_connection_is_used_again() -> None:
    with serving(sends(OK, b"Content-Length: 2\r\n\r\nok")) as server:
        http = client(server.url)
        assert [http.request("POST", server.url, body=b"a=b").text for _ in range(3)] == ["ok"] * 3
        assert server.connections == 1


def test_answer_with_connection_close_is_read_whole() -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(OK + b"Connection: close\r\n\r\nok")
        time.sleep(0.05)
        connection.sendall(b" and more")
        connection.shutdown(socket.SHUT_RDWR)

    with serving(script) as server:
        http = client(server.url)
        assert [http.request("GET", server.url).text for _ in range(2)] == ["ok and more"] * 2


def test_connection_that_the_server_has_closed_fails_no_request() -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")
        connection.shutdown(socket.SHUT_RDWR)

    with serving(script) as server:
        http = client(server.url)
        for _ in range(3):
            assert http.request("POST", server.url, body=b"a=b").text == "ok"
            time.sleep(0.05)  # until the end of the connection has arrived
        assert server.connections == 3


def test_connection_from_the_pool_has_the_whole_time_again() -> None:
    def script(connection: socket.socket) -> None:
        time.sleep(0.7)
        connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    with serving(script) as server:
        http = client(server.url, deadline=1)
        assert [http.request("GET", server.url).text for _ in range(2)] == ["ok", "ok"]
        assert server.connections == 1


def test_post_is_never_sent_twice() -> None:
    with serving(lambda connection: connection.close()) as server:
        with pytest.raises(HttpError):
            client(server.url).request("POST", server.url, body=b"code=once")
        assert len(server.requests) == 1


def test_redirect_is_not_followed_and_no_cookie_kept() -> None:
    headers = b"Location: /other\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    with serving(sends(b"HTTP/1.1 302 Found\r\n", headers)) as server:
        http = client(server.url)
        assert [http.request("GET", server.url).status for _ in range(2)] == [302, 302]
        assert b"cookie" not in server.requests[1].lower()


def test_netrc_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(sends(OK, b"Content-Length: 0\r\n\r\n")) as server:
        client(server.url).request("GET", server.url, headers={"Authorization": "Bearer token"})
        assert b"Bearer token" in server.requests[0]
        assert b"Basic" not in server.requests[0]


def test_retry_after_is_not_slept_on() -> None:
    with serving(sends(b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")) as server:
        response = client(server.url).request("GET", server.url)
        assert (response.status, response.headers["retry-after"]) == (503, "5")
        assert len(server.requests) == 1


def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(sends(OK, b"Content-Length: 5\r\n\r\nproxy")) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url.replace("http://", "http://user:word@"))
        monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://user:word@"))
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        url = "http://provider.invalid/metadata"
        assert client(url).request("GET", url).text == "proxy"
        assert server.requests[0].startswith(b"GET http://provider.invalid/metadata ")
        assert b"proxy-authorization: basic " in server.requests[0].lower()


def test_name_that_does_not_resolve() -> None:
    url = "https://provider.invalid/"
    with pytest.raises(HttpNameNotResolved):
        client(url).request("GET", url)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A resolver that has an answer for localhost only, and hangs for others. Yields what it is asked."""
    asked: list[str] = []
    end = threading.Event()
    system = socket.getaddrinfo

    def hang(host: str, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        if host != "localhost":
            end.wait()
        return system("localhost", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield asked
    end.set()


def test_name_resolution_that_hangs_ends_at_the_deadline(resolver: list[str]) -> None:
    url = "http://slow.example/"
    began = time.monotonic()
    with pytest.raises(HttpTimeout):
        client(url, DEADLINE).request("GET", url)
    assert time.monotonic() - began < DEADLINE + 0.5
    assert resolver == ["slow.example"]


def test_name_resolution_that_hangs_occupies_few_threads_and_no_other_name(resolver: list[str]) -> None:
    url = "http://slower.example/"
    http = client(url, 0.1)
    for _ in range(MOST_LOOKUPS + 2):
        with pytest.raises(HttpTimeout):
            http.request("GET", url)
    assert len(resolver) == MOST_LOOKUPS

    with serving(sends(OK, b"Content-Length: 2\r\n\r\nok")) as server:
        assert http.request("GET", server.url.replace("127.0.0.1", "localhost")).text == "ok"


def test_refused_connection() -> None:
    with socket.socket() as taken:  # by us, and nothing listens on it
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(HttpError) as caught:
            client(url).request("GET", url)
    assert not isinstance(caught.value, HttpTimeout)


def test_ca_bundle_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/not/there.pem")
    with pytest.raises(HttpError):
        client("https://127.0.0.1:1/").request("GET", "https://127.0.0.1:1/")


def test_bulkheads_share_the_slots_of_the_one_around_them() -> None:
    outer = Bulkhead(2)
    first, second = Bulkhead(1, within=outer), Bulkhead(2, within=outer)

    def is_refused(bulkhead: Bulkhead) -> bool:
        def enter() -> bool:
            try:
                with bulkhead:
                    return False
            except HttpOverloaded:
                return True

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(enter).result()

    with first:
        assert [is_refused(first), is_refused(second)] == [True, False]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(second.__enter__).result()
            assert is_refused(second)
            pool.submit(second.__exit__).result()
    assert not is_refused(first)


def test_bulkhead_refuses_at_once_and_lets_a_thread_in_again() -> None:
    bulkhead = Bulkhead(1)
    refused: list[bool] = []

    def other_thread() -> None:
        try:
            with bulkhead:
                refused.append(False)
        except HttpOverloaded:
            refused.append(True)

    def run() -> None:
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()

    with bulkhead, bulkhead:
        run()
    run()
    assert refused == [True, False]


def test_calls_beyond_the_bulkhead_are_refused() -> None:
    with serving(sends()) as server:
        http = HttpClient("test", most_calls=2, ca_for=server.url, deadline=2)
        errors: list[HttpError] = []

        def call() -> None:
            try:
                http.request("GET", server.url)
            except HttpError as error:
                errors.append(error)

        threads = [threading.Thread(target=call) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(isinstance(error, HttpOverloaded) for error in errors) == 3
        assert sum(isinstance(error, HttpTimeout) for error in errors) == 2
