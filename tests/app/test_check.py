"""`flask check` names what is wrong with the set-up, each thing broken in turn."""

import json
import os
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import Result

from local_tenant import LocalTenant
from tests.helpers.app import import_app
from tests.helpers.processes import ROOT
from tests.helpers.tenant import Fault, Tenant, register_redirect_uri


class Check(Protocol):
    def __call__(self, *options: str, **settings: str) -> Result: ...


@pytest.fixture
def check(tenant: Tenant, running_tenant: LocalTenant, tmp_path: Path) -> Check:
    """A function that runs the check with the tenant's settings, and those given on top."""
    register_redirect_uri(running_tenant, "http://localhost:5000/getAToken")

    def run(*options: str, **settings: str) -> Result:
        environ = tenant.settings | {"SESSION_DIR": str(tmp_path / "sessions")} | settings
        result = import_app(environ).test_cli_runner().invoke(args=["check", *options])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def wrong(result: Result) -> dict[str, str]:
    """The findings that are not ok: what, and all that is said about it."""
    assert result.exit_code == 1
    return {f["what"]: f["detail"] + " " + f["advice"] for f in json.loads(result.output) if not f["ok"]}


def run_check(
    tenant: Tenant, tmp_path: Path, *options: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the check as a command."""
    environ = tenant.settings | {"PATH": os.environ["PATH"], "SESSION_DIR": str(tmp_path)} | settings
    command = [sys.executable, "-m", "flask", "check", *options]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30)


def test_a_good_set_up_is_ok_line_by_line(check: Check) -> None:
    result = check()

    assert result.exit_code == 0
    *lines, _, summary = result.output.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert summary == f"All {len(lines)} checks have passed."
    assert "register http://localhost:5000/getAToken" in result.output


def test_a_misspelt_user_flow_is_named_with_the_address_tried(check: Check) -> None:
    faults = wrong(check("--json", EDITPROFILE_USER_FLOW="B2C_1_profilediting"))

    assert list(faults) == ["user flow B2C_1_profilediting"]
    assert "/B2C_1_profilediting/v2.0/.well-known/openid-configuration" in next(iter(faults.values()))


def test_a_misspelt_tenant_is_named(check: Check) -> None:
    faults = wrong(check("--json", B2C_TENANT_NAME="contosso"))

    assert "Check the name of the tenant" in faults["user flow B2C_1_signupsignin1"]
    assert "/contosso.onmicrosoft.com/" in faults["user flow B2C_1_signupsignin1"]


def test_a_tenant_whose_host_has_no_address_is_named(check: Check) -> None:
    template = "https://{tenant}.invalid/{user_flow}"  # RFC 6761: never resolves

    faults = wrong(check("--json", AUTHORITY_TEMPLATE=template))

    assert "Is the tenant's name misspelt?" in faults["user flow B2C_1_signupsignin1"]


def test_another_tenants_id_is_noticed(check: Check) -> None:
    faults = wrong(check("--json", B2C_TENANT_ID="00000000-0000-0000-0000-000000000000"))

    assert "B2C_TENANT_ID" in faults["user flow B2C_1_signupsignin1"]
    assert not [what for what, fault in faults.items() if "B2C_TENANT_NAME" in fault]


def test_keys_that_cannot_be_had_are_noticed(check: Check, tenant: Tenant) -> None:
    tenant.misbehave(keys={"status": 500})

    assert "500" in wrong(check("--json"))["user flow B2C_1_signupsignin1"]


def test_a_foreign_issuer_is_noticed(check: Check, tenant: Tenant) -> None:
    tenant.misbehave(discovery={"set": {"issuer": "https://evil.example/v2.0/"}})

    assert "issuer" in wrong(check("--json"))["user flow B2C_1_signupsignin1"]


@pytest.mark.parametrize("offset, word", [(200, "behind"), (-200, "ahead of")])
def test_a_wrong_clock_is_noticed(check: Check, tenant: Tenant, offset: int, word: str) -> None:
    tenant.misbehave(discovery={"headers": {"Date": formatdate(time.time() + offset, usegmt=True)}})

    assert f"{word} the provider's" in wrong(check("--json"))["clock"]


@pytest.mark.parametrize("offset", [100, -100])
def test_a_clock_that_is_nearly_right_is_fine(check: Check, tenant: Tenant, offset: int) -> None:
    tenant.misbehave(discovery={"headers": {"Date": formatdate(time.time() + offset, usegmt=True)}})

    assert check().exit_code == 0


def test_a_wrong_client_secret_is_noticed(check: Check) -> None:
    faults = wrong(check("--json", CLIENT_SECRET="not-the-secret"))

    assert list(faults) == ["client credential"]
    assert "Create a new one" in faults["client credential"]
    assert "not-the-secret" not in faults["client credential"]


def test_an_unregistered_redirect_uri_is_named_for_pasting(check: Check, dead_port: int) -> None:
    other = f"http://localhost:{dead_port}/somewhere"

    faults = wrong(check("--json", REDIRECT_URI=other))

    assert other in faults["sign-in request to B2C_1_signupsignin1"]


def test_an_unknown_client_id_is_noticed(check: Check) -> None:
    faults = wrong(check("--json", CLIENT_ID="00000000-0000-0000-0000-000000000000"))

    assert "CLIENT_ID" in faults["sign-in request to B2C_1_signupsignin1"]


def test_an_unknown_scope_is_named(check: Check) -> None:
    scope = "https://localtenant.onmicrosoft.com/tasks-api/tasks.burn"

    assert scope in wrong(check("--json", SCOPE=scope))["sign-in request to B2C_1_signupsignin1"]


def test_no_finding_sends_the_reader_to_the_check_itself(check: Check, tenant: Tenant) -> None:
    tenant.misbehave(discovery={"set": {"issuer": "https://evil.example/v2.0/"}})

    assert all("flask check" not in said for said in wrong(check("--json")).values())


def test_a_store_that_does_not_answer_is_noticed(check: Check, dead_port: int) -> None:
    faults = wrong(check("--json", REDIS_URL=f"redis://127.0.0.1:{dead_port}/0"))

    assert list(faults) == ["session store"]
    assert "REDIS_URL" in faults["session store"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 500}, id="broken"),
        pytest.param({"reset": True}, id="down"),
        pytest.param({"status": 404}, id="not there"),
        pytest.param({"status": 302, "headers": {"Location": "https://other.example/"}}, id="moved"),
    ],
)
def test_an_api_that_does_not_work_is_noticed(check: Check, tenant: Tenant, fault: Fault) -> None:
    tenant.misbehave(api=fault)

    faults = wrong(check("--json"))

    assert list(faults) == ["web API"]
    assert tenant.settings["ENDPOINT"] in faults["web API"]


@pytest.mark.parametrize("status", [401, 403])
def test_an_api_that_wants_a_token_is_fine(check: Check, tenant: Tenant, status: int) -> None:
    tenant.misbehave(api={"status": status})

    assert check().exit_code == 0


def test_a_ca_bundle_that_is_not_there_is_a_finding_and_no_traceback(tenant: Tenant, tmp_path: Path) -> None:
    """In a process of its own, for the environment names the bundle."""
    bundle = str(tmp_path / "nowhere.pem")
    done = run_check(tenant, tmp_path, "--json", REQUESTS_CA_BUNDLE=bundle)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    faults = [f for f in json.loads(done.stdout) if f["what"] == "user flow B2C_1_signupsignin1"]
    assert [bundle in f["detail"] for f in faults if not f["ok"]] == [True]


def test_a_tenant_that_is_down_is_noticed_without_a_traceback(check: Check, dead_port: int) -> None:
    dead = f"https://127.0.0.1:{dead_port}/{{tenant}}.onmicrosoft.com/{{user_flow}}"

    assert "no answer" in wrong(check("--json", AUTHORITY_TEMPLATE=dead))["user flow B2C_1_signupsignin1"]


def test_wrong_settings_are_a_finding_too(tenant: Tenant, tmp_path: Path) -> None:
    done = run_check(tenant, tmp_path, "--json", SECRET_KEY="short")

    assert done.returncode == 1
    [finding] = json.loads(done.stdout)
    assert finding["what"] == "settings"
    assert "SECRET_KEY is malformed" in finding["detail"]
