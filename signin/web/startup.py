"""What can keep the app from starting, reported in one way by flask, gunicorn, `flask check` and app.py."""

import json
import sys
from typing import NoReturn

import click
from werkzeug.serving import is_running_from_reloader

import app_config
from signin.oidc import CredentialUnusable
from signin.sessions import StoreUnusable, open_store

from .engine import Engine, make_engine
from .words import port_advice

NEXT_STEPS = """\
  To add a page: write a route in app.py and a template in templates/.
  @sign_in_required, below @app.get, lets signed-in users see it and lets others sign in first.
"""

_gunicorn_has_read_its_config = False


def prepare() -> Engine:
    """Read the settings, open the session store, load the credential. Ends the process if one fails."""
    try:
        settings = app_config.load()
    except app_config.ConfigError as error:
        _stop("settings", str(error))
    is_check = sys.argv[1:2] == ["check"]  # which reports them itself
    for name, meant in ({} if is_check else app_config.misspelt_here()).items():
        _warn(f"{name} is not a setting of this app, and has no effect. Did you mean {meant}?")
    _guide(settings)
    try:
        store = open_store(settings.redis_url, settings.session_dir)
    except StoreUnusable as error:
        _stop("session store", str(error))
    try:
        return make_engine(settings, store)
    except CredentialUnusable as error:
        _stop("credential", f"The credential cannot be used: {error}")


def _guide(settings: app_config.Settings) -> None:
    """For `flask run`: what to edit next, and whether its port is another than REDIRECT_URI's."""
    command = click.get_current_context(silent=True)
    if not command or command.info_name != "run" or is_running_from_reloader():
        return
    print(NEXT_STEPS, file=sys.stderr)
    port = command.params.get("port")
    if port and port != settings.port and settings.on_this_machine:
        _warn(
            f"flask run listens on port {port}, and REDIRECT_URI says {settings.port}. "
            f"{port_advice(settings, port)}"
        )


def _warn(message: str) -> None:
    print(f"Warning: {message}", file=sys.stderr)


def note_gunicorn_config() -> None:
    """gunicorn.conf.py calls this, so that the app can tell that gunicorn has read it."""
    global _gunicorn_has_read_its_config
    _gunicorn_has_read_its_config = True


def require_gunicorn_config() -> None:
    """End a gunicorn that has not read gunicorn.conf.py, with the command to type.

    gunicorn looks for the file in the folder it is started from, also when --chdir names another one. Without
    the file it serves one request at a time and refuses the sign-in service's long responses.
    """
    runs_under_gunicorn = "gunicorn.arbiter" in sys.modules
    if runs_under_gunicorn and not _gunicorn_has_read_its_config:
        config = app_config.HERE / "gunicorn.conf.py"
        command = f"gunicorn --config {config} --chdir {app_config.HERE} app:app"
        _stop("gunicorn", f"gunicorn has not read {config.name}. Type: {command}")


def _stop(what: str, message: str) -> NoReturn:
    """End the start with one message. For `flask check --json` the message is a finding."""
    if "check" in sys.argv and "--json" in sys.argv:
        print(json.dumps([{"what": what, "ok": False, "detail": message, "advice": ""}], indent=2))
        raise SystemExit(1)
    print(message, file=sys.stderr)
    # With status 4 gunicorn stops instead of restarting the worker.
    raise SystemExit(4 if "gunicorn.arbiter" in sys.modules else 1)
