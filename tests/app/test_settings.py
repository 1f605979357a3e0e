"""The settings: what is read, from where, and what is said when something is wrong."""

import base64
import os
import random
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import app_config
from signin.authorities import B2C, ENTRA_ID, ENTRA_ID_MANY_TENANTS, EXTERNAL_ID, OPENID_CONNECT
from signin.configuration import casts
from tests.helpers.processes import ROOT

GOOD = {
    "B2C_TENANT_NAME": "contoso",
    "CLIENT_ID": "11111111-1111-1111-1111-111111111111",
    "CLIENT_SECRET": "made-up~secret",
    "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1",
    "SECRET_KEY": "yNcWtJ8qZ3vRrF6mKxL1oGbD5hTzQe-UaP7sVfXiH2k",
}


API = {"ENDPOINT": "https://localhost:6000/hello", "SCOPE": "https://contoso.onmicrosoft.com/api/read"}


def test_the_required_settings_are_enough() -> None:
    settings = app_config.read(GOOD)

    assert settings.redirect_uri == "http://localhost:5000/getAToken"
    assert settings.scope == ()
    assert settings.editprofile_user_flow is None


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET", "SIGNUPSIGNIN_USER_FLOW", "SECRET_KEY"])
def test_a_missing_required_setting_is_named(name: str) -> None:
    with pytest.raises(app_config.ConfigError, match=f"{name} is missing"):
        app_config.read(GOOD | {name: " "})


def test_a_missing_authority_names_the_three_ways_to_set_it() -> None:
    with pytest.raises(app_config.ConfigError) as wrong:
        app_config.read(GOOD | {"B2C_TENANT_NAME": "", "SIGNUPSIGNIN_USER_FLOW": ""})

    assert "The authority is missing" in str(wrong.value)
    assert all(name in str(wrong.value) for name in ("B2C_TENANT_NAME", "AUTHORITY", "OIDC_AUTHORITY"))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(app_config.ConfigError) as wrong:
        app_config.read({"REDIRECT_URI": "nonsense", "SESSION_IDLE_MINUTES": "soon"})

    message = str(wrong.value)
    missing = ["B2C_TENANT_NAME", "CLIENT_ID", "CLIENT_SECRET", "SECRET_KEY"]
    assert all(name in message for name in [*missing, "REDIRECT_URI", "SESSION_IDLE_MINUTES"])
    assert "python -m local_tenant" in message


def test_a_secret_is_never_repeated() -> None:
    with pytest.raises(app_config.ConfigError) as wrong:
        app_config.read(GOOD | {"SECRET_KEY": "too-short-a-secret", "CLIENT_SECRET": "with blanks in it"})

    assert "too-short" not in str(wrong.value)
    assert "with blanks" not in str(wrong.value)
    settings = repr(app_config.read(GOOD | {"REDIS_URL": "redis://:hidden@localhost/0"}))
    hidden = (GOOD["CLIENT_SECRET"], GOOD["SECRET_KEY"], "hidden")
    assert [secret for secret in hidden if secret in settings] == []


