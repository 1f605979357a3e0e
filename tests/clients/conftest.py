"""Tenants with https pages, one of each kind, and the proof of what clients do at them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

import pytest

from local_tenant import LocalTenant
from tests.clients.programs import FOLDER, Tenant
from tests.clients.table import COLLECTED, Client, Proof, documented
from tests.helpers import npm


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
            tenants[kind].forget_requests()
            return tenants[kind]

        yield tenant_of


@pytest.fixture
def tenant(tenant_of_kind: TenantOfKind) -> Tenant:
    """Azure AD B2C."""
    return tenant_of_kind("b2c")


@pytest.fixture
def prove(request: pytest.FixtureRequest) -> Prove:
    """A function: the proof of what a client does, to be kept while it does so.

    At its end, the README has to say the same. `python -m tests.clients` collects the proofs instead.
    """
    collected = request.config.stash.get(COLLECTED, None)

    @contextmanager
    def keep(client: Client, kind: str = "b2c") -> Iterator[Proof]:
        proof = Proof(client, kind)
        yield proof
        if collected is None:
            assert documented().get((client.name, kind)) == proof.row, "run `python -m tests.clients`"
        else:
            collected.append(proof)

    return keep
