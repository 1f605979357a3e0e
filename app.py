"""A web app that signs users in with Azure AD B2C and calls a web API for them.

Read it from top to bottom: the app and its sessions, the rules for every request and answer, the routes in
the order in which a user meets them, and what happens when something goes wrong. The protocol is in b2c/.
"""

import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import click
import requests
from flask import (
    Flask,
    Request,
    Response,
    after_this_request,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, ServiceUnavailable

import app_config
import b2c


def stop(what: str, message: str) -> NoReturn:
    """End the start with one message; as a finding for `flask check --json`."""
    if sys.argv[1:2] == ["check"] and "--json" in sys.argv:
        print(json.dumps([{"what": what, "ok": False, "detail": message, "advice": ""}], indent=2))
        raise SystemExit(1)
    raise SystemExit(message)


try:
    settings = app_config.load()
except app_config.ConfigError as error:
    stop("settings", str(error))

SIGN_IN = settings.signupsignin_user_flow
EDIT_PROFILE = settings.editprofile_user_flow
RESET_PASSWORD = settings.resetpassword_user_flow

tenant = b2c.Client(
    settings.client_id,
    settings.client_secret,
    {flow: settings.authority(flow) for flow in (SIGN_IN, EDIT_PROFILE, RESET_PASSWORD) if flow},
    settings.redirect_uri,
    settings.scope,
    settings.b2c_tenant_id,
)
api = b2c.Server(settings.endpoint) if settings.endpoint else None


def without_query(line: logging.LogRecord) -> bool:
    """Cut the query string from a line of the development server's log: the callback's holds the code."""
    if line.args and isinstance(line.args, tuple):
        line.args = tuple(re.sub(r"\?\S*", "", part) if isinstance(part, str) else part for part in line.args)
    return True


class App(Flask):
    def create_url_adapter(self, request: Request | None) -> Any:
        """Build every address for the configured host, whatever host the request names."""
        if request is None:
            return super().create_url_adapter(request)
        query = request.environ.get("QUERY_STRING", "")
        return self.url_map.bind(
            settings.host,
            url_scheme=urlsplit(settings.origin).scheme,
            default_method=request.method,
            path_info=request.path,
            query_args=query,
        )


app = App(__name__)
app.logger.setLevel(logging.INFO)
logging.getLogger("werkzeug").addFilter(without_query)
app.jinja_env.globals.update(
    has_api=bool(api), has_edit_profile=bool(EDIT_PROFILE), has_reset_password=bool(RESET_PASSWORD)
)

COOKIE = {"secure": settings.https, "httponly": True, "samesite": "Lax", "path": "/"}
COOKIE_PREFIX = "__Host-b2c_" if settings.https else "b2c_"
FLOW_COOKIE = f"{COOKIE_PREFIX}flow_"  # and the flow's state
NOTICE_COOKIE = f"{COOKIE_PREFIX}notice"
TRIES_COOKIE = f"{COOKIE_PREFIX}tries"
app.config.update(SECRET_KEY=settings.secret_key, SESSION_COOKIE_NAME=f"{COOKIE_PREFIX}session")


# --- Sessions -----------------------------------------------------------------------------------------------


try:
    store = b2c.open_store(settings.redis_url, settings.session_dir)
except (OSError, *b2c.STORE_ERRORS) as error:
    stop("session store", f"SESSION_DIR {settings.session_dir} cannot be used: {error}")
except (ValueError, TypeError) as error:
    stop("session store", f"REDIS_URL cannot be used: {error}")

seal = b2c.Seal([settings.secret_key, *settings.secret_key_fallbacks])
records = b2c.Records(store, seal, settings.session_idle_minutes * 60, settings.session_absolute_minutes * 60)


class AppSession(ServerSideSession):
    """A session, and what has become of it during this request."""

    ended = False
    unavailable = False  # the store did not answer: nobody knows whether somebody is signed in


class AppSessions(ServerSideSessionInterface):
    """Flask-Session on `records`. Views start and end sessions; other changes are saved with the answer."""

    session_class = AppSession
    down_until = 0.0  # for a moment after a failure nobody waits for the store

    def open_session(self, app: Flask, request: Request) -> AppSession:
        if request.path == "/healthz" or request.path.startswith("/static/"):
            return AppSession()
        cookies = request.cookies.getlist(self.get_cookie_name(app))
        if len(cookies) > 1:
            return AppSession()  # one of them was planted, and nobody knows which
        try:
            if not cookies or time.monotonic() > self.down_until:
                return super().open_session(app, request)
        except b2c.STORE_ERRORS as error:
            app.logger.error("session store: %s", b2c.short(error))
            self.down_until = time.monotonic() + 1
        opened = AppSession()
        opened.unavailable = True
        return opened

    def save_session(self, app: Flask, session: AppSession, response: Response) -> None:
        if session.new:
            response.set_cookie(self.get_cookie_name(app), session.sid, **COOKIE)
        elif session.ended:  # by this request: a late answer must not take a newer session's cookie away
            response.delete_cookie(self.get_cookie_name(app), **COOKIE)
        elif session and session.modified:
            records.replace(session.sid, dict(session))

    def _retrieve_session_data(self, session_id: str) -> dict | None:
        return records.read(session_id)

    def _delete_session(self, session_id: str) -> None:
        records.end(session_id)

    def _upsert_session(self, lifetime: Any, session: AppSession, session_id: str) -> None:
        records.replace(session_id, dict(session))


app.session_interface = AppSessions(app, key_prefix="", permanent=False)


def start_session(result: b2c.SignIn) -> None:
    """Make a new session, under a new id, in place of the one that this browser had.

    Raises b2c.SessionEnded if that one has ended since this request came in: whoever signed out stays out.
    """
    data = {"claims": result.claims, "account_id": result.account_id, "started": int(time.time())}
    session_id = records.start(data, result.token_cache, follows=session.sid if session else None)
    if not session_id:
        raise b2c.SessionEnded("the session that this sign-in was to follow has ended")
    session.clear()
    session.update(data)
    session.sid, session.new = session_id, True


def end_session() -> None:
    """End whatever session this browser has, in the store first, and its pending flows."""
    for session_id in request.cookies.getlist(app.config["SESSION_COOKIE_NAME"]):
        records.sign_out(session_id)
    session.clear()
    session.ended = True
    for name in request.cookies:
        if name.startswith(FLOW_COOKIE):
            forget(name)


# --- Every request and every answer -------------------------------------------------------------------------

_authority = urlsplit(settings.authority(SIGN_IN))
_local_tenant = f" http://{_authority.hostname}:*" if _authority.hostname == "127.0.0.1" else ""
HEADERS = {
    # Signing out submits a form that leads on to the tenant.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    f"frame-ancestors 'none'; form-action 'self' https://{_authority.netloc}{_local_tenant}",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin",  # under no-referrer our own forms would come with "Origin: null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
if settings.https:
    HEADERS["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
PAGE_HEADERS = HEADERS | {"Cache-Control": "no-store", "Vary": "Cookie"}


@app.before_request
def only_our_host() -> Response | None:
    """Send a page that was asked of another host to the right one, where its cookies and redirect URI fit."""
    if request.host.lower() == settings.host or request.endpoint == "healthz":
        return None
    is_page = request.method == "GET" and request.endpoint not in (None, "static", "callback")
    if not is_page or is_script() or "X-Forwarded-Host" in request.headers:  # the last: a proxy, and a loop
        raise Misdirected(f"Host {request.host[:80]!r}")
    query = request.query_string.decode("ascii", "ignore")
    return redirect(settings.origin + quote(request.path) + (f"?{query}" if query else ""))


@app.after_request
def add_headers(response: Response) -> Response:
    may_be_kept = request.endpoint == "static" and response.status_code < 400
    response.headers.extend(HEADERS if may_be_kept else PAGE_HEADERS)
    return response


def is_script() -> bool:
    """Whether a script asks (fetch, XMLHttpRequest) and not a person going to a page."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode:
        return mode != "navigate"
    accepts = request.accept_mimetypes
    return request.headers.get("X-Requested-With") == "XMLHttpRequest" or (
        accepts.accept_json and not accepts.accept_html
    )


def from_this_site(*, or_typed: bool) -> bool:
    """Whether a page of ours made this request (Fetch Metadata; Origin for browsers without it)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site:
        return site == "same-origin" or (or_typed and site == "none")
    return request.headers.get("Origin") == settings.origin


def local_path(path: str | None) -> str:
    """`path`, if it can lead to nowhere but a page of this site; else `/`."""
    fits = re.fullmatch(r"/(?!/)[!-\[\]-~]{0,500}", path or "")  # printable ASCII without a backslash
    return path if fits and urlsplit(path).path not in NO_PAGES else "/"


def page(template: str, status: int = 200, **context: Any) -> tuple[str, int]:
    """A rendered page, with the notice that the request before has left for it."""
    notice = request.cookies.get(NOTICE_COOKIE)
    if notice:
        forget(NOTICE_COOKIE)
    name = b2c.display_name(session.get("claims"))
    text = render_template(template, name=name, notice=NOTICES.get(notice), status=status, **context)
    return text, status


def go_to(location: str, *, notice: str) -> Response:
    """A redirect to a page that shows `notice`."""
    response = redirect(location, 303)
    response.set_cookie(NOTICE_COOKIE, notice, max_age=60, **COOKIE)
    return response


def forget(cookie: str) -> None:
    """Remove a cookie with the answer to this request, whatever answer that is."""

    @after_this_request
    def remove(response: Response) -> Response:
        response.delete_cookie(cookie, **COOKIE)
        return response


def get_if(wanted: Any, path: str) -> Callable:
    """A GET route that is there only with the setting that it needs."""
    return app.get(path) if wanted else lambda view: view


# --- Routes, in the order in which a user meets them --------------------------------------------------------

CALLBACK = settings.callback_path
NO_PAGES = {"/login", "/logout", CALLBACK}  # nothing to come back to
FLOW_LIFETIME = 30 * 60  # seconds a user may take at the tenant's pages
MOST_FLOWS = 6000  # bytes of pending flows in one browser; servers refuse requests with larger headers
LONGEST_JSON = 200_000  # characters that are still laid out; indentation can make a page of any size
MOST_TRIES = 5  # user flows begun within a minute without the user asking
NOTICES = {
    "welcome": "You are signed in.",
    "still": "You are signed in already.",
    "profile_updated": "Your profile has been updated.",
    "password_changed": "Your password has been changed, and you are signed in.",
    "cancelled": "Cancelled. Nothing has changed.",
    "signed_out": "You are signed out.",
    "signed_out_here": "You are signed out here. The sign-in service did not answer: close the browser too.",
}


@app.get("/healthz")
def healthz() -> Response:
    """Tell a load balancer that this process answers."""
    return Response("ok\n", mimetype="text/plain")


@app.get("/")
def home() -> Any:
    """Welcome the user, or offer to sign in."""
    return page("home.html")


def people_only(view: Callable) -> Callable:
    """Spare user flows from link scanners, prefetching and embedding: none of them is the user."""

    @wraps(view)
    def checked() -> Any:
        if session.unavailable:
            raise b2c.StoreUnavailable("nobody knows whether this user is signed in")
        refuse_machines()
        return view()

    return checked


def refuse_machines() -> None:
    if request.method == "HEAD":
        raise MethodNotAllowed(["GET"])
    if "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", "")):
        raise ServiceUnavailable()  # a browser asks again when the user really comes
    if request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        raise NotAVisit(f"Sec-Fetch-Mode {request.headers['Sec-Fetch-Mode']!r}")


@app.get("/login")
@people_only
def login() -> Any:
    """Begin the sign-up and sign-in user flow."""
    next_path = local_path(request.args.get("next"))
    hints = b2c.checked_hints(request.args)
    if request.headers.get("Sec-Fetch-Site") == "cross-site":  # no other site decides that a user signs in
        return page("sign_in.html", next=next_path, hints=hints)
    return begin(SIGN_IN, next_path, **hints)


def begin(user_flow: str, next_path: str, notice: str = "welcome", **hints: str) -> Response:
    """Send the browser to a user flow. What its return needs goes along in a cookie named after its `state`:
    so every tab has its own, any worker can finish it, and nothing is stored for strangers.
    """
    flow = tenant.begin(user_flow, scopes=settings.scope if user_flow == SIGN_IN else (), **hints)
    response = redirect(flow.pop("auth_uri"))
    cookie = FLOW_COOKIE + flow["state"]
    language = {name: hints[name] for name in hints if name == "ui_locales"}
    pending = {
        "user_flow": user_flow,
        "flow": flow,
        "next": next_path,
        "notice": notice,
        "language": language,
    }
    sealed = seal.seal(cookie, pending).decode()
    response.set_cookie(cookie, sealed, max_age=FLOW_LIFETIME, **COOKIE)
    forget_old_flows(MOST_FLOWS - len(cookie) - len(sealed))
    return response


def forget_old_flows(room: int) -> None:
    """Keep so many bytes of this browser's pending flows, the latest ones."""
    pending = {name: value for name, value in request.cookies.items() if name.startswith(FLOW_COOKIE)}
    if sum(len(name) + len(value) for name, value in pending.items()) <= room:
        return
    flows = {name: seal.unseal(name, value, FLOW_LIFETIME) for name, value in pending.items()}
    began = {name: flow["flow"]["began"] if flow else 0 for name, flow in flows.items()}
    for name in sorted(began, key=began.get, reverse=True):
        room -= len(name) + len(pending[name])
        if room < 0:
            forget(name)


def begin_unasked(user_flow: str, next_path: str, notice: str = "welcome", **hints: str) -> Response:
    """Begin a user flow that the user did not ask for by a click. A loop of them ends on a page."""
    tries = request.cookies.get(TRIES_COOKIE, "")
    tries = int(tries) if re.fullmatch("[0-9]", tries) else 0
    if tries >= MOST_TRIES:
        raise b2c.SignInLoop(f"{tries} user flows begun within a minute")
    response = begin(user_flow, next_path, notice, **hints)
    response.set_cookie(TRIES_COOKIE, str(tries + 1), max_age=60, **COOKIE)
    return response


@app.get(CALLBACK)
@people_only
def callback() -> Any:
    """Complete whichever user flow this browser began with this `state`."""
    # The flow that this browser began, for one use.
    pending = take_pending_flow()
    if not pending and session:  # the Back button, or a page that was restored
        return go_to("/", notice="still")
    if not pending:
        raise b2c.FlowLost("no pending flow fits the state")
    g.next_path = pending["next"]  # for a failure's page
    # Every parameter once (RFC 6749 section 3.1).
    if any(len(values) > 1 for values in request.args.to_dict(flat=False).values()):
        raise b2c.AnswerRefused("a parameter is given twice")
    # The response, the code and the ID token, at the user flow's own authority.
    try:
        result = tenant.complete(pending["user_flow"], pending["flow"], request.args)
    except b2c.Cancelled:
        # The page that a cancelled sign-in was for would ask for it again.
        asks_again = not session or pending["user_flow"] == SIGN_IN
        return go_to("/" if asks_again else pending["next"], notice="cancelled")
    except b2c.PasswordForgotten:
        if not RESET_PASSWORD:
            raise
        return begin_unasked(RESET_PASSWORD, pending["next"], "password_changed", **pending["language"])
    # What this user flow was for.
    return ON_RETURN[pending["user_flow"]](result, pending)


def take_pending_flow() -> dict | None:
    """The pending flow that fits the request's one `state`. Its cookie is gone with the answer."""
    states = request.args.getlist("state")
    cookie = FLOW_COOKIE + states[0] if len(states) == 1 else ""
    if cookie not in request.cookies:
        return None
    forget(cookie)
    pending = seal.unseal(cookie, request.cookies[cookie], FLOW_LIFETIME)
    return pending if pending and pending["user_flow"] in ON_RETURN else None  # settings may have changed


def signed_in(result: b2c.SignIn, pending: dict) -> Response:
    start_session(result)
    app.logger.info("signed in: sub=%r", result.claims["sub"])
    return go_to(pending["next"], notice=pending["notice"])


def profile_edited(result: b2c.SignIn, pending: dict) -> Response:
    if not session:
        raise b2c.SessionEnded("the session that the profile edit belongs to has ended")
    if session["claims"]["sub"] != result.claims["sub"]:
        raise b2c.OtherUser("the profile edit is for another sub")
    edited = {name: value for name, value in result.claims.items() if name not in b2c.PROTOCOL_CLAIMS}
    session["claims"] = session["claims"] | edited
    return go_to(pending["next"], notice="profile_updated")


def password_reset(result: b2c.SignIn, pending: dict) -> Response:
    if session and session["claims"]["sub"] != result.claims["sub"]:
        problem = b2c.OtherUser("the password reset is for another sub")
        problem.advice = f"Its password has been changed. {problem.advice}"
        raise problem
    return begin_unasked(SIGN_IN, pending["next"], "password_changed", **pending["language"])


ON_RETURN = {SIGN_IN: signed_in, EDIT_PROFILE: profile_edited, RESET_PASSWORD: password_reset}


def signed_in_only(view: Callable) -> Callable:
    """Take a signed-out user through sign-in and back to the page asked for; tell a script where to go."""

    @wraps(view)
    def checked() -> Any:
        if session.unavailable:
            raise b2c.StoreUnavailable("nobody knows whether this user is signed in")
        try:
            return view() if session else sign_in_first()
        except b2c.SignInRequired as problem:
            log(problem)
            return sign_in_first()

    return checked


def sign_in_first() -> Any:
    next_path = local_path(request.full_path.rstrip("?")) if request.method == "GET" else "/"
    if is_script():
        sign_in_uri = settings.origin + url_for("login", next=next_path)
        body = jsonify(error="sign_in_required", sign_in_uri=sign_in_uri)
        return body, 401, {"WWW-Authenticate": "Session"}
    refuse_machines()
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and not session:
        return page("sign_in.html", 401, next=next_path)
    return begin_unasked(SIGN_IN, next_path)


@get_if(api, "/call_downstream_api")
@signed_in_only
def call_downstream_api() -> Any:
    """Call the web API for the user and show what it answered."""
    headers = {"Authorization": f"Bearer {access_token()}", "Accept": "application/json"}
    began = time.perf_counter()
    try:
        reply, failed = api.request("GET", settings.endpoint, headers=headers), ""
    except requests.RequestException as error:
        app.logger.warning("web API: no answer from %s: %s", settings.endpoint, b2c.short(error))
        reply, failed = None, "timeout" if isinstance(error, requests.Timeout) else "unreachable"
    milliseconds = round((time.perf_counter() - began) * 1000)
    status = 200 if reply and reply.status_code < 300 else 504 if failed == "timeout" else 502
    kind, body = readable(reply)
    return page(
        "api.html",
        status,
        endpoint=settings.endpoint,
        reply=reply,
        failed=failed,
        kind=kind,
        body=body,
        milliseconds=milliseconds,
    )


def access_token() -> str:
    """An access token for the user. When it must be refreshed, one request does so and the others wait.

    Raises SignInRequired, TenantUnavailable, SetupFault or TokenRefused.
    """
    account_id, subject = session["account_id"], session["claims"]["sub"]
    cached = tenant.cached_access_token(records.token_cache(session.sid), account_id)
    if cached:
        return cached
    tenant.warm_up(SIGN_IN)  # so that the lock is held for one request to the tenant
    with records.lock_token_cache(session.sid):
        token_cache = records.token_cache(session.sid)
        token = tenant.refreshed_access_token(SIGN_IN, token_cache, account_id, subject)
        if token.token_cache and not records.replace_token_cache(session.sid, session, token.token_cache):
            raise b2c.SessionEnded("the session has ended while its tokens were refreshed")
    return token.secret


def readable(reply: b2c.Reply | None) -> tuple[str, str]:
    """What the API answered with (`json`, `text` or nothing), and that as text."""
    text = reply.text.removeprefix("\ufeff") if reply else ""
    if not text.strip():
        return "", ""
    pretty = ""
    try:
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(text)):
            pretty += piece
            if len(pretty) > LONGEST_JSON:
                return "json", text
        return "json", b2c.printable(pretty)
    except (ValueError, RecursionError):
        return "text", text