@pytest.mark.parametrize(
    "name, value",
    [
        ("B2C_TENANT_NAME", "contoso.onmicrosoft.com"),
        ("B2C_TENANT_NAME", "https://contoso"),
        ("SIGNUPSIGNIN_USER_FLOW", "susi"),
        ("EDITPROFILE_USER_FLOW", "B2C_1_edit/../susi"),
        ("RESETPASSWORD_USER_FLOW", "B2C_1_signupsignin1"),  # the same as sign-in
        ("SECRET_KEY", GOOD["SECRET_KEY"][:31]),
        ("SECRET_KEY", GOOD["SECRET_KEY"][:31] + " "),
        ("SECRET_KEY", "k" * 64),
        ("SECRET_KEY", "0123" * 16),
        ("SECRET_KEY", "0123456789" * 4),  # one piece, repeated
        ("SECRET_KEY", "abcdefghijklmnopqrstuvwxyz0123456789"),
        ("SECRET_KEY", "a" * 30 + "bcdefgh"),
        ("SECRET_KEY", "".join(letter * 8 for letter in "abcdefgh")),
        ("SECRET_KEY", "12345678901234567890123456789012"),
        ("SECRET_KEY", "11111111-2222-3333-4444-567890abcdef"),
        ("SECRET_KEY", "change-me-" + GOOD["SECRET_KEY"]),
        ("SECRET_KEY", "my-secret-" + GOOD["SECRET_KEY"]),
        ("SECRET_KEY", "insert_a_long_random_string_here_12"),
        ("SECRET_KEY", "your-key-here-your-key-here-your-key"),
        ("SECRET_KEY", "qwertyuiopasdfghjklzxcvbnm1234567890"),
        ("SECRET_KEY", "0987654321MNBVCXZlkjhgfdsaPOIUYTREWQ"),
        ("SECRET_KEY", GOOD["SECRET_KEY"] + "-example"),
        ("SECRET_KEY_FALLBACKS", "short"),
        ("SECRET_KEY_FALLBACKS", f"{GOOD['SECRET_KEY']} {'k' * 64}"),
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
def test_a_malformed_setting_is_refused(name: str, value: str) -> None:
    with pytest.raises(app_config.ConfigError):
        app_config.read(GOOD | {name: value})


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda key: base64.urlsafe_b64encode(key).decode(), id="Base64"),
        pytest.param(lambda key: key.hex(), id="64 hexadecimal digits"),
        pytest.param(lambda key: key[:16].hex(), id="32 hexadecimal digits"),
        pytest.param(lambda key: str(uuid.UUID(bytes=key[:16])), id="UUID"),
    ],
)
def test_a_random_secret_key_is_never_refused(form: Callable[[bytes], str]) -> None:
    numbers = random.Random(1)  # noqa: S311 - the same keys each time
    keys = [form(numbers.randbytes(32)) for _ in range(10_000)]

    assert [casts.secret_key(key) for key in keys] == keys


NO_AUTHORITY = {name: GOOD[name] for name in ("CLIENT_ID", "CLIENT_SECRET", "SECRET_KEY")}
ENTRA = "https://login.microsoftonline.com"
TENANT_ID = "22222222-2222-2222-2222-222222222222"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"  # the tenant of all personal accounts


