"""Chromium, and people in front of it.

Every test also fails when the browser complained on its console or asked any host but the app and the tenant.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as ChromiumBrowser
from playwright.sync_api import StorageState, expect

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp
from tests.helpers.person import PASSWORD, Person, open_chromium
from tests.helpers.tenant import Tenant

SitDown = Callable[..., Person]
StateOf = Callable[[str], StorageState]


@pytest.fixture(scope="session")
def chromium() -> Iterator[ChromiumBrowser]:
    """The machine's own Chromium. Skips where there is none."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def someone(chromium: ChromiumBrowser, shared_app: RunningApp, tenant: Tenant) -> Iterator[SitDown]:
    """A function that puts somebody at a fresh browser."""
    people: list[Person] = []

    def sit_down(**window: Any) -> Person:
        people.append(Person(chromium.new_context(**window), shared_app.url, tenant))
        return people[-1]

    yield sit_down
    for person in people:
        person.leave()


@pytest.fixture
def person(someone: SitDown) -> Person:
    """Somebody at an ordinary window."""
    return someone()


@pytest.fixture
def email(tenant: Tenant) -> str:
    """The e-mail address of a new account, Grace Hopper's."""
    address: str = tenant.add_account("Grace Hopper", PASSWORD)["email"]
    return address


@pytest.fixture(scope="session")
def signed_in_state(
    chromium: ChromiumBrowser, shared_app: RunningApp, running_tenant: LocalTenant
) -> StateOf:
    """A function: the cookies of a browser in which somebody with this name is signed in."""
    states: dict[str, StorageState] = {}

    def state_of(name: str) -> StorageState:
        if name not in states:
            tenant, email = Tenant(running_tenant), f"{'somebody-' * 5}{len(states)}@example.com"
            tenant.control("POST", "accounts", email=email, password=PASSWORD, display_name=name)
            someone = Person(chromium.new_context(), shared_app.url, tenant)
            expect(someone.sign_in(email).page.get_by_role("status")).to_have_text("You are signed in.")
            states[name] = someone.context.storage_state()
            someone.leave()
            tenant.behave()
        return states[name]

    return state_of


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bear with what a browser leaves behind in the app's server."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # A browser that moves on drops its connections, and werkzeug's server leaves the file open.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed file .*/static/:ResourceWarning"))
