"""One local tenant for all tests of this folder, as new for each of them."""

import uuid
from collections.abc import Iterator

import pytest
import requests

from local_tenant import LocalTenant
from tests.local_tenant.visitor import EntraVisitor, Visitor

REDIRECT_URI = "http://localhost:1234/getAToken"


@pytest.fixture(scope="session")
def tenant() -> Iterator[LocalTenant]:
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as tenant:
        yield tenant


@pytest.fixture(scope="session")
def default_options(tenant: LocalTenant) -> dict[str, object]:
    options: dict[str, object] = Visitor(tenant).control("GET", "options")
    return options


@pytest.fixture
def visitor(tenant: LocalTenant, default_options: dict[str, object]) -> Iterator[Visitor]:
    """Somebody who has not been at the tenant yet. Undoes faults, options and the clock afterwards."""
    visitor, orders = Visitor(tenant), []

    def note_orders(answer: requests.Response, **_: object) -> None:
        if "/control/" in answer.url and answer.request.method != "GET":
            orders.append(answer.url)

    visitor.http.hooks["response"].append(note_orders)
    yield visitor
    if orders:
        visitor.control("DELETE", "faults")
        visitor.control("PATCH", "options", default_options)
        visitor.move_clock(0)
    visitor.close()


@pytest.fixture(scope="session")
def entra_tenant() -> Iterator[LocalTenant]:
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI], kind="entra-id") as tenant:
        yield tenant


@pytest.fixture
def entra_visitor(entra_tenant: LocalTenant) -> Iterator[EntraVisitor]:
    """Somebody who has not been at a tenant of Entra ID yet."""
    visitor = EntraVisitor(entra_tenant)
    yield visitor
    visitor.move_clock(0)
    visitor.close()


@pytest.fixture
def account(visitor: Visitor) -> dict[str, str]:
    """An account of the test's own."""
    account = {
        "email": f"grace-{uuid.uuid4()}@example.com",
        "password": "Own-pass-1",
        "display_name": "Grace",
    }
    return account | {"sub": visitor.control("POST", "accounts", account)["sub"]}
