"""Answers that never end: a piece every two seconds, so that no single read times out."""

import asyncio
import gzip
from itertools import chain, repeat

PIECE_EVERY = 2  # seconds
LONGEST = 90  # seconds; then the connection is closed
EMPTY_GZIP_MEMBERS = 200_000_000  # bytes

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
GZIP_HEADER_WITH_NAME = b"\x1f\x8b\x08\x08" + bytes(
    6
)  # RFC 1952 section 2.3: flag FNAME, ended by a zero byte

# What is sent at once, and the piece that is then sent again and again.
WAYS = {
    "response headers": (OK, b"X-Drip: 1\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk extension": (CHUNKED + b"2;", b"x"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Drip: 1\r\n"),
    "gzip file name": (GZIP + GZIP_HEADER_WITH_NAME, b"x"),
}
EMPTY_MEMBERS = "empty gzip members"


async def drip(way: str, transport: asyncio.Transport) -> None:
    """Answer one request in one of WAYS, or with EMPTY_MEMBERS, until the client hangs up."""
    if way == EMPTY_MEMBERS:
        await _send_empty_members(transport)
        return
    start, piece = WAYS[way]
    for part in chain([start + piece], repeat(piece, LONGEST // PIECE_EVERY)):
        transport.write(part)
        await asyncio.sleep(PIECE_EVERY)
    transport.close()


async def _send_empty_members(transport: asyncio.Transport) -> None:
    block = gzip.compress(b"") * 3000
    transport.write(GZIP)
    for _ in range(EMPTY_GZIP_MEMBERS // len(block)):
        transport.write(block)
        while transport.get_write_buffer_size() > len(block):
            await asyncio.sleep(0.001)
    transport.close()
