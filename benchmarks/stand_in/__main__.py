"""``python -m benchmarks.stand_in FOLDER`` serves a tenant and a web API until its standard input closes.

It writes two CA bundles to FOLDER, ``one_ca.pem`` and ``public_cas.pem`` (the same CA after all public ones),
and prints its origins as one line of JSON: ``pages`` (authorize, logout; http), ``tls`` (metadata, keys,
tokens), and ``api`` and ``tls api`` for the web API.
"""

import asyncio
import json
import ssl
import sys
from functools import partial
from pathlib import Path

import certifi
import trustme

from .http_server import Connection, Controls
from .tenant import Tenant


def make_tls_context(folder: Path) -> ssl.SSLContext:
    """Return a server's TLS context, and write the bundles with which clients can trust it."""
    ca = trustme.CA()
    ca_pem = ca.cert_pem.bytes().decode()
    (folder / "one_ca.pem").write_text(ca_pem)
    (folder / "public_cas.pem").write_text(Path(certifi.where()).read_text() + ca_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def serve(folder: Path) -> None:
    """Serve until the program that started this one closes the other end of standard input."""
    tenant, controls, tls = Tenant(), Controls(), make_tls_context(folder)
    loop = asyncio.get_running_loop()
    for listener, context in (("pages", None), ("tls", tls), ("api", None), ("tls api", tls)):
        server = await loop.create_server(
            partial(Connection, tenant, controls, listener), "127.0.0.1", 0, ssl=context, backlog=500
        )
        host, port = server.sockets[0].getsockname()
        tenant.origins[listener] = f"http{'s' if context else ''}://{host}:{port}"
    print(json.dumps(tenant.origins), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
