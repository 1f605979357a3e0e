"""Asks an app for its signed-in home page as fast as it answers, over a fixed number of connections."""

import asyncio
import time
from collections.abc import Iterator
from itertools import cycle
from urllib.parse import urlsplit

from .rig import Server

CONNECTIONS = 16


class _Hitter(asyncio.Protocol):
    """One connection: a request, its answer, the next request, until told to stop."""

    def __init__(self, requests: Iterator[bytes], expected: bytes) -> None:
        self._requests, self._expected = requests, expected
        self.answers, self.running = 0, True
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
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
            self.done.set_exception(error) if error else self.done.set_result(self.answers)
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(error or ConnectionResetError("the app closed the connection"))


async def hammer(server: Server, cookies: list[str], seconds: float, expected: str) -> tuple[float, float]:
    """Ask for ``/`` with each cookie in turn; return answers per second and the app's CPU time (ms) for one.

    Raises RuntimeError when an answer is not 200 or lacks ``expected``, OSError when the app hangs up.
    """
    host = urlsplit(server.url).netloc
    requests = cycle([f"GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {c}\r\n\r\n".encode() for c in cookies])
    loop, port = asyncio.get_running_loop(), urlsplit(server.url).port
    cpu, began = server.cpu_seconds(), time.perf_counter()
    hitters = [_Hitter(requests, expected.encode()) for _ in range(CONNECTIONS)]
    for hitter in hitters:
        await loop.create_connection(lambda hitter=hitter: hitter, "127.0.0.1", port)
    await asyncio.sleep(seconds)
    for hitter in hitters:
        hitter.running = False
    answers = sum(await asyncio.wait_for(asyncio.gather(*(hitter.done for hitter in hitters)), 30))
    spent = time.perf_counter() - began
    return answers / spent, (server.cpu_seconds() - cpu) * 1000 / answers
