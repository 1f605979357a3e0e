"""The settings: what is read, from where, and what is said when something is wrong."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import app_config
from tests.helpers.processes import ROOT

GOOD = {
    "B2C_TENANT_NAME": "contoso",
    "CLIENT_ID": "11111111-1111-1111-1111-111111111111",
    "CLIENT_SECRET": "made-up~secret",
    "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1",
    "SECRET_KEY": "made-up-key-0123456789-abcdefghij",
}

API = {"ENDPOINT": "https://localhost:6000/hello", "SCOPE": "https://contoso.onmicrosoft.com/api/read"}


def test_the_required_settings_are_enough() -> None:
    settings = app_config.read(GOOD)

    assert settings.redirect_uri == "http://localhost:5000/getAToken"
    assert settings.scope == ()
    assert settings.editprofile_user_flow is None


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_required_setting_is_named(name: str) -> None:
    with pytest.raises(app_config.ConfigError, match=f"missing.* {name}|{name} is missing"):
        app_config.read(GOOD | {name: " "})


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(app_config.ConfigError) as wrong:
        app_config.read(
            {"B2C_TENANT_NAME": "not.a.name", "REDIRECT_URI": "nonsense", "SESSION_IDLE_MINUTES": "soon"}
        )

    message = str(wrong.value)
    assert all(name in message for name in [*GOOD, "REDIRECT_URI", "SESSION_IDLE_MINUTES"])
    assert "python -m local_tenant" in message


def test_a_secret_is_never_repeated() -> None:
    with pytest.raises(app_config.ConfigError) as wrong:
        app_config.read(GOOD | {"SECRET_KEY": "too-short-a-secret", "CLIENT_SECRET": "with blanks in it"})

    assert "too-short" not in str(wrong.value)
    assert "with blanks" not in str(wrong.value)
    settings = repr(app_config.read(GOOD | {"REDIS_URL": "redis://:hidden@localhost/0"}))
    assert not re.search("made-up~secret|made-up-key|hidden", settings)


@pytest.mark.parametrize(
    "name, value",
    [
        ("B2C_TENANT_NAME", "contoso.onmicrosoft.com"),
        ("B2C_TENANT_NAME", "https://contoso"),
        ("SIGNUPSIGNIN_USER_FLOW", "susi"),
        ("EDITPROFILE_USER_FLOW", "B2C_1_edit/../susi"),
        ("RESETPASSWORD_USER_FLOW", "B2C_1_signupsignin1"),  # the same as sign-in
        ("SECRET_KEY", "k" * 31),
        ("SECRET_KEY_FALLBACKS", "short"),
        ("B2C_TENANT_ID", "contoso"),
        ("REDIRECT_URI", "http://app.contoso.com/getAToken"),  # http is for this machine alone
        ("REDIRECT_URI", "https://app.contoso.com"),
        ("REDIRECT_URI", "https://app.contoso.com/"),
        ("REDIRECT_URI", "https://app.contoso.com/login"),
        ("REDIRECT_URI", "https://app.contoso.com/getAToken?x=1"),
        ("REDIRECT_URI", "https://app.contoso.com/getAToken#x"),
        ("REDIRECT_URI", "https://user@app.contoso.com/getAToken"),
        ("REDIRECT_URI", "/getAToken"),
        ("REDIRECT_URI", "http://localhost:abc/getAToken"),
        ("REDIRECT_URI", "http://localhost:99999/getAToken"),
        ("REDIRECT_URI", "http://[localhost/getAToken"),
        ("AUTHORITY_TEMPLATE", "http://login.contoso.com/{tenant}/{user_flow}"),
        ("AUTHORITY_TEMPLATE", "https://login.contoso.com/{tenant}"),
        ("AUTHORITY_TEMPLATE", "https://login.contoso.com/{tenant}/{policy}/{user_flow}"),
        ("AUTHORITY_TEMPLATE", "https://login.contoso.com/{tenant/{user_flow}"),
        ("AUTHORITY_TEMPLATE", "https:///{tenant}/{user_flow}"),
        ("REDIS_URL", "localhost:6379"),
        ("SESSION_IDLE_MINUTES", "0"),
        ("SESSION_ABSOLUTE_MINUTES", "a week"),
    ],
)
def test_a_malformed_setting_is_refused(name: str, value: Any) -> None:
    with pytest.raises(app_config.ConfigError):
        app_config.read(GOOD | {name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"ENDPOINT": ""},
        {"SCOPE": ""},
        {"ENDPOINT": "localhost:6000"},
        {"ENDPOINT": "https://local host/hello"},
        {"ENDPOINT": "https://localhost:99999/hello"},
        {"SCOPE": "tasks.read"},
        {"SCOPE": '["https://contoso.onmicrosoft.com/api/read"]'},
        {"SCOPE": "https://contoso.onmicrosoft.com/api/read https://contoso.onmicrosoft.com/other/read"},
    ],
    ids=[
        "no endpoint",
        "no scope",
        "endpoint without scheme",
        "blank",
        "port",
        "short scope",
        "a list",
        "two resources",
    ],
)
def test_an_api_needs_an_endpoint_and_full_scopes_of_one_resource(changes: dict[str, Any]) -> None:
    with pytest.raises(app_config.ConfigError):
        app_config.read(GOOD | API | changes)


def test_the_apps_own_address_comes_from_the_redirect_uri() -> None:
    settings = app_config.read(GOOD | {"REDIRECT_URI": "https://App.Contoso.com/signin/getAToken"})

    assert settings.origin == "https://app.contoso.com"
    assert settings.host == "app.contoso.com"
    assert settings.callback_path == "/signin/getAToken"
    assert settings.https


def test_env_sample_lists_every_setting() -> None:
    listed = re.findall(r"^([A-Z0-9_]+)=", (ROOT / ".env.sample").read_text(), re.MULTILINE)

    assert sorted(listed) == sorted(setting.name.upper() for setting in fields(app_config.Settings))


def test_env_sample_shows_the_defaults() -> None:
    shown = dict(re.findall(r"^([A-Z0-9_]+)=(.+)", (ROOT / ".env.sample").read_text(), re.MULTILINE))

    assert app_config.read(GOOD | shown) == app_config.read(GOOD)


def test_the_readme_explains_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()

    assert [s.name for s in fields(app_config.Settings) if f"`{s.name.upper()}`" not in readme] == []


not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")


@pytest.fixture
def copy_of_the_app(tmp_path: Path) -> Path:
    """The app's files in a folder where a .env can be written."""
    for file in ROOT.glob("*.py"):
        shutil.copy(file, tmp_path)
    for folder in ROOT.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            (tmp_path / folder.name).symlink_to(folder)
    return tmp_path


def run(folder: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in this folder, with these variables and no others of the app."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


SHOW = "import app_config as c; s = c.load(); print(s.client_id, s.b2c_tenant_name)"


def test_a_dotenv_file_is_read_and_the_environment_wins(copy_of_the_app: Path) -> None:
    lines = [f"{name}={value}" for name, value in GOOD.items()]
    (copy_of_the_app / ".env").write_text("\n".join(lines))

    shown = run(copy_of_the_app, "-c", SHOW, B2C_TENANT_NAME="fabrikam")

    assert shown.stdout.split() == [GOOD["CLIENT_ID"], "fabrikam"], shown.stderr


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("-m", "flask", "run", "--port", "0"), id="flask run"),
        pytest.param(("-m", "gunicorn", "app:app"), id="gunicorn", marks=not_on_windows),
    ],
)
def test_a_start_without_settings_ends_with_one_message(
    copy_of_the_app: Path, command: tuple[str, ...]
) -> None:
    ended = run(copy_of_the_app, *command)

    assert ended.returncode != 0
    assert ended.stderr.count("CLIENT_ID is missing") == 1
    assert "Traceback" not in ended.stderr
