"""How gunicorn serves this app. `gunicorn app:app`, typed in this folder, reads this file."""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

sys.path.insert(0, str(Path(__file__).parent))  # gunicorn may have been started in another folder

from signin.web import startup
from signin.web.responses import security_headers

# Say once what keeps the app from starting, instead of once for each worker.
parts = startup.prepare()
settings = parts.settings
startup.note_gunicorn_config()

if not settings.https:  # on a developer's machine, where browsers connect without a proxy
    origin = urlsplit(settings.origin)
    bind = f"{origin.hostname}:{origin.port or 80}"

workers = 2
threads = 32  # at most 24 of them wait for provider and APIs (signin/oidc/http_client.py)
timeout = 120  # seconds without a sign of life from a worker
graceful_timeout = 100  # seconds for requests under way: one can wait for provider, API and store in turn
keepalive = 75  # seconds; longer than nginx keeps a connection, so that gunicorn is not the first to close
limit_request_line = 8190  # bytes; B2C's authorization codes do not fit into gunicorn's default of 4094
limit_request_fields = 64  # headers; browsers and proxies send about 30
limit_request_field_size = 33_000  # bytes; what nginx lets through, the app answers: also too many cookies
forwarder_headers = ""  # ignore SCRIPT_NAME from proxies
control_socket_disable = True  # its default path would be shared by all apps of one user


LARGEST_HEAD = 100_000  # bytes of all headers together; nginx lets 98 kB through


class BoundedRequest(Request):  # type: ignore[misc]
    """A request whose headers are limited together.

    gunicorn limits each header alone, to 2.1 MB in all. It searches all that has come after each piece of at
    most 8 kB, so reading that much takes seconds of CPU.
    """

    def read_into(self, unreader: Any, buf: bytearray, stop: bool = False) -> None:
        # gunicorn reads on while the end of the headers is missing. What the last read brings may be body.
        if len(buf) > LARGEST_HEAD:
            raise LimitRequestHeaders("all headers together are too large")
        super().read_into(unreader, buf, stop)


RequestParser.mesg_class = BoundedRequest  # there is no setting for it


class AccessLogger(Logger):  # type: ignore[misc]
    """Logs paths encoded, as they came: a decoded line break would forge a line of the log.

    It prepares only what access_log_format names. gunicorn's own copies all headers and the environment,
    which takes as long as writing the line.
    """

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        return {
            "h": environ.get("REMOTE_ADDR", "-"),
            "m": environ.get("REQUEST_METHOD"),
            "U": quote(environ.get("PATH_INFO", ""), encoding="latin-1"),
            "H": environ.get("SERVER_PROTOCOL"),
            "s": resp.status.split()[0],
            "b": resp.sent,
            "D": round(request_time.total_seconds() * 1_000_000),
        }


logger_class = AccessLogger
# Neither query nor referrer: the callback's hold the authorization code.
accesslog = "-"
access_log_format = '%(h)s "%(m)s %(U)s %(H)s" %(s)s %(b)s %(D)sus'


def write_error(sock: Any, status: int, reason: str, message: str) -> None:
    """Answer a request that gunicorn refuses before the app sees it, with the app's security headers.

    gunicorn's own answer has none, and repeats parts of the request.
    """
    page = f"<!doctype html><html lang=en><title>{reason}</title><h1>{reason}</h1>"
    headers = security_headers(parts) | {
        "Connection": "close",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(page)),
        "Cache-Control": "no-store",
    }
    if status == 431:  # cookies of the whole domain fill the header, and the app cannot remove its own
        headers["Clear-Site-Data"] = '"cookies"'
    head = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    util.write_nonblock(sock, "\r\n".join([*head, "", page]).encode("latin-1"))


util.write_error = write_error  # there is no setting for it


# A worker ignores signals until it has set its own handlers. A SIGTERM of that moment would be lost, and
# gunicorn would wait graceful_timeout for the worker. So signals wait from the fork until it is ready.
STOP_SIGNALS = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}


def hold_stop_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def deliver_stop_signals(worker: Any = None) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


deliver_stop_signals()  # a gunicorn that replaces itself (SIGUSR2) starts with them held
os.register_at_fork(before=hold_stop_signals, after_in_parent=deliver_stop_signals)
post_worker_init = deliver_stop_signals