@app.get("/token_details")
def token_details() -> Any:
    """Show the claims of the ID token, each with its meaning."""
    if session.unavailable:
        raise b2c.StoreUnavailable("nobody knows whether this user is signed in")
    if not session:
        return sign_in_first() if is_script() else page("sign_in.html", 401, next="/token_details")
    return page("token_details.html", claims=b2c.described(session["claims"]))


@get_if(EDIT_PROFILE, "/edit_profile")
@signed_in_only
@people_only
def edit_profile() -> Response:
    """Begin the profile editing user flow."""
    return begin(EDIT_PROFILE, local_path(request.args.get("next")), **b2c.checked_hints(request.args))


@get_if(RESET_PASSWORD, "/reset_password")
@people_only
def reset_password() -> Response:
    """Begin the password reset user flow."""
    return begin(RESET_PASSWORD, local_path(request.args.get("next")), **b2c.checked_hints(request.args))


@app.route("/logout", methods=["GET", "POST"])
@people_only
def logout() -> Any:
    """End the session here and at the tenant; on a click here or a typed address only."""
    if not from_this_site(or_typed=request.method == "GET"):
        return page("sign_out.html", 200 if request.method == "GET" else 403)
    token_cache = records.token_cache(session.sid) if session else ""
    end_session()
    try:
        return go_to(tenant.sign_out_uri(SIGN_IN, token_cache, settings.origin + "/"), notice="signed_out")
    except b2c.Problem as problem:
        log(problem)
        return go_to("/", notice="signed_out_here")


