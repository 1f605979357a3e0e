"""flask register and flask unregister, in a fresh clone with no .env."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import app_config
from local_tenant.graph import Directory, LocalGraph
from local_tenant.graph.server import Fault
from signin.registration import commands, env_file
from tests.helpers.processes import ROOT
from tests.registration.conftest import DOMAIN, certificate_file

HERE = Path(__file__).parent
B2C = ("--b2c-tenant-name", "contoso", "--signupsignin-user-flow", "B2C_1_signupsignin1")


class Clone:
    """A clone of the repository, and the terminal of somebody who works in it."""

    def __init__(self, folder: Path, server: LocalGraph, monkeypatch: pytest.MonkeyPatch):
        self.folder, self.server, self._monkeypatch = folder, server, monkeypatch
        self.env_path = folder / ".env"
        for name in ("app.py", "app_config.py"):
            shutil.copy(ROOT / name, folder)
        for name in ("signin", "templates", "static"):
            (folder / name).symlink_to(ROOT / name)

    @property
    def env(self) -> dict[str, str]:
        return env_file.read(self.env_path)

    def flask(self, *words: str, answer: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Type `flask WORDS`, in a process of its own."""
        command = [str(Path(sys.executable).with_name("flask")), *words]
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "REQUESTS_CA_BUNDLE": self.server.ca_bundle,
            # Nothing leaves this machine, so that flask check does not wait for a tenant that is not there.
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "NO_PROXY": "127.0.0.1,localhost",
            **environment,
        }
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environ,
            input=answer,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def to_stand_in(self) -> tuple[str, ...]:
        return ("--device-code", "--login-url", self.server.url, "--graph-url", self.server.url)

    def run(self, command: str, *options: str, answer: str = "") -> Result:
        """Run `flask COMMAND` in this process, which takes a tenth of the time. flask check is left out."""
        with self._monkeypatch.context() as patch:
            patch.setattr(commands, "ENV_FILE", self.env_path)
            patch.setattr(app_config, "HERE", self.folder)
            patch.setattr(sys, "executable", shutil.which("true"))  # in the place of python -m flask check
            chosen = {"register": commands.register, "unregister": commands.unregister}[command]
            result = CliRunner().invoke(chosen, [*self.to_stand_in, *options], input=answer)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result