@pytest.mark.parametrize(
    "settings, kind",
    [
        ({"AUTHORITY": f"{ENTRA}/{TENANT_ID}"}, ENTRA_ID),
        ({"AUTHORITY": f"{ENTRA}/contoso.com"}, ENTRA_ID),
        (
            {"AUTHORITY": f"{ENTRA}/organizations", "ALLOWED_TENANTS": f"{TENANT_ID}, {TENANT_ID}"},
            ENTRA_ID_MANY_TENANTS,
        ),
        ({"AUTHORITY": f"{ENTRA}/common", "ALLOWED_TENANTS": "*"}, ENTRA_ID_MANY_TENANTS),
        (
            {"AUTHORITY": f"{ENTRA}/common/v2.0", "ALLOWED_TENANTS": f"* {PERSONAL}"},
            ENTRA_ID_MANY_TENANTS,
        ),
        (
            {"AUTHORITY": f"{ENTRA}/consumers", "ALLOWED_TENANTS": PERSONAL},
            ENTRA_ID_MANY_TENANTS,
        ),
        ({"AUTHORITY": f"{ENTRA}/{TENANT_ID}/v2.0/"}, ENTRA_ID),
        ({"AUTHORITY": "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/"}, EXTERNAL_ID),
        ({"AUTHORITY": "https://contoso.ciamlogin.com"}, EXTERNAL_ID),
        ({"AUTHORITY": f"https://login.contoso.com/{TENANT_ID}"}, EXTERNAL_ID),
        (
            {"AUTHORITY": f"https://login.contoso.com/{TENANT_ID}", "AUTHORITY_KIND": "entra-id"},
            ENTRA_ID,
        ),
        ({"OIDC_AUTHORITY": "https://login.example.com/"}, OPENID_CONNECT),
        (
            {"B2C_TENANT_NAME": "contoso", "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1"},
            B2C,
        ),
    ],
)
def test_the_settings_tell_the_kind_of_authority(settings: dict[str, str], kind: str) -> None:
    assert app_config.read(NO_AUTHORITY | settings).kind == kind


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"AUTHORITY": f"http://login.contoso.com/{TENANT_ID}"}, "AUTHORITY is malformed"),
        ({"OIDC_AUTHORITY": "https://login.example.com/?x=1"}, "OIDC_AUTHORITY is malformed"),
        ({"AUTHORITY": ENTRA}, "AUTHORITY names no tenant"),
        ({"AUTHORITY": "https://login.contoso.com"}, "needs the tenant ID"),
        ({"AUTHORITY": "https://login.contoso.com/contoso.onmicrosoft.com"}, "needs the tenant ID"),
        ({"AUTHORITY": f"{ENTRA}/{TENANT_ID}/oauth2/v2.0/authorize"}, "more than a tenant after its host"),
        ({"AUTHORITY": "https://contoso.ciamlogin.com/a/b"}, "more than a tenant after its host"),
        ({"AUTHORITY": f"https://login.contoso.com/a@b/{TENANT_ID}"}, "AUTHORITY is malformed"),
        ({"AUTHORITY": f"{ENTRA}\\{TENANT_ID}"}, "AUTHORITY is malformed"),
        (
            {"AUTHORITY": "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signupsignin1"},
            "Set B2C_TENANT_NAME and SIGNUPSIGNIN_USER_FLOW instead .* EDITPROFILE_USER_FLOW",
        ),
        (
            {"AUTHORITY": f"{ENTRA}/{TENANT_ID}", "AUTHORITY_KIND": "external-id"},
            "AUTHORITY_KIND is external-id, and AUTHORITY is on a host of Entra ID",
        ),
        (
            {"AUTHORITY": "https://contoso.ciamlogin.com", "AUTHORITY_KIND": "entra-id"},
            "AUTHORITY_KIND is entra-id, and AUTHORITY is on a host of External ID",
        ),
        ({"OIDC_AUTHORITY": f"{ENTRA}/{TENANT_ID}/v2.0"}, "Set AUTHORITY instead"),
        ({"OIDC_AUTHORITY": f"https://{TENANT_ID}.ciamlogin.com/"}, "Set AUTHORITY instead"),
        ({"OIDC_AUTHORITY": "https://contoso.b2clogin.com/"}, "Set B2C_TENANT_NAME instead"),
        ({"AUTHORITY": f"{ENTRA}/common/v2.0"}, "ALLOWED_TENANTS is missing"),
        ({"AUTHORITY": f"{ENTRA}/common", "ALLOWED_TENANTS": ","}, "ALLOWED_TENANTS is malformed"),
        (
            {"AUTHORITY": f"{ENTRA}/common", "ALLOWED_TENANTS": f"* {TENANT_ID}"},
            "ALLOWED_TENANTS is malformed",
        ),
        ({"AUTHORITY": f"{ENTRA}/consumers", "ALLOWED_TENANTS": "*"}, f"should be {PERSONAL}"),
        ({"AUTHORITY": f"{ENTRA}/consumers", "ALLOWED_TENANTS": TENANT_ID}, f"should be {PERSONAL}"),
        (
            {"AUTHORITY": f"{ENTRA}/organizations", "ALLOWED_TENANTS": PERSONAL},
            "only the tenant of personal accounts",
        ),
        ({"AUTHORITY": f"{ENTRA}/common"}, "ALLOWED_TENANTS is missing"),
        ({"AUTHORITY": f"{ENTRA}/common", "ALLOWED_TENANTS": "contoso"}, "ALLOWED_TENANTS is malformed"),
        (
            {"AUTHORITY": f"{ENTRA}/{TENANT_ID}", "ALLOWED_TENANTS": TENANT_ID},
            "ALLOWED_TENANTS has an effect only with",
        ),
        ({"AUTHORITY": f"{ENTRA}/{TENANT_ID}", "AUTHORITY_KIND": "b2c"}, "AUTHORITY_KIND is malformed"),
        (
            {"OIDC_AUTHORITY": "https://login.example.com/", "AUTHORITY_KIND": "entra-id"},
            "AUTHORITY_KIND has an effect only with AUTHORITY",
        ),
        (
            {"AUTHORITY": f"{ENTRA}/{TENANT_ID}", "OIDC_AUTHORITY": "https://login.example.com/"},
            "AUTHORITY and OIDC_AUTHORITY each name an authority",
        ),
        (
            {"AUTHORITY": f"{ENTRA}/{TENANT_ID}", "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1"},
            "SIGNUPSIGNIN_USER_FLOW has an effect only with B2C_TENANT_NAME",
        ),
        ({"B2C_TENANT_NAME": "contoso"}, "SIGNUPSIGNIN_USER_FLOW is missing"),
    ],
)
def test_settings_that_contradict_the_authority_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(app_config.ConfigError, match=message):
        app_config.read(NO_AUTHORITY | settings)


