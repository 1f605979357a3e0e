"""The app's signed-in home page, for the other apps, so that all of them render the same page."""

from flask import Flask, render_template

from benchmarks.rig import ROOT
from benchmarks.stand_in.tenant import NAME

TEMPLATES = ROOT / "templates"
SOMEBODY = {"name": NAME}
LINKED = ("home", "login", "logout", "call_downstream_api", "edit_profile", "reset_password", "token_details")


def dress(app: Flask) -> None:
    """Add what the templates link to and look up to an app that has its routes."""
    for endpoint in LINKED:
        if endpoint not in app.view_functions:
            app.add_url_rule(f"/unused/{endpoint}", endpoint)
    app.jinja_env.globals.update(
        has_api=True, has_edit_profile=True, has_reset_password=True, has_page=lambda _: True
    )


def render_home(user: dict[str, str]) -> str:
    """Return the app's home page for a signed-in user."""
    return render_template("home.html", name=user["name"], notice=None)
