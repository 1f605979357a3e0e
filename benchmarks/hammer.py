"""Asks an app for its signed-in home page as fast as the app answers, over 16 kept connections.

Locust could do this, but its own use of the processor would be a large part of what is measured: on two
cores, generator and app compete. README.md has the figures.
"""

import asyncio
import time
from collections.abc import Iterator
from itertools import cycle
from urllib.parse import urlsplit

from .rig import AppServer

CONNECTIONS = 16
PATIENCE = 30  # seconds for the last answers


class _Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request, until it is told to stop."""

    def __init__(self, requests: Iterator[bytes], expected: bytes) -> None:
        self._requests, self._expected = requests, expected
        self.answers, self.running = 0, True
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._buffer, self._end = transport, b"", 0
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._end:
            self._find_end()
        if self._end and len(self._buffer) >= self._end:
            self._check()

    def _find_end(self) -> None:
        head, found, _ = self._buffer.partition(b"\r\n\r\n")
        if found:
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._end = len(head) + 4 + int(length)

    def _check(self) -> None:
        if not self._buffer.startswith(b"HTTP/1.1 200") or self._expected not in self._buffer:
            self._finish(RuntimeError(f"not the signed-in home page: {self._buffer[:2000]!r}"))
            return
        self.answers += 1
        self._buffer, self._end = b"", 0
        if self.running:
            self._transport.write(next(self._requests))
        else:
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            if error:
                self.done.set_exception(error)
            else:
                self.done.set_result(self.answers)
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(error or ConnectionResetError("the app closed the connection"))


def hammer(server: AppServer, cookies: list[str], seconds: float, expected: str) -> tuple[float, float]:
    """Ask for ``/`` with each Cookie header in turn; return answers per second and CPU milliseconds for one.

    Raises RuntimeError when an answer is not 200 or lacks ``expected``, OSError when the app hangs up.
    """
    return asyncio.run(_hammer(server, cookies, seconds, expected))


async def _hammer(
    server: AppServer, cookies: list[str], seconds: float, expected: str
) -> tuple[float, float]:
    host = urlsplit(server.url)
    requests = cycle(
        f"GET / HTTP/1.1\r\nHost: {host.netloc}\r\nCookie: {cookie}\r\n\r\n".encode() for cookie in cookies
    )
    cpu, began = server.cpu_seconds(), time.perf_counter()
    connections = [_Connection(requests, expected.encode()) for _ in range(CONNECTIONS)]
    for connection in connections:
        await asyncio.get_running_loop().create_connection(
            lambda connection=connection: connection,  # type: ignore[misc]
            host.hostname or "",
            host.port or 80,
        )
    await asyncio.sleep(seconds)
    for connection in connections:
        connection.running = False
    answers = sum(await asyncio.wait_for(asyncio.gather(*(c.done for c in connections)), PATIENCE))
    spent = time.perf_counter() - began
    return answers / spent, (server.cpu_seconds() - cpu) * 1000 / answers
