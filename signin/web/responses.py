"""Pages, redirects with a notice, and the rules for every response: one host, and the security headers."""

import re
import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from flask import Flask, Response, after_this_request, current_app, redirect, render_template, request

from .engine import Engine, engine
from .exceptions import Misdirected, OtherPort
from .fetch_metadata import is_script, path_mark
from .words import NOTICES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

THIS_MACHINE = re.compile(r"(?i:localhost|127\.0\.0\.1|\[::1\]):(?P<port>[0-9]{1,5})", re.ASCII)
INSTEAD = "signin.security_headers"  # in the WSGI environment
LONGEST_PATH = 2000  # characters of a path to return to; it travels in a cookie, and browsers limit those
ALLOWED_IN_URLS = string.ascii_letters + string.digits + string.punctuation

# What pages may load, by kind: files of this site, and no code inside a page. To load something from another
# host, add the host after 'self': "img-src": "'self' https://images.example.com"
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
    notice = waiting_notice()
    if engine().cookies.notice in request.cookies:
        forget_cookie(engine().cookies.notice)
    return render_template(template, notice=NOTICES.get(notice), status=status, **context), status


def waiting_notice() -> str:
    """The notice that the request before has left for the next page; empty if there is none."""
    notice = request.cookies.get(engine().cookies.notice, "").partition(".")[0]
    return notice if notice in NOTICES else ""


def redirect_to(location: str, status: int = 302) -> Response:
    """A redirect, as Flask's own response type."""
    return redirect(location, status, Response=Response)  # type: ignore[return-value]


def go_to(location: str, *, notice: str) -> Response:
    """A redirect to a page that shows `notice`: one of words.NOTICES, or empty for none."""
    response = redirect_to(location, 303)
    if notice:
        # The path keeps other sites from using the moment at which the browser is on its way.
        value = f"{notice}.{path_mark(unquote(urlsplit(location).path))}"
        response.set_cookie(engine().cookies.notice, value, max_age=60, **engine().cookies.attributes)
    return response


def forget_cookie(name: str) -> None:
    """Remove a cookie with the response to this request, whatever response that is."""

    @after_this_request
    def remove(response: Response) -> Response:
        response.delete_cookie(name, **engine().cookies.attributes)
        return response


def local_path(path: str | None) -> str:
    """`path`, percent-encoded, if it leads to a page of this site; else `/`.

    Control characters and backslashes cannot pass, because browsers and servers read them differently. A path
    that is too long loses its query.
    """
    if not path or not re.fullmatch(r"/(?!/)[^\x00-\x1f\x7f-\x9f\\]*", path):
        return "/"
    encoded = quote(path, safe=ALLOWED_IN_URLS, errors="replace")
    if len(encoded) > LONGEST_PATH:
        encoded = encoded.partition("?")[0]
    not_pages = {"/login", "/signup", "/logout", engine().settings.callback_path}
    if len(encoded) > LONGEST_PATH or urlsplit(encoded).path in not_pages:
        return "/"
    return encoded


def requested_path() -> str:
    """The path and query of this request, encoded as in an address bar."""
    query = request.query_string.decode("ascii", "ignore")
    return quote(request.path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def referring_page() -> str | None:
    """The path of this site's page that sent this request, if the browser says so.

    Under our Referrer-Policy it does for a script's `fetch(url, {referrerPolicy: "same-origin"})`.
    """
    origin, referrer = engine().settings.origin, request.headers.get("Referer", "")
    return local_path(referrer.removeprefix(origin)) if referrer.startswith(f"{origin}/") else None


def page_of_form() -> str:
    """The path of the page with the form that was submitted with this request, as far as that can be told."""
    adapter = current_app.create_url_adapter(request)
    if adapter and adapter.test(request.path, method="GET"):
        return local_path(requested_path())
    return referring_page() or "/"


def add_response_rules(app: Flask, parts: Engine) -> None:
    """Answer to one host only, and add the security headers to every response of `app`."""
    settings = parts.settings

    @app.before_request
    def only_our_host() -> Response | None:
        if request.environ.get("HTTP_HOST") == settings.host:
            return None
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
