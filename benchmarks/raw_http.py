"""Requests that no well-behaved client sends: the same header many times, or only a part of a request.

Python's HTTP clients would not do: they refuse an answer with more than a hundred headers.
"""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class RawRequest:
    """A request, sent as it stands. With ``half``, only its request line and one header are sent."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    half: bool = False


@dataclass(frozen=True)
class Answer:
    """Status, seconds until the whole answer was there, and its size in bytes. Status 0: no whole answer."""

    status: int
    seconds: float
    size: int


def send(url: str, request: RawRequest, patience: float) -> Answer:
    """Send a request on a connection of its own and wait ``patience`` seconds for the whole answer."""
    began = time.monotonic()
    try:
        received = _exchange(url, request, began + patience)
    except OSError:
        received = b""
    status = int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else 0
    return Answer(status, time.monotonic() - began, len(received))


def _exchange(url: str, request: RawRequest, deadline: float) -> bytes:
    parts = urlsplit(url)
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {parts.netloc}"]
    if not request.half:
        lines += [f"{name}: {value}" for name, value in request.headers]
        lines += ["Content-Length: 0", "Connection: close", ""]
    address = (parts.hostname or "", parts.port or 80)
    received = bytearray()
    with socket.create_connection(address, deadline - time.monotonic()) as connection:
        # A server may refuse a request, and close, before it has read all of it.
        with suppress(ConnectionError):
            connection.sendall("".join(f"{line}\r\n" for line in lines).encode())
        with suppress(ConnectionError):
            while piece := _receive(connection, deadline):
                received += piece
    return bytes(received)


def _receive(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(max(0.001, deadline - time.monotonic()))
    return connection.recv(1 << 16)
