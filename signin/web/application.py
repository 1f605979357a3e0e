"""The Flask app with sign-in: what it is made of, and how it is served during development."""

import logging
import re
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request
from flask.logging import default_handler, has_level_handler
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import MapAdapter
from werkzeug.sansio.http import parse_cookie
from werkzeug.utils import cached_property

from signin.oidc import EDIT_PROFILE, RESET_PASSWORD, SIGN_UP

from .engine import Engine
from .errors import ExcInfo, add_error_pages, log_crash
from .header_guard import add_header_guard
from .responses import add_response_rules
from .session import SessionInterface
from .startup import prepare, require_gunicorn_config
from .user import User, find_user


class SignInRequest(Request):
    """A request that looks its cookies up. Flask's own reads every header to find them."""

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies by name."""
        return parse_cookie(self.environ.get("HTTP_COOKIE"), cls=ImmutableMultiDict)  # type: ignore[return-value]


class SignInApp(Flask):
    """A Flask app with sessions, security headers and error pages, and the OAuth client of its settings.

    It reads app_config, opens the session store and ends the process with one message when that fails.
    """

    request_class = SignInRequest

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name)
        require_gunicorn_config()
        parts = prepare()
        self.extensions["signin"] = parts
        self.settings, self.client = parts.settings, parts.client
        self._url_scheme = urlsplit(self.settings.origin).scheme
        self.config.update(SECRET_KEY=self.settings.secret_key, SESSION_COOKIE_NAME=parts.cookies.session)
        self.session_interface = SessionInterface(self, parts)
        self.jinja_env.globals.update(
            provider_name=self.client.provider.name,
            has_page=self.view_functions.__contains__,
            shows_operator_help=self.settings.shows_operator_help,
            has_api=bool(self.settings.endpoint),
            sign_in_includes_sign_up=self.client.provider.sign_in_includes_sign_up,
            can_sign_up=self.offers(SIGN_UP),
            can_edit_profile=self.offers(EDIT_PROFILE) or bool(self.settings.profile_scope),
            can_reset_password=self.offers(RESET_PASSWORD),
        )
        self.context_processor(_user_for_templates)
        add_header_guard(self, parts.cookies.prefix)
        add_response_rules(self, parts)
        add_error_pages(self)
        _set_up_logging()

    def offers(self, user_flow: str) -> bool:
        """Whether the authority has this user flow: SIGN_IN, SIGN_UP, EDIT_PROFILE or RESET_PASSWORD."""
        return user_flow in self.client.user_flows

    def allow_api(self, url: str) -> None:
        """Let `call_api` send access tokens to the host of `url`, besides that of ENDPOINT.

        Raises ValueError unless it is https, or http on this machine.
        """
        parts: Engine = self.extensions["signin"]
        parts.allow_api(url)

    def log_exception(self, exc_info: ExcInfo) -> None:
        """Log an exception that no error handler expects."""
        log_crash(exc_info)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Build every URL for the configured host, whatever host the request names."""
        if request is None:
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map,
            self.settings.host,
            script_name="/",
            subdomain="",
            url_scheme=self._url_scheme,
            path_info=request.path,
            default_method=request.method,
            query_args=request.environ.get("QUERY_STRING", ""),
        )


def serve(app: SignInApp) -> None:
    """Serve the app for development, at the address that REDIRECT_URI names."""
    origin = urlsplit(app.settings.origin)
    if not app.settings.on_this_machine:
        raise SystemExit(
            f"REDIRECT_URI is not on this machine. To serve {app.settings.origin}: gunicorn app:app"
        )
    default_port = 443 if app.settings.https else 80
    ssl_context = "adhoc" if app.settings.https else None
    app.run(origin.hostname, origin.port or default_port, ssl_context=ssl_context)


def _user_for_templates() -> dict[str, User]:
    """`current_user` in templates, which ask for it many times: the user, not the proxy that views use."""
    return {"current_user": find_user()}


def _set_up_logging() -> None:
    """Log to where Flask logs, unless the program that imports the app has set up logging itself."""
    log = logging.getLogger("signin")
    log.setLevel(logging.INFO)
    if not has_level_handler(log):
        log.addHandler(default_handler)
    for name in ("werkzeug", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_without_query)
    logging.getLogger("werkzeug").addFilter(_is_worth_a_line)


def _without_query(line: logging.LogRecord) -> bool:
    """Cut queries from log lines: the callback's holds the code, and ENDPOINT's may hold a key."""
    if isinstance(line.args, tuple):
        line.args = tuple(_cut_query(part) for part in line.args)
    return True


def _is_worth_a_line(line: logging.LogRecord) -> bool:
    """Whether the development server logs a request. Static files would bury what newcomers look for."""
    if not isinstance(line.args, tuple) or len(line.args) < 2:
        return True
    asked, status = str(line.args[0]), str(line.args[1])
    return not ("GET /static/" in asked and status in ("200", "304"))


def _cut_query(part: Any) -> Any:
    return re.sub(r"\?\S*", "", part) if isinstance(part, str) else part
