"""Fixtures for pytest: a running tenant, an account, its mail, and the control API.

pytest loads this by itself where the package local-tenant is installed. Elsewhere, use
`-p local_tenant.pytest_plugin`.
"""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # Imported late, so that the plugin costs nothing in a run that does not use it.
    from .control import Control
    from .tenant import LocalTenant

KINDS = ("b2c", "external-id", "entra-id", "entra-id-many-tenants")
PASSWORD = "Try-it-0ut"


@dataclass(frozen=True)
class TenantAccount:
    """An account of one test's own. `sub` is its object ID."""

    email: str
    password: str
    sub: str


class TenantMailbox:
    """What the tenant has sent by e-mail."""

    def __init__(self, control: "Control"):
        self._control = control

    def codes(self, email: str) -> list[str]:
        """The verification codes that were sent to this address, oldest first."""
        return [message["code"] for message in self._control.mail() if message["to"] == email]

    def code(self, email: str) -> str:
        """The newest verification code for this address. Raises LookupError if none was sent."""
        codes = self.codes(email)
        if not codes:
            raise LookupError(f"No code was sent to {email}.")
        return codes[-1]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("local-tenant", "stand-in for a Microsoft tenant")
    group.addoption("--local-tenant-kind", choices=KINDS, help="what the local tenant stands in for")
    group.addoption("--local-tenant-config", metavar="FILE", help="file that sets up the local tenant")
    parser.addini("local_tenant_kind", "what the local tenant stands in for (default: b2c)", default="")
    parser.addini("local_tenant_config", "file that sets up the local tenant", default="")
    parser.addini(
        "local_tenant_https", "serve the local tenant's pages over https", type="bool", default=False
    )
    parser.addini("local_tenant_redirect_uris", "redirect URIs of the web app, one a line", type="linelist")


@pytest.fixture(scope="session")
def local_tenant_arguments(pytestconfig: pytest.Config) -> dict[str, Any]:
    """The arguments of LocalTenant, from the options. Override this fixture to set any of them in Python."""
    kind = pytestconfig.getoption("local_tenant_kind") or pytestconfig.getini("local_tenant_kind")
    if kind and kind not in KINDS:
        raise pytest.UsageError(f"local_tenant_kind is one of {', '.join(KINDS)}, not {kind!r}.")
    arguments = {"kind": kind, "https": pytestconfig.getini("local_tenant_https")}
    if config := pytestconfig.getoption("local_tenant_config"):
        arguments["config"] = pytestconfig.invocation_params.dir / config
    elif config := pytestconfig.getini("local_tenant_config"):
        arguments["config"] = pytestconfig.rootpath / config
    if redirect_uris := pytestconfig.getini("local_tenant_redirect_uris"):
        arguments["redirect_uris"] = redirect_uris
    return arguments


@pytest.fixture(scope="session")
def local_tenant(local_tenant_arguments: dict[str, Any]) -> "Iterator[LocalTenant]":
    """A running tenant on free ports, one for the whole run. `local_tenant.settings` configures the app."""
    from .tenant import LocalTenant

    with LocalTenant(**local_tenant_arguments) as running:
        yield running


@pytest.fixture
def tenant_control(local_tenant: "LocalTenant") -> "Iterator[Control]":
    """The control API. Begins without recorded requests; undoes faults, options and the clock afterwards."""
    from .control import Control

    control = Control(local_tenant.url, local_tenant.ca_bundle)
    control.forget_requests()
    options = control.options()
    yield control
    control.clear_faults()
    control.set_options(**options)
    control.move_clock(0)


@pytest.fixture
def tenant_account(tenant_control: "Control") -> Iterator[TenantAccount]:
    """An account of this test's own, which is removed afterwards."""
    from .control import ControlError

    email = f"{secrets.token_hex(4)}@example.com"
    account = tenant_control.add_account(email, PASSWORD, display_name="Grace Hopper")
    yield TenantAccount(email, PASSWORD, str(account["sub"]))
    with suppress(ControlError):  # the test may have removed it
        tenant_control.remove_account(email)


@pytest.fixture
def tenant_mailbox(tenant_control: "Control") -> TenantMailbox:
    """The messages with verification codes."""
    return TenantMailbox(tenant_control)
