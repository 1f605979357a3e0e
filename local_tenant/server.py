"""The tenant's web servers: cheroot, with or without TLS."""

import errno
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any

from cheroot import wsgi
from cheroot.makefile import MakeFile
from cheroot.server import HTTPConnection
from cheroot.ssl import Adapter

from .model.origins import LOOPBACK

# cheroot starts all threads at once and adds none. Each held request and each silent client takes one.
THREADS = 64
IDLE_SECONDS = 60
LARGEST_BODY = 5_000_000
STOP_SECONDS = 1

log = logging.getLogger(__name__)


class PortTaken(Exception):
    """The server cannot listen on `port`. `reason` is the operating system's.

    `forbidden` means that the port is free, but only for programs with more rights.
    """

    def __init__(self, port: int, reason: str, *, forbidden: bool = False):
        super().__init__(port, reason)
        self.port, self.reason, self.forbidden = port, reason, forbidden


class AddressMissing(Exception):
    """This machine does not have `address`, which the server is to listen on."""

    def __init__(self, address: str):
        super().__init__(address)
        self.address = address


class TlsAdapter(Adapter):
    """Lets cheroot serve TLS without a handshake in the thread that accepts all connections.

    cheroot's own adapter does it there, so that one silent client stops everybody. Connection does it.
    """

    def __init__(self, context: ssl.SSLContext):
        self._context = context

    def bind(self, sock: socket.socket) -> socket.socket:
        return sock

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        connection = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return connection, self.get_environ()

    def get_environ(self) -> dict[str, str]:
        return {"wsgi.url_scheme": "https"}

    def makefile(self, sock: socket.socket, mode: str = "r", bufsize: int = -1) -> Any:
        return MakeFile(sock, mode, bufsize)


class Connection(HTTPConnection):
    """A connection that does its TLS handshake in a worker thread, and that a view can reset."""

    handshake_done = False

    def communicate(self) -> bool:
        if isinstance(self.socket, ssl.SSLSocket) and not self.handshake_done:
            try:
                self.socket.do_handshake()
            except OSError:
                return False  # the client has gone, or does not trust the certificate
            self.handshake_done = True
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def reset(self) -> None:
        """End the connection with a TCP reset, as a failing network device does."""
        # Closing a socket that lingers for zero seconds sends a reset.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        if self.socket.fileno() >= 0:  # cheroot's own close() fails on a socket that is closed already
            super().close()


class Gateway(wsgi.Gateway_10):
    """Gives views the means to reset their connection."""

    def get_environ(self) -> Any:
        environ = super().get_environ()  # type: ignore[no-untyped-call]  # cheroot's stubs have no types
        environ["local_tenant.reset_connection"] = self.req.conn.reset
        return environ


class WebServer(wsgi.Server):
    """Serves `app` on `address`:`port`, 0 for any free port. Raises PortTaken and AddressMissing."""

    ConnectionClass = Connection
    keep_alive_conn_limit = 1000
    max_request_body_size = LARGEST_BODY
    expiration_interval = 0.1  # how long stop() waits for the thread that accepts connections

    def __init__(
        self,
        port: int,
        app: Callable[..., Any],
        tls: ssl.SSLContext | None = None,
        address: str = LOOPBACK,
    ):
        super().__init__(
            (address, port),
            app,
            numthreads=THREADS,
            server_name="local-tenant",
            request_queue_size=128,
            timeout=IDLE_SECONDS,
            shutdown_timeout=STOP_SECONDS,
        )
        self.gateway = Gateway
        self.ssl_adapter = TlsAdapter(tls) if tls else None
        self.prepare()

    @property
    def port(self) -> int:
        return int(self.bind_addr[1])

    @property
    def origin(self) -> str:
        """The server's origin as clients write it, who leave out the port that is usual for the scheme."""
        scheme, usual_port = ("https", 443) if self.ssl_adapter else ("http", 80)
        return f"{scheme}://{LOOPBACK}" if self.port == usual_port else f"{scheme}://{LOOPBACK}:{self.port}"

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
        try:
            bound: socket.socket = super().bind(family, type, proto)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise AddressMissing(str(self.bind_addr[0])) from error
            forbidden = isinstance(error, PermissionError)
            raise PortTaken(self.port, error.strerror or str(error), forbidden=forbidden) from error
        return bound

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()  # which cheroot leaves open
            raise
        return socket_

    def serve_in_background(self) -> None:
        threading.Thread(target=self.serve, daemon=True).start()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        # Below ERROR, cheroot reports clients that come and go.
        log.log(level if level >= logging.ERROR else logging.DEBUG, msg, exc_info=traceback)
