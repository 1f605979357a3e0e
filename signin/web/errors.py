"""From an exception to a page, or to JSON for a script, with one line in the log."""

import logging
import traceback
import uuid
from collections.abc import Mapping
from types import TracebackType

from flask import Flask, Response, g, jsonify, make_response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from signin.oidc import OidcError
from signin.sessions import SessionEnded, StoreError

from .engine import engine
from .exceptions import WebError
from .fetch_metadata import is_script
from .responses import page
from .words import Words, words_for

log = logging.getLogger(__name__)

ExcInfo = tuple[type, BaseException, TracebackType] | tuple[None, None, None]
DEFAULT_RETRY_AFTER = 30  # seconds
HTTP_ERRORS = {
    403: ("You may not do that", "Ask the people who run this site for access."),
    404: ("There is no such page", "Check the address, or start from the home page."),
    405: ("That does not work here", "Start from the home page."),
    413: ("That was too large", "Send less at once."),
}


def add_error_pages(app: Flask) -> None:
    """Let every failure of `app` end on a page, or on JSON for a script."""
    for kind in (OidcError, WebError, SessionEnded, StoreError):
        app.register_error_handler(kind, _failure_page)
    app.register_error_handler(HTTPException, _http_error_page)
    app.register_error_handler(InternalServerError, _crash_page)


def log_failure(error: Exception) -> str:
    """Write one line for the operator, without tokens, codes or secrets. Returns the reference in it."""
    reference = getattr(error, "correlation_id", "") or str(uuid.uuid4())
    log.warning(
        "%s: status=%s code=%s reference=%s path=%r reason=%r",
        type(error).__name__,
        _words(error).status,
        getattr(error, "code", "") or "-",
        reference,
        request.path,
        str(error)[:300],
    )
    return reference


def log_crash(exc_info: ExcInfo | None = None) -> None:
    """Log an exception that no error handler expects, with the reference that the error page shows.

    Flask's own line has the decoded path, in which a line break would forge a line of the log.
    """
    if exc_info and isinstance(exc_info[1], StoreError):  # `_crash_page` makes a failure of it
        return
    g.crash_reference = str(uuid.uuid4())
    form = "crashed: reference=%s method=%r path=%r"
    log.error(form, g.crash_reference, request.method, request.path, exc_info=exc_info)


def _escape_traceback(line: logging.LogRecord) -> bool:
    """Indent the traceback and escape its control characters: an exception can repeat what a request sent."""
    if line.exc_info and line.exc_info[0]:
        text = "".join(traceback.format_exception(*line.exc_info))
        line.exc_text = "\n".join(f"  {_escaped(part)}" for part in text.rstrip("\n").split("\n"))
    return True


def _escaped(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


log.addFilter(_escape_traceback)


def _failure_page(error: Exception) -> Response:
    words, reference = _words(error), log_failure(error)
    headers = {}
    if words.status == 503:
        headers["Retry-After"] = str(getattr(error, "retry_after", 0) or DEFAULT_RETRY_AFTER)
    return _respond(words, headers, reference=reference, code=getattr(error, "code", ""))


def _words(error: Exception) -> Words:
    return words_for(error, engine().settings)


def _http_error_page(error: HTTPException) -> Response:
    status = error.code or 500
    title, advice = HTTP_ERRORS.get(status, (error.name, "Start from the home page."))
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return _respond(Words(status, title, advice, sign_in_again=False), headers)


def _crash_page(error: InternalServerError) -> Response:
    if isinstance(error.original_exception, StoreError):  # while changes of a view were being saved
        return _failure_page(error.original_exception)
    if "crash_reference" not in g:  # a view has raised InternalServerError itself
        log_crash()
    reference = g.crash_reference
    words = Words(500, "Something broke on this site", sign_in_again=False)
    return _respond(words, reference=reference)


def _respond(
    words: Words, headers: Mapping[str, str] | None = None, *, reference: str = "", code: str = ""
) -> Response:
    if is_script():
        response = jsonify(error=words.title, advice=words.advice, reference=reference or None)
    else:
        next_path = g.get("next_path", "/")
        text, _ = page(
            "error.html", words.status, words=words, reference=reference, code=code, next=next_path
        )
        response = make_response(text)
    response.status_code = words.status
    response.headers.update(headers or {})
    return response
