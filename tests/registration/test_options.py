"""What the options and .env say, up to the plan. `--dry-run` stops there, so this needs no other process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local_tenant.graph import Directory, LocalGraph
from signin.registration import commands
from tests.registration.conftest import DOMAIN

B2C = ("--b2c-tenant-name", "contoso", "--signupsignin-user-flow", "B2C_1_signupsignin1")
ENTRA_ID = ("--authority", f"https://login.microsoftonline.com/{DOMAIN}")
EXTERNAL_ID = ("--authority", "https://contoso.ciamlogin.com")
API = ("--api", "--endpoint", "https://api.example.com/tasks")

Run = Callable[..., Result]


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / ".env"
    monkeypatch.setattr(commands, "ENV_FILE", path)
    return path


@pytest.fixture
def run(server: LocalGraph, env: Path) -> Run:
    """Type `flask register OPTIONS --dry-run`."""
    server.start_over(Directory(DOMAIN, "AAD B2C"))
    server.sign_in.approves_at_once = True
    to_stand_in = ("--device-code", "--login-url", server.url, "--graph-url", server.url)

    def register(*options: str) -> Result:
        result = CliRunner().invoke(commands.register, ["--dry-run", *to_stand_in, *options])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return register


@pytest.mark.parametrize("url", ["https://[bad", "https://login.contoso.com:port/"])
def test_an_authority_that_is_no_url_is_refused(run: Run, url: str) -> None:
    assert "AUTHORITY is not a URL" in run("--authority", url).stderr


@pytest.mark.parametrize("option", ["--login-url", "--graph-url"])
def test_a_service_that_is_no_url_is_refused(run: Run, option: str) -> None:
    assert run(*B2C, option, "https://[bad").exit_code == 2


def test_a_b2c_authority_leads_to_the_b2c_option(run: Run) -> None:
    result = run("--authority", "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_susi")

    assert "Use --b2c-tenant-name contoso" in result.stderr


def test_the_domain_of_a_b2c_tenant_is_its_name(run: Run) -> None:
    assert run("--b2c-tenant-name", DOMAIN, *B2C[2:]).exit_code == 0


@pytest.mark.parametrize(
    "host, graph_url",
    [
        ("login.microsoftonline.us", "https://graph.microsoft.us"),
        ("login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_a_national_cloud_has_its_own_services(host: str, graph_url: str) -> None:
    options = {"login_url": None, "graph_url": None}

    assert commands.cloud_services(options, {"AUTHORITY": f"https://{host}/{DOMAIN}"}) == {
        "login_url": f"https://{host}",
        "graph_url": graph_url,
    }


def test_bad_settings_stop_it_before_the_sign_in(run: Run, env: Path, server: LocalGraph) -> None:
    env.write_text("SESSION_IDLE_MINUTES=soon\n")
    result = run(*B2C)

    assert result.exit_code == 1
    assert "SESSION_IDLE_MINUTES is malformed" in result.stderr
    assert server.requests == []


def test_b2c_needs_no_user_flow_yet(run: Run) -> None:
    assert run("--b2c-tenant-name", "contoso").exit_code == 0


def test_an_env_file_that_is_no_text_is_one_line(run: Run, env: Path) -> None:
    env.write_bytes(b"CLIENT_ID=\xff\n")

    assert run(*B2C).stderr == f"Error: {env} is not UTF-8 text. Save it as UTF-8.\n"


def test_b2c_user_flows_do_not_count_for_external_id(run: Run, env: Path, server: LocalGraph) -> None:
    env.write_text("B2C_TENANT_NAME=contoso\nSIGNUPSIGNIN_USER_FLOW=B2C_1_susi\n")
    server.directory.tenant_type = "CIAM"
    server.directory.add_user_flow("SignUpSignIn")

    assert "Link the user flow SignUpSignIn" in run(*EXTERNAL_ID).stderr


def test_user_flows_of_other_kinds_are_refused(run: Run) -> None:
    assert "--user-flow is for External ID" in run(*B2C, "--user-flow", "SignUpSignIn").stderr


def test_another_client_id_in_env_is_mentioned(run: Run, env: Path) -> None:
    env.write_text("CLIENT_ID=made-in-the-portal\n")

    assert "CLIENT_ID in .env is made-in-the-portal, another app registration." in run(*B2C).stderr


def test_an_api_without_an_address_is_mentioned(run: Run) -> None:
    assert "ENDPOINT is missing" in run(*B2C, "--api").stderr


def test_a_scope_that_somebody_set_stays(run: Run, env: Path) -> None:
    scope = "https://contoso.onmicrosoft.com/other/read"
    env.write_text(f"SCOPE={scope}\n")
    result = run(*B2C, *API)

    assert f"SCOPE in .env stays as it is: {scope}." in result.stderr


def test_front_channel_claims_are_asked_for_with_https(run: Run, server: LocalGraph) -> None:
    server.directory.tenant_type = "AAD"

    assert '"sid"' in run(*ENTRA_ID, "--redirect-uri", "https://app.example.com/signin").stdout
