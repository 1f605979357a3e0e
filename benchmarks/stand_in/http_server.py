"""The stand-in's HTTP server.

It is written by hand because it shares the processor with the app that is measured: asyncio and these few
lines use a fraction of the CPU of a WSGI server such as cheroot. It speaks as much of HTTP/1.1 as the apps'
HTTP clients need: kept connections, and bodies with a Content-Length.
"""

import asyncio
import json
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from .dripping import drip
from .tenant import Answer, Tenant


class Controls:
    """How the stand-in misbehaves: seconds to wait by endpoint, and the way in which the API drips."""

    def __init__(self) -> None:
        self.delays: dict[str, float] = {}
        self.drip_way = ""

    def handle(self, target: str, tenant: Tenant) -> Answer | None:
        """Carry out a command of a benchmark; None if the request is not one."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        if url.path == "/counts":
            return 200, dict(tenant.counts)
        if url.path == "/slow_down":
            self.delays = {endpoint: float(seconds) for endpoint, seconds in query.items()}
            return 200, {}
        if url.path == "/drip":
            self.drip_way = query.get("way", "")
            return 200, {}
        return None


class Connection(asyncio.Protocol):
    """One connection to the stand-in."""

    def __init__(self, tenant: Tenant, controls: Controls, listener: str) -> None:
        self._tenant, self._controls, self._listener, self._buffer = tenant, controls, listener, b""
        self._dripping: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._tenant.counts[f"{self._listener} connections"] += 1

    def connection_lost(self, error: Exception | None) -> None:
        if self._dripping:
            self._dripping.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            request_line, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            method, target, _ = request_line.split(" ")
            self._answer(method, target, headers, rest[:length])

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        command = self._controls.handle(target, self._tenant)
        if command:
            self._send(*command)
            return
        endpoint, answer = self._tenant.answer(method, target, headers, body)
        if endpoint == "api" and self._controls.drip_way:
            self._dripping = asyncio.create_task(drip(self._controls.drip_way, self._transport))
        elif seconds := self._controls.delays.get(endpoint):
            asyncio.get_running_loop().call_later(seconds, self._send, *answer)
        else:
            self._send(*answer)

    def _send(self, status: int, answer: dict[str, object] | str) -> None:
        location = [f"Location: {answer}"] if isinstance(answer, str) else []
        body = b"" if location else json.dumps(answer).encode()
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(body)}", *location]
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)