@pytest.fixture
def clone(server: LocalGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    server.start_over(Directory(DOMAIN, "AAD B2C"))
    server.sign_in.approves_at_once = True
    return Clone(tmp_path, server, monkeypatch)


def test_a_fresh_clone_is_registered(clone: Clone) -> None:
    clone.run("register", *B2C, "--yes")

    app = clone.server.directory.named("Flask web app")
    secret = clone.server.directory.secret(app["passwordCredentials"][0]["keyId"])
    assert clone.env == {
        "B2C_TENANT_NAME": "contoso",
        "SIGNUPSIGNIN_USER_FLOW": "B2C_1_signupsignin1",
        "REDIRECT_URI": "http://localhost:5000/getAToken",
        "SECRET_KEY": clone.env["SECRET_KEY"],
        "CLIENT_ID": app["appId"],
        "CLIENT_SECRET": secret,
    }
    assert stat.S_IMODE(clone.env_path.stat().st_mode) == 0o600


def test_it_ends_with_flask_check(clone: Clone) -> None:
    done = clone.flask("register", *clone.to_stand_in, *B2C, "--yes")

    assert "ok    settings: complete and well-formed" in done.stdout
    assert done.returncode == 1  # the stand-in has no user flows that flask check could read


def test_no_secret_is_shown(clone: Clone) -> None:
    done = clone.run("register", *B2C, "--yes")

    shown = done.stdout + done.stderr
    assert clone.env["CLIENT_SECRET"] not in shown
    assert clone.env["SECRET_KEY"] not in shown


def test_the_second_run_changes_nothing(clone: Clone) -> None:
    clone.run("register", *B2C, "--yes")
    before, writes = clone.env_path.read_text(), list(clone.server.writes)
    done = clone.run("register")

    assert "The registration is up to date." in done.stdout
    assert clone.server.writes == writes
    assert clone.env_path.read_text() == before
    assert not clone.env_path.with_name(".env.backup").exists()


def test_the_second_run_finds_the_name_by_the_client_id(clone: Clone) -> None:
    clone.run("register", *B2C, "--name", "Tasks", "--yes")

    assert "The registration is up to date." in clone.run("register").stdout


def test_a_web_api_becomes_endpoint_and_scope(clone: Clone) -> None:
    clone.run("register", *B2C, "--api", "--endpoint", "http://localhost:6000/tasks", "--yes")

    api = "https://contoso.onmicrosoft.com/flask-web-app-api"
    assert clone.env["SCOPE"] == f"{api}/tasks.read"
    assert clone.env["WRITE_SCOPE"] == f"{api}/tasks.write"
    assert clone.env["ENDPOINT"] == "http://localhost:6000/tasks"


def test_what_env_holds_already_stays(clone: Clone) -> None:
    clone.env_path.write_text("# ours\nSESSION_IDLE_MINUTES=30\nREDIRECT_URI=http://localhost:5001/signin\n")
    clone.run("register", *B2C, "--yes")

    assert clone.env_path.read_text().startswith(
        "# ours\nSESSION_IDLE_MINUTES=30\nREDIRECT_URI=http://localhost:5001/signin\n"
    )
    app = clone.server.directory.named("Flask web app")
    assert app["web"]["redirectUris"] == ["http://localhost:5001/signin", "http://localhost:5001/"]


def test_settings_of_another_authority_are_emptied(clone: Clone) -> None:
    clone.env_path.write_text("B2C_TENANT_NAME=contoso\nSIGNUPSIGNIN_USER_FLOW=B2C_1_susi\n")
    clone.server.directory.tenant_type = "CIAM"
    clone.run("register", "--authority", "https://contoso.ciamlogin.com", "--yes")

    assert clone.env["AUTHORITY"] == "https://contoso.ciamlogin.com"
    assert "B2C_TENANT_NAME" not in clone.env
    assert "SIGNUPSIGNIN_USER_FLOW" not in clone.env


def test_a_certificate_takes_the_place_of_the_secret(clone: Clone) -> None:
    clone.server.directory.tenant_type = "CIAM"
    clone.run("register", "--authority", "https://contoso.ciamlogin.com", "--yes")
    path = certificate_file(clone.folder)
    clone.run("register", "--client-certificate-path", str(path), "--yes")

    assert app_config.read(clone.env).client_certificate_path == path
    assert clone.env["CLIENT_CERTIFICATE_PATH"] == str(path)
    assert "CLIENT_SECRET" not in clone.env


def test_b2c_is_registered_with_a_secret_only(clone: Clone) -> None:
    path = certificate_file(clone.folder)
    done = clone.run("register", *B2C, "--client-certificate-path", str(path), "--yes")

    assert done.exit_code == 2
    assert "Azure AD B2C has a client secret" in done.stderr
    assert not clone.env_path.exists()


def test_no_stops_before_anything_is_changed(clone: Clone) -> None:
    done = clone.run("register", *B2C, answer="n\n")

    assert "Create the app registration Flask web app" in done.stdout
    assert done.exit_code == 1
    assert clone.server.writes == []
    assert not clone.env_path.exists()


def test_a_dry_run_prints_the_requests(clone: Clone) -> None:
    done = clone.run("register", *B2C, "--dry-run")

    first = json.loads(done.stdout)[0]
    assert (first["method"], first["headers"]) == ("PATCH", {"Prefer": "create-if-missing"})
    assert first["url"] == f"{clone.server.url}/v1.0/applications(uniqueName='flask-web-app')"
    assert first["body"]["web"]["redirectUris"][0] == "http://localhost:5000/getAToken"


def test_a_dry_run_changes_nothing(clone: Clone) -> None:
    done = clone.run("register", *B2C, "--dry-run")

    assert done.exit_code == 0
    assert clone.server.writes == []
    assert not clone.env_path.exists()


def test_trouble_is_one_line(clone: Clone) -> None:
    clone.server.directory.add_application("Flask web app")
    done = clone.run("register", *B2C, "--yes")

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: The tenant has 1 app registration(s) named Flask web app")
    assert len(done.stderr.splitlines()) == 1


def test_a_secret_is_kept_when_a_later_step_fails(clone: Clone) -> None:
    clone.server.faults = [Fault("POST", "/oauth2PermissionGrants", 403)]
    clone.run("register", *B2C, "--yes")

    app = clone.server.directory.named("Flask web app")
    assert clone.env["CLIENT_SECRET"] == clone.server.directory.secret(app["passwordCredentials"][0]["keyId"])


def test_the_environment_is_said_to_win(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_ID", "another")
    done = clone.run("register", *B2C, "--yes")

    assert "Note: CLIENT_ID in the environment wins over .env." in done.stdout


@pytest.mark.parametrize("option", ["--graph-url", "--login-url"])
def test_tokens_go_over_https_only(clone: Clone, option: str) -> None:
    done = clone.run("register", *B2C, option, "http://127.0.0.1:1")

    assert done.exit_code == 2
    assert option in done.stderr


def test_without_a_tenant_it_says_how_to_name_one(clone: Clone) -> None:
    done = clone.run("register")

    assert done.exit_code == 2
    assert "--b2c-tenant-name" in done.stderr


def test_unregister_empties_the_client(clone: Clone) -> None:
    clone.run("register", *B2C, "--yes")
    done = clone.run("unregister", "--yes")

    assert done.exit_code == 0
    assert clone.server.directory.applications == {}
    assert "CLIENT_ID" not in clone.env
    assert "CLIENT_SECRET" not in clone.env
    assert clone.env["B2C_TENANT_NAME"] == "contoso"


def test_unregister_asks_first(clone: Clone) -> None:
    clone.run("register", *B2C, "--yes")
    clone.run("unregister", answer="n\n")

    assert clone.server.directory.named("Flask web app")


def test_other_commands_still_need_settings(clone: Clone) -> None:
    done = clone.flask("check")

    assert done.returncode == 1
    assert "CLIENT_ID is missing" in done.stderr
    assert "flask register" in done.stderr


@pytest.mark.parametrize(
    "environment, sign_in",
    [
        ({"BROWSER": f"{sys.executable} {HERE / 'browser.py'} %s &"}, "The browser opens"),
        ({"BROWSER": "/bin/false %s"}, "enter the code"),
        ({"PATH": ""}, "enter the code"),
    ],
    ids=["with a window", "in the terminal", "none"],
)
def test_the_browser_comes_first(clone: Clone, environment: dict[str, str], sign_in: str) -> None:
    url = clone.server.url
    done = clone.flask("register", *B2C, "--dry-run", "--login-url", url, "--graph-url", url, **environment)

    assert sign_in in done.stderr
    assert f"Signed in as admin@{DOMAIN}" in done.stderr


def test_options_of_flask_may_come_first(clone: Clone) -> None:
    done = clone.flask("--app", "app", "--debug", "register", "--help")

    assert done.returncode == 0
    assert "--b2c-tenant-name" in done.stdout
