"""Profile editing for authorities without a user flow for it: a form on this site, and Microsoft Graph.

Source: Microsoft Graph reference, "Get a user", "Update user" and "user resource type".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from flask.typing import ResponseReturnValue

from signin.oidc import SIGN_IN, checked_hints, printable

from .api import ApiAnswer, call_api
from .engine import engine
from .exceptions import ProfileUnavailable
from .responses import go_to, page
from .user import current_user
from .user_flows import begin_unasked

LONGEST_REASON = 300  # characters of Graph's own words that the page shows
BUSY = (429, 503, 504)


@dataclass(frozen=True)
class Property:
    """A property of the user in Graph that the user may change. `longest` is in characters."""

    name: str
    label: str
    autocomplete: str  # HTML, "Autofill"
    longest: int


# With User.ReadWrite, users can change these of their own.
PROPERTIES = (
    Property("displayName", "Display name", "name", 256),
    Property("givenName", "Given name", "given-name", 64),
    Property("surname", "Surname", "family-name", 64),
    Property("jobTitle", "Job title", "organization-title", 128),
    Property("streetAddress", "Street address", "street-address", 1024),
    Property("postalCode", "Postal code", "postal-code", 40),
    Property("city", "City", "address-level2", 128),
    Property("state", "State or province", "address-level1", 128),
    Property("country", "Country or region", "country-name", 128),
    Property("preferredLanguage", "Preferred language, such as en-US", "language", 64),
)


def show_profile(next_path: str, status: int = 200, problem: str = "") -> ResponseReturnValue:
    """A form with the user's profile. Raises ProfileUnavailable, and what `call_api` raises."""
    values = _read()
    return _form(values, values, next_path, status, problem)


def save_profile(next_path: str) -> ResponseReturnValue:
    """Save what the user has changed in the form, then renew the session's claims by a sign-in.

    It is only saved for the user that the form was shown to. `sign_in_required` has refused forms of other
    sites.
    """
    if request.form.get("user") != current_user.id:
        return show_profile(next_path, 409, "You now use another account. Nothing has been changed.")
    shown = {property.name: _one_line(request.form.get(f"was_{property.name}")) for property in PROPERTIES}
    typed = {property.name: _one_line(request.form.get(property.name)) for property in PROPERTIES}
    changed = {name: value for name, value in typed.items() if value != shown[name]}
    if not changed:
        return go_to(next_path, notice="profile_unchanged")
    if not typed["displayName"]:
        return _form(typed, shown, next_path, 400, "Please enter a display name.")
    body = {name: value or None for name, value in changed.items()}
    settings = engine().settings
    answer = call_api(settings.graph_me, settings.profile_scope, "PATCH", body=body)
    if not answer.ok:
        status, problem = _problem(answer)
        return _form(typed, shown, next_path, status, problem, answer.reference)
    return _renew_claims(next_path)


def _read() -> dict[str, str]:
    select = urlencode({"$select": ",".join(property.name for property in PROPERTIES)})
    settings = engine().settings
    answer = call_api(f"{settings.graph_me}?{select}", settings.profile_scope)
    profile = _json_object(answer)
    if not answer.ok or profile is None:
        raise ProfileUnavailable(f"Microsoft Graph: {answer.status or answer.failure}")
    return {property.name: _one_line(profile.get(property.name)) for property in PROPERTIES}


def _one_line(value: object) -> str:
    """Text as a browser's one-line field holds it, so that only what the user changes differs."""
    return printable(" ".join(value.split())) if isinstance(value, str) else ""


def _form(
    typed: Mapping[str, str],
    shown: Mapping[str, str],
    next_path: str,
    status: int = 200,
    problem: str = "",
    reference: str = "",
) -> ResponseReturnValue:
    return page(
        "edit_profile.html",
        status,
        properties=PROPERTIES,
        typed=typed,
        shown=shown,
        next=next_path,
        problem=problem,
        reference=reference,
    )


def _problem(answer: ApiAnswer) -> tuple[int, str]:
    """The HTTP status of the page after a PATCH that failed, and what to say."""
    if answer.status == 400:
        error = (_json_object(answer) or {}).get("error")
        reason = error.get("message") if isinstance(error, dict) else None
        said = f" It says: {printable(reason)[:LONGEST_REASON]}" if isinstance(reason, str) and reason else ""
        return 400, f"The sign-in service did not accept a value.{said}"
    if answer.status == 403:
        return 403, "You are not allowed to change this. Ask the people who run this site."
    if answer.failure or answer.status in BUSY:
        return 503, "The sign-in service does not answer. Your changes may not have been saved. Try again."
    return 502, "The sign-in service could not save your changes. Please try again."


def _json_object(answer: ApiAnswer) -> dict[str, Any] | None:
    try:
        value = json.loads(answer.response.text) if answer.response else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _renew_claims(next_path: str) -> Response:
    claims = current_user.claims
    name = claims.get("login_hint") or claims.get("preferred_username")
    hints = checked_hints({"login_hint": name}) if isinstance(name, str) else {}
    return begin_unasked(SIGN_IN, next_path, "profile_updated", hints=hints)