# --- When something goes wrong ------------------------------------------------------------------------------


class Misdirected(b2c.Problem):
    status = 421
    again = False
    title = "This is not the site's own address"
    advice = f"Please go to {settings.origin}/"
    operator = "REDIRECT_URI says which host this app has. A proxy in front must pass the browser's Host on."


class NotAVisit(b2c.Problem):
    status = 400
    again = False
    title = "This address is for people"
    advice = "Please open it in a browser window."


def log(problem: b2c.Problem) -> None:
    """One line for the operator, without tokens, codes or secrets."""
    name, code, reason = type(problem).__name__, problem.code or "-", str(problem)[:300]
    form = "%s: status=%s code=%s reference=%s path=%r reason=%r"
    app.logger.warning(form, name, problem.status, code, problem.reference, request.path, reason)


def failure(title: str, advice: str, status: int, headers: Any = (), **details: Any) -> Response:
    """A page that says what to do next, or the same as JSON for a script."""
    if is_script():
        response = jsonify(error=title, advice=advice, reference=details.get("reference"))
    else:
        details |= {"title": title, "advice": advice, "next": g.get("next_path", "/")}
        response = app.make_response(page("error.html", status, **details))
    response.status_code = status
    response.headers.update(headers)
    return response


@app.errorhandler(b2c.Problem)
def problem_page(problem: b2c.Problem) -> Response:
    log(problem)
    headers = {"Retry-After": str(problem.retry_after or 30)} if problem.status == 503 else {}
    return failure(
        problem.title,
        problem.advice,
        problem.status,
        headers,
        code=problem.code,
        reference=problem.reference,
        operator=problem.operator,
        again=problem.again,
    )


