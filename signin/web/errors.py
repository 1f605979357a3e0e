"""From an exception to a page, or to JSON for a script, with one line in the log."""

import logging
import uuid
from collections.abc import Mapping

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
    reference = str(uuid.uuid4())
    log.error("crashed: reference=%s path=%r", reference, request.path)
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
