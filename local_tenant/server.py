"""A small threaded HTTP/1.1 server for WSGI apps that keeps connections alive, with or without TLS."""

import io
import os
import socket
import socketserver
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 60
LARGEST_BODY = 5_000_000
STOP_SECONDS = 5


class PortTaken(Exception):
    """The wanted port cannot be had; `port` says which one, `reason` why."""

    def __init__(self, port, reason):
        super().__init__(port, reason)
        self.port, self.reason = port, reason


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves `app` on 127.0.0.1:`port` (0: any free one) until `stop`; raises PortTaken."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    # On Windows SO_REUSEADDR would let two programs listen on one port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, port, app, tls=None):
        self.app, self.tls = app, tls
        self._connections = {}
        self._lock = threading.Lock()
        try:
            super().__init__((LOOPBACK, port), Handler)
        except OSError as error:
            raise PortTaken(port, error.strerror) from error
        self._loop = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)

    @property
    def port(self):
        return self.server_address[1]

    def start(self):
        self._loop.start()

    def finish_request(self, request, client_address):
        request.settimeout(IDLE_SECONDS)
        try:
            # The handshake happens here, in the connection's own thread: a silent client stops nobody else.
            with self._secured(request) as connection:
                self._remember(connection)
                self.RequestHandlerClass(connection, client_address, self)
        except OSError:
            pass  # the client went away or speaks no TLS: there is nobody to answer
        finally:
            self._forget()

    def _secured(self, request):
        return self.tls.wrap_socket(request, server_side=True) if self.tls else request

    def _remember(self, connection):
        with self._lock:
            self._connections[threading.current_thread()] = connection

    def _forget(self):
        with self._lock:
            self._connections.pop(threading.current_thread(), None)

    def stop(self):
        """Close the port and every connection; raises RuntimeError if a request does not end in time."""
        if self._loop.is_alive():
            self.shutdown()
        self.server_close()
        with self._lock:
            open_now = list(self._connections.items())
        for thread, connection in open_now:
            _hang_up(connection)
            thread.join(STOP_SECONDS)
        if any(thread.is_alive() for thread, _ in open_now):
            raise RuntimeError(f"a request to the local tenant's port {self.port} did not end")


class Handler(BaseHTTPRequestHandler):
    """Hands each request of a connection to the server's WSGI app."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run(self):
        body = self._body()
        if body is None:
            return
        self.reset = False
        answer = {}

        def start_response(status, headers, exc_info=None):
            answer.update(status=status, headers=headers)

        chunks = self.server.app(self._environ(body), start_response)
        try:
            content = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        if self.reset:
            self._reset_connection()
        else:
            self._send(answer["status"], answer["headers"], content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = run

    def _body(self):
        """Read the whole body at once, so that the next request begins where it should."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.send_error(411)
        elif int(length) > LARGEST_BODY:
            self.close_connection = True
            self.send_error(413)
        else:
            return self.rfile.read(int(length))
        return None

    def _environ(self, body):
        path, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": LOOPBACK,
            "SERVER_PORT": str(self.server.port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": self.headers.get("Content-Length", ""),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if self.server.tls else "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "local_tenant.reset": self._ask_for_reset,
        }
        for name in set(self.headers) - {"Content-Type", "Content-Length"}:
            environ["HTTP_" + name.upper().replace("-", "_")] = ",".join(self.headers.get_all(name))
        return environ

    def _send(self, status, headers, content):
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        own = {
            "Server": self.version_string(),
            "Date": self.date_time_string(),
            "Content-Length": str(len(content)),
        }
        set_by_app = {name.lower() for name, _ in headers}
        missing = [(name, value) for name, value in own.items() if name.lower() not in set_by_app]
        for name, value in [*missing, *headers]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _ask_for_reset(self):
        self.reset = True

    def _reset_connection(self):
        self.close_connection = True
        # Lingering for zero seconds makes the close a TCP reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def version_string(self):
        return "local-tenant"

    def log_message(self, format, *args):
        """Quiet: what matters is in the record of requests."""


def _hang_up(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except (OSError, ssl.SSLError, ValueError):
        return  # already closed