def store_page(error: Exception) -> Response:
    return problem_page(b2c.StoreUnavailable(b2c.short(error)))


for store_error in b2c.STORE_ERRORS:
    app.register_error_handler(store_error, store_page)


@app.errorhandler(HTTPException)
def http_page(error: HTTPException) -> Response:
    title, advice = {
        404: ("There is no such page", "Check the address, or start from the home page."),
        405: ("That does not work here", "Start from the home page."),
    }.get(error.code, (error.name, "Start from the home page."))
    headers = [(name, value) for name, value in error.get_headers() if name != "Content-Type"]
    return failure(title, advice, error.code, headers)


@app.errorhandler(InternalServerError)
def crash_page(error: InternalServerError) -> Response:
    if isinstance(error.original_exception, b2c.STORE_ERRORS):  # while a view's changes were being saved
        return store_page(error.original_exception)
    reference = str(uuid.uuid4())
    app.logger.error("crashed: reference=%s path=%r", reference, request.path)
    advice = "Please try again. If it keeps happening, tell the people who run this site the reference below."
    return failure("Something broke on this site", advice, 500, reference=reference)


# --- Before the first sign-in -------------------------------------------------------------------------------


@app.cli.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(as_json: bool) -> None:
    """Say what is wrong with the set-up, before anybody signs in."""
    findings = []
    for finding in b2c.check.findings(tenant, records, settings.endpoint):
        findings.append(vars(finding))
        if not as_json:
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
            click.echo(f"      {finding.advice}\n" if finding.advice else "", nl=False)
    if as_json:
        click.echo(json.dumps(findings, indent=2))
    raise SystemExit(0 if all(finding["ok"] for finding in findings) else 1)
