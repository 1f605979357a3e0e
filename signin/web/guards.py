"""Who may see a page: decorators for views."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar, overload

from flask import g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed, ServiceUnavailable

from signin.oidc import SIGN_IN, InteractionRequired, SignInRequired, checked_hints

from .api import access_token, scope_names
from .engine import engine
from .errors import log_failure
from .exceptions import InteractionFailed, NotAVisit, RoleMissing, SentFromElsewhere
from .fetch_metadata import came_from_elsewhere, came_from_this_site, is_prefetch, is_script
from .interactions import forget_satisfied_interactions, was_just_asked_for
from .responses import local_path, page, page_of_form, referring_page, requested_path, waiting_notice
from .session import require_session_store
from .user import current_user
from .user_flows import (
    begin_interaction,
    begin_unasked,
    just_came_back,
    seal_need,
)

READ_ONLY_METHODS = {"GET", "HEAD", "OPTIONS"}

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


@overload
def sign_in_required(view: View) -> View: ...
@overload
def sign_in_required(*, scopes: str | Collection[str] = ()) -> Callable[[View], View]: ...
def sign_in_required(view: View | None = None, *, scopes: str | Collection[str] = ()) -> Any:
    """Let signed-in users see a view. Others sign in first and come back to it.

    With `scopes`, the user also has an access token for them before the view runs. A script gets a 401 with
    the address of the sign-in page instead of a redirect. A request that can change something (POST, PUT)
    has to come from a page of this site: browsers send the cookies with requests of sibling subdomains too.
    """
    wanted = scope_names(scopes)

    def decorate(view: View) -> View:
        _require_view(view)

        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            require_session_store()
            if not current_user:
                return _sign_in_first()
            if request.method not in READ_ONLY_METHODS and not came_from_this_site():
                raise SentFromElsewhere("a request that changes something came from another site")
            try:
                if wanted:
                    access_token(wanted)
                response = view(*args, **kwargs)
                if "access_tokens" in g:
                    forget_satisfied_interactions(g.access_tokens)
                return response
            except InteractionRequired as error:
                log_failure(error)
                return _interact_first(error)
            except SignInRequired as error:
                log_failure(error)
                return _sign_in_first(error)

        return guarded  # type: ignore[return-value]

    return decorate if view is None else decorate(view)


def role_required(*roles: str) -> Callable[[View], View]:
    """Let users see a view who have at least one of these roles. Others get a 403.

    Includes `sign_in_required`. `current_user.roles` says where roles come from and how old they can be.
    Raises TypeError unless the roles are strings, one or more.
    """
    if not roles or not all(isinstance(role, str) for role in roles):
        raise TypeError('write the roles one by one: @role_required("editor", "admin")')

    def decorate(view: View) -> View:
        _require_view(view)

        @sign_in_required
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            if not current_user.roles.intersection(roles):
                raise RoleMissing(f"user {current_user.id!r} has none of the roles {', '.join(roles)}")
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def people_only(view: View) -> View:
    """Refuse requests that no person made: link scanners, prefetching, embedded frames."""
    _require_view(view)

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        _refuse_machines()
        return view(*args, **kwargs)

    return guarded  # type: ignore[return-value]


def ask_first(view: View) -> View:
    """Show a page that asks before a user flow begins, unless the user chose it here or typed the address.

    Otherwise any other site could send the user through a user flow.
    """
    _require_view(view)

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
        return _unauthorized()
    return page("sign_in.html", 401, next=next_path)


def _require_view(view: object) -> None:
    """Raise TypeError, when the app is imported, for what a guard cannot call."""
    if not callable(view) or inspect.iscoroutinefunction(view):
        raise TypeError(f"a guard is for a view, a function with `def` and not `async def`: {view!r}")


def _sign_in_first(error: SignInRequired | None = None) -> ResponseReturnValue:
    if is_script():
        return _unauthorized(error)
    _refuse_machines()
    next_path, notice = _way_back("signed_in")
    if came_from_elsewhere():
        return page("sign_in.html", 401, next=next_path)
    return begin_unasked(SIGN_IN, next_path, notice)


def _interact_first(error: InteractionRequired) -> ResponseReturnValue:
    if is_script() and was_just_asked_for(error):
        # The page can have more scripts. So the note stays, or each of them would have the user sign in.
        raise InteractionFailed(f"still required after an interactive sign-in: {error}")
    # To browsers, a page that follows on the sign-in service comes from there, also by way of the callback.
    if is_script() or (came_from_elsewhere() and not just_came_back()):
        return _sign_in_first(error)
    _refuse_machines()
    return begin_interaction(error, *_way_back(""))  # the user is signed in already: no news


def _unauthorized(error: SignInRequired | None = None) -> ResponseReturnValue:
    """Tell a script where its page can send the user to sign in, and to come back to that page.

    `error` is why a user who is signed in has to sign in once more.
    """
    need = seal_need(error) if error else None
    sign_in_uri = engine().settings.origin + url_for("login", next=referring_page(), need=need)
    reason = "interaction_required" if isinstance(error, InteractionRequired) else "sign_in_required"
    body = jsonify(error=reason, sign_in_uri=sign_in_uri)
    return body, 401, {"WWW-Authenticate": "Session"}


def _way_back(notice: str) -> tuple[str, str]:
    """The path to return to after the sign-in, and what to show there: `notice`, or more important news."""
    if request.method not in READ_ONLY_METHODS:
        return page_of_form(), "form_not_sent"
    return local_path(requested_path()), waiting_notice() or notice


def _refuse_machines() -> None:
    if request.method == "HEAD":
        raise MethodNotAllowed(["GET"])
    if is_prefetch():
        raise ServiceUnavailable  # the browser asks again when the user really comes
    mode = request.headers.get("Sec-Fetch-Mode", "navigate")
    if mode != "navigate":
        raise NotAVisit(f"Sec-Fetch-Mode {mode[:40]!r}")
