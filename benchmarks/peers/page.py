"""The app's signed-in home page, for the other apps, so that all of them render the same page."""

from dataclasses import dataclass
from datetime import datetime, timezone

from flask import Flask, render_template

from benchmarks.rig import ROOT
from benchmarks.stand_in.tenant import NAME

TEMPLATES = ROOT / "templates"
SOMEBODY = {"name": NAME}
LINKED = (
    *("home", "login", "logout", "call_downstream_api", "edit_profile", "reset_password", "token_details"),
    "sessions",
)


@dataclass(frozen=True)
class User:
    """What the page shows of the user."""

    name: str
    email: str = "grace@example.com"
    identity_provider: str = ""
    signed_in_since: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)


def dress(app: Flask) -> None:
    """Add what the templates link to and look up to an app that has its routes."""
    for endpoint in LINKED:
        if endpoint not in app.view_functions:
            app.add_url_rule(f"/unused/{endpoint}", endpoint)
    app.jinja_env.globals.update(
        provider_name="Azure AD B2C",
        has_api=True,
        can_edit_profile=True,
        can_reset_password=True,
        has_page=lambda endpoint: endpoint in LINKED,
    )


def render_home(user: dict[str, str]) -> str:
    """Return the app's home page for a signed-in user."""
    return render_template("home.html", current_user=User(user["name"]), notice=None)
