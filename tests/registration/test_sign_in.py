"""How the operator signs in. test_commands.py has the browser, which needs a process of its own."""

import re

import pytest
import requests

from local_tenant.graph import LocalGraph
from signin.registration import Graph, Operator, PermissionMissing, SignInFailed, WrongTenant, sign_in
from tests.registration.conftest import DOMAIN

SCOPES = ("Application.ReadWrite.All", "Organization.Read.All")


def run(server: LocalGraph, tenant: str = DOMAIN) -> Operator:
    """Sign in with a device code, which somebody enters on another device."""

    def enter_code(line: str) -> None:
        code = re.search(r"the code (\w+)", line)
        if code and not server.sign_in.blocks_device_code:
            page = f"{server.url}/devicelogin"
            requests.post(page, data={"user_code": code[1]}, verify=server.ca_bundle, timeout=5)

    return sign_in(
        tenant,
        SCOPES,
        graph_url=server.url,
        login_url=server.url,
        device_code=True,
        say=enter_code,
    )


def test_a_device_code_signs_in(server: LocalGraph) -> None:
    operator = run(server)

    assert operator.tenant_id == server.directory.tenant_id
    assert operator.username == f"admin@{DOMAIN}"
    assert Graph(operator.access_token, server.url).get("/organization")


def test_the_tenant_can_be_named_by_its_id(server: LocalGraph) -> None:
    assert run(server, server.directory.tenant_id).tenant_id == server.directory.tenant_id


def test_an_unknown_tenant_is_named(server: LocalGraph) -> None:
    with pytest.raises(WrongTenant, match=r"contosso\.onmicrosoft\.com"):
        run(server, "contosso.onmicrosoft.com")


def test_a_blocked_device_code_is_named(server: LocalGraph) -> None:
    server.sign_in.blocks_device_code = True

    with pytest.raises(SignInFailed, match=r"Conditional Access .* machine with a browser") as failed:
        run(server)
    assert failed.value.error == "invalid_grant"


def test_a_permission_that_was_not_granted_is_named(server: LocalGraph) -> None:
    server.sign_in.consented = frozenset({"Organization.Read.All"})

    with pytest.raises(PermissionMissing, match=r"Application\.ReadWrite\.All") as missing:
        run(server)
    assert missing.value.scopes == ("Application.ReadWrite.All",)


def test_a_sign_in_service_that_is_down_is_named(server: LocalGraph) -> None:
    with pytest.raises(SignInFailed, match="No answer"):
        sign_in(DOMAIN, SCOPES, graph_url=server.url, login_url="https://127.0.0.1:1", device_code=True)


def test_the_access_token_is_not_shown(server: LocalGraph) -> None:
    operator = run(server)

    assert operator.access_token not in repr(operator)
