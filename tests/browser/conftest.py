"""Chromium, and people in front of it.

Every test also fails when the browser complained on its console or asked any host but the app and the tenant.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as ChromiumBrowser
from playwright.sync_api import Playwright

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp
from tests.helpers.person import PASSWORD, Person, Windows, open_chromium
from tests.helpers.tenant import Tenant

SitDown = Callable[..., Person]

LONG_NAME = "Wolfgang <script>alert(1)</script> " + "Pneumonoultramicroscopicsilicovolcanoconiosis" * 6


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[ChromiumBrowser]:
    """The machine's own Chromium. Skips where there is none."""
    with open_chromium(playwright) as browser:
        yield browser


@pytest.fixture(scope="session")
def windows(chromium: ChromiumBrowser) -> Windows:
    """The windows of that Chromium."""
    return Windows(chromium)


@pytest.fixture
def someone(windows: Windows, shared_app: RunningApp, tenant: Tenant) -> Iterator[SitDown]:
    """A function that puts somebody at a fresh browser, in front of the app."""
    people: list[Person] = []

    def sit_down(at: RunningApp = shared_app, tenant: Tenant = tenant, **window: Any) -> Person:
        page, hand_back = windows.lend(**window)
        people.append(Person(page, at.url, tenant, hand_back))
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
def long_name_email(running_tenant: LocalTenant) -> str:
    """The e-mail address of somebody whose name and address are very long."""
    tenant, email = Tenant(running_tenant), f"{'somebody-' * 5}@example.com"
    tenant.control("POST", "accounts", email=email, password=PASSWORD, display_name=LONG_NAME)
    tenant.behave()
    return email


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bear with what a browser leaves behind in the app's server."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # A browser that moves on drops its connections, and werkzeug's server leaves the file open.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed file .*/static/:ResourceWarning"))
