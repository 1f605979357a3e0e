"""Who may see a page: decorators for views."""

import functools
from collections.abc import Callable, Collection
from typing import Any, TypeVar, overload

from flask import g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed, ServiceUnavailable

from signin.oidc import SIGN_IN, InteractionRequired, SignInRequired, checked_hints

from .api import access_token
from .engine import engine
from .errors import log_failure
from .exceptions import NotAVisit
from .fetch_metadata import came_from_elsewhere, is_prefetch, is_script
from .responses import local_path, page, requested_path
from .session import require_session_store
from .user import current_user
from .user_flows import begin_interaction, begin_unasked, forget_interaction

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


@overload
def sign_in_required(view: View) -> View: ...
@overload
def sign_in_required(*, scopes: Collection[str] = ()) -> Callable[[View], View]: ...
def sign_in_required(view: View | None = None, *, scopes: Collection[str] = ()) -> Any:
    """Let signed-in users see a view. Others sign in first and come back to it.

    With `scopes`, the user also has an access token for them before the view runs. A script gets a 401 with
    the address of the sign-in page instead of a redirect.
    """
    wanted = tuple(scopes)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            require_session_store()
            if not current_user:
                return _sign_in_first()
            try:
                if wanted:
                    access_token(wanted)
                response = view(*args, **kwargs)
                if "access_tokens" in g:
                    forget_interaction()
                return response
            except InteractionRequired as error:
                log_failure(error)
                if is_script() or came_from_elsewhere():
                    return _sign_in_first()
                return begin_interaction(error, _path_to_return_to())
            except SignInRequired as error:
                log_failure(error)
                return _sign_in_first()

        return guarded  # type: ignore[return-value]

    return decorate(view) if view else decorate


def people_only(view: View) -> View:
    """Refuse requests that no person made: link scanners, prefetching, embedded frames."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        _refuse_machines()
        return view(*args, **kwargs)

    return guarded  # type: ignore[return-value]


def ask_first(view: View) -> View:
    """Show a page that asks before a user flow begins, unless the user chose it here or typed the address.

    Otherwise any other site could send the user through a user flow.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        if came_from_elsewhere():
            parameters: dict[str, Any] = {"next": local_path(request.args.get("next"))}
            parameters |= checked_hints(request.args)
            uri = url_for(str(request.endpoint), **parameters)
            return page("continue.html", uri=uri, is_sign_in=request.endpoint in ("login", "signup"))
        return view(*args, **kwargs)

    return guarded  # type: ignore[return-value]


def show_sign_in_page(next_path: str) -> ResponseReturnValue:
    """A 401 with a page that asks the user to sign in; for a script, the same as JSON."""
    require_session_store()
    if is_script():
        return _unauthorized(next_path)
    return page("sign_in.html", 401, next=next_path)


def _sign_in_first() -> ResponseReturnValue:
    next_path = _path_to_return_to()
    if is_script():
        return _unauthorized(next_path)
    _refuse_machines()
    if came_from_elsewhere():
        return page("sign_in.html", 401, next=next_path)
    return begin_unasked(SIGN_IN, next_path)


def _unauthorized(next_path: str) -> ResponseReturnValue:
    sign_in_uri = engine().settings.origin + url_for("login", next=next_path)
    body = jsonify(error="sign_in_required", sign_in_uri=sign_in_uri)
    return body, 401, {"WWW-Authenticate": "Session"}


def _path_to_return_to() -> str:
    return local_path(requested_path()) if request.method == "GET" else "/"


def _refuse_machines() -> None:
    if request.method == "HEAD":
        raise MethodNotAllowed(["GET"])
    if is_prefetch():
        raise ServiceUnavailable  # the browser asks again when the user really comes
    mode = request.headers.get("Sec-Fetch-Mode", "navigate")
    if mode != "navigate":
        raise NotAVisit(f"Sec-Fetch-Mode {mode[:40]!r}")
