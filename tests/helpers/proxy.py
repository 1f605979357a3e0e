"""An HTTP proxy that leads every https address to one port of this machine, whatever host it names."""

import select
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType


class TunnelTo:
    """A running proxy (RFC 9110 section 9.3.6, CONNECT), as a context manager.

    `url` is its address. With `environ`, programs use it for all hosts but this machine.
    """

    def __init__(self, port: int):
        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as target:
                    self.send_response(200)
                    self.end_headers()
                    _exchange(self.connection, target)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.environ = {
            "HTTPS_PROXY": self.url,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
        }

    def __enter__(self) -> "TunnelTo":
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _exchange(client: socket.socket, target: socket.socket) -> None:
    """Pass on what each of them sends, until one of them ends the connection."""
    other = {client: target, target: client}
    while True:
        readable, _, _ = select.select(list(other), [], [])
        for side in readable:
            data = side.recv(65536)
            if not data:
                return
            other[side].sendall(data)