CREDENTIALS = {
    "CLIENT_CERTIFICATE_PATH": "/run/certificate.pfx",
    "FEDERATED_TOKEN_FILE": "/run/token",
    "MANAGED_IDENTITY_CLIENT_ID": TENANT_ID,
}


@pytest.mark.parametrize("name", CREDENTIALS)
def test_another_credential_takes_the_place_of_the_client_secret(name: str) -> None:
    environ = NO_AUTHORITY | {
        "AUTHORITY": f"{ENTRA}/{TENANT_ID}",
        "CLIENT_SECRET": "",
        name: CREDENTIALS[name],
    }
    settings = app_config.read(environ)

    assert settings.client_secret is None
    assert str(getattr(settings, name.lower())) == CREDENTIALS[name]


@pytest.mark.parametrize("name", CREDENTIALS)
def test_b2c_has_a_client_secret(name: str) -> None:
    with pytest.raises(app_config.ConfigError, match=f"{name} is not for Azure AD B2C. Set CLIENT_SECRET"):
        app_config.read(GOOD | {"CLIENT_SECRET": "", name: CREDENTIALS[name]})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"CLIENT_SECRET": ""}, "FEDERATED_TOKEN_FILE or MANAGED_IDENTITY_CLIENT_ID"),
        ({"FEDERATED_TOKEN_FILE": "/run/token"}, "CLIENT_SECRET and FEDERATED_TOKEN_FILE are both set"),
        ({"CLIENT_CERTIFICATE_PASSWORD": "made-up"}, "CLIENT_CERTIFICATE_PASSWORD has an effect only with"),
        ({"MANAGED_IDENTITY_CLIENT_ID": "mine"}, "MANAGED_IDENTITY_CLIENT_ID is malformed"),
    ],
)
def test_the_app_has_exactly_one_credential(changes: dict[str, str], message: str) -> None:
    with pytest.raises(app_config.ConfigError, match=message):
        app_config.read(GOOD | changes)


@pytest.mark.parametrize(
    "origin",
    [
        "https://127.0.0.1:8400",
        "http://login.contoso.com",
        "http://127.0.0.1:8400/",
        "http://x@127.0.0.1:8400",
    ],
)
def test_sign_in_pages_over_http_are_for_an_origin_on_this_machine(origin: str) -> None:
    with pytest.raises(app_config.ConfigError, match="INSECURE_SIGN_IN_ORIGIN is malformed"):
        app_config.read(GOOD | {"INSECURE_SIGN_IN_ORIGIN": origin})


@pytest.mark.parametrize(
    "changes",
    [
        {"ENDPOINT": ""},
        {"SCOPE": ""},
        {"ENDPOINT": "", "SCOPE": "", "WRITE_SCOPE": API["SCOPE"]},
        {"ENDPOINT": "https://localhost:6000\\hello"},
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
        "only a write scope",
        "backslash",
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
    other = NO_AUTHORITY | {"OIDC_AUTHORITY": "https://login.example.com/"}
    assert app_config.read(other | shown) == app_config.read(other)


def test_the_documentation_explains_every_setting() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| \S", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)

    assert sorted(rows) == sorted(setting.name.upper() for setting in fields(app_config.Settings))


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
