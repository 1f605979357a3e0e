"""Tenants with https pages, one of each kind, and the proof of what clients do at them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

import pytest

from local_tenant import LocalTenant
from tests.clients.programs import Tenant
from tests.clients.table import CLIENTS, FOLDER, Client, Proof, Row, documented, write
from tests.helpers import npm

WRITE_TABLE = "--write-client-table"


class TenantOfKind(Protocol):
    """Returns the tenant of this kind, with nothing on record."""

    def __call__(self, kind: str) -> Tenant: ...


class Prove(Protocol):
    """Keeps the proof of what a client does at the tenant of this kind."""

    def __call__(self, client: Client, kind: str = "b2c") -> AbstractContextManager[Proof]: ...


@pytest.fixture(scope="session", autouse=True)
def _packages() -> None:
    """Install the clients from npm."""
    npm.install(FOLDER)


@pytest.fixture(scope="session")
def tenant_of_kind() -> Iterator[TenantOfKind]:
    """A function: the tenant of this kind, which all tests share."""
    tenants: dict[str, Tenant] = {}
    with ExitStack() as running:

        def tenant_of(kind: str) -> Tenant:
            if kind not in tenants:
                tenants[kind] = Tenant(running.enter_context(LocalTenant(kind=kind, https=True)))
            tenants[kind].control.forget_requests()
            return tenants[kind]

        yield tenant_of


@pytest.fixture
def tenant(tenant_of_kind: TenantOfKind) -> Tenant:
    """Azure AD B2C."""
    return tenant_of_kind("b2c")


@pytest.fixture
def prove(pytestconfig: pytest.Config, record_property: Callable[[str, object], None]) -> Prove:
    """A function: the proof of what a client does, to be kept while it does so.

    At its end, the documentation has to say the same, unless it is to be written.
    """
    writes_table = pytestconfig.getoption(WRITE_TABLE, default=False)

    @contextmanager
    def keep(client: Client, kind: str = "b2c") -> Iterator[Proof]:
        proof = Proof(client, kind)
        yield proof
        record_property("row", tuple(proof.row))
        assert writes_table or proof.row in documented(), f"pytest tests/clients {WRITE_TABLE}"

    return keep


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE_TABLE, action="store_true", help="write the table in local_tenant/docs/clients.md")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table, if that is wanted and every client has done everything."""
    if not config.getoption(WRITE_TABLE, default=False):
        return
    passed = terminalreporter.stats.get("passed", [])
    rows = [Row(*value) for report in passed for name, value in report.user_properties if name == "row"]
    expected = {(client.name, kind) for client in CLIENTS for kind in client.kinds}
    if {(row.client, row.kind) for row in rows} == expected:
        write(rows)
    else:
        terminalreporter.write_line("The table stays as it is, because a client did not do everything.")
