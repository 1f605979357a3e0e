"""Pages, redirects with a notice, and the rules for every response: one host, and the security headers."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from flask import Flask, Response, after_this_request, redirect, render_template, request

from .engine import Engine, engine
from .exceptions import Misdirected, OtherPort
from .fetch_metadata import is_script
from .words import NOTICES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

THIS_MACHINE = re.compile(r"(?i:localhost|127\.0\.0\.1|\[::1\]):(?P<port>[0-9]{1,5})", re.ASCII)
INSTEAD = "signin.security_headers"  # in the WSGI environment
LONGEST_PATH = 1500  # characters of a path to return to; it travels in a cookie, and browsers limit those

# To load scripts, styles, images or fonts from another host, add the host to the directive here.
CONTENT_SECURITY_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def page(template: str, status: int = 200, **context: object) -> tuple[str, int]:
    """A rendered page, with the notice that the request before has left for it."""
    notice = request.cookies.get(engine().cookies.notice)
    if notice:
        forget_cookie(engine().cookies.notice)
    return render_template(template, notice=NOTICES.get(notice or ""), status=status, **context), status


def redirect_to(location: str, status: int = 302) -> Response:
    """A redirect, as Flask's own response type."""
    return redirect(location, status, Response=Response)  # type: ignore[return-value]


def go_to(location: str, *, notice: str) -> Response:
    """A redirect to a page that shows `notice`, one of words.NOTICES."""
    response = redirect_to(location, 303)
    response.set_cookie(engine().cookies.notice, notice, max_age=60, **engine().cookies.attributes)
    return response


def forget_cookie(name: str) -> None:
    """Remove a cookie with the response to this request, whatever response that is."""

    @after_this_request
    def remove(response: Response) -> Response:
        response.delete_cookie(name, **engine().cookies.attributes)
        return response


def local_path(path: str | None) -> str:
    """`path` if it leads to a page of this site, else `/`.

    Only printable ASCII without a backslash can pass, because browsers and servers disagree about the rest.
    """
    if not path or len(path) > LONGEST_PATH or not re.fullmatch(r"/(?!/)[!-\[\]-~]*", path):
        return "/"
    not_pages = {"/login", "/signup", "/logout", engine().settings.callback_path}
    return "/" if urlsplit(path).path in not_pages else path


def requested_path() -> str:
    """The path and query of this request, encoded as in an address bar."""
    query = request.query_string.decode("ascii", "ignore")
    return quote(request.path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def add_response_rules(app: Flask, parts: Engine) -> None:
    """Answer to one host only, and add the security headers to every response of `app`."""
    settings = parts.settings

    @app.before_request
    def only_our_host() -> Response | None:
        if request.host.lower() == settings.host or request.endpoint == "healthz":
            return None
        on_this_machine = THIS_MACHINE.fullmatch(request.host) if settings.on_this_machine else None
        if on_this_machine and int(on_this_machine["port"]) != settings.port:
            raise OtherPort(int(on_this_machine["port"]))
        return _redirect_to_our_host(settings.origin)

    static_files = f"{app.static_url_path}/"
    app.wsgi_app = SecurityHeaders(app.wsgi_app, static_files, security_headers(parts))  # type: ignore[method-assign, assignment]


def replace_security_headers(headers: Mapping[str, str]) -> None:
    """Answer this request with these security headers instead of the usual ones of the same name."""
    request.environ[INSTEAD] = headers


class SecurityHeaders:
    """WSGI middleware that adds the security headers to every response. Only static files may be cached.

    An `after_request` function could do the same, but Werkzeug checks and copies each header that it gets.
    That takes a tenth of the time of a page.
    """

    def __init__(self, wsgi_app: "WSGIApplication", static_files: str, headers: Mapping[str, str]) -> None:
        self._wsgi_app, self._static_files = wsgi_app, static_files
        self._for_files = list(headers.items())
        self._for_pages = [*self._for_files, ("Cache-Control", "no-store"), ("Vary", "Cookie")]

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> object:
        is_static = environ["PATH_INFO"].startswith(self._static_files)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> object:
            added = self._for_files if is_static and int(status[:3]) < 400 else self._for_pages
            instead = environ.get(INSTEAD)
            if instead:
                added = [(name, instead.get(name, value)) for name, value in added]
            return start_response(status, headers + added, exc_info)

        return self._wsgi_app(environ, start)  # type: ignore[arg-type]


def security_headers(parts: Engine) -> dict[str, str]:
    """The headers of every response, also of those that gunicorn.conf.py writes."""
    # Signing out submits a form, and the response redirects to the sign-in service.
    form_action = " ".join(["'self'", *parts.client.provider.browser_origins])
    policy = CONTENT_SECURITY_POLICY | {"form-action": form_action}
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin",  # under no-referrer our own forms would send "Origin: null"
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    # Browsers apply this header to all ports of a host, and would break other programs on localhost.
    if parts.settings.https and not parts.settings.on_this_machine:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers


def _redirect_to_our_host(origin: str) -> Response:
    """Send a page that was requested from another host to the right one, where its cookies are valid."""
    is_page = request.method == "GET" and request.endpoint not in (None, "static", "callback")
    # A proxy that changes the host would send the redirected request to the wrong host again.
    would_loop = "X-Forwarded-Host" in request.headers
    if not is_page or is_script() or would_loop:
        raise Misdirected(f"Host {request.host[:80]!r}")
    return redirect_to(origin + requested_path())
