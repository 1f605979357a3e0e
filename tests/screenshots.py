"""Make the README's pictures anew: python -m pytest tests/screenshots.py"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright

from tests.helpers.app import RunningApp
from tests.helpers.person import Person, open_chromium
from tests.helpers.tenant import Tenant

FOLDER = Path(__file__).parent / "screenshots"
PHONE = {"viewport": {"width": 390, "height": 700}}
DESKTOP = {"viewport": {"width": 960, "height": 600}}
SitDown = Callable[..., Person]


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    with open_chromium(playwright) as browser:
        yield browser


@pytest.fixture
def someone(chromium: Browser, shared_app: RunningApp, tenant: Tenant) -> Iterator[SitDown]:
    """A function that puts the ready account's owner at a fresh browser, signed in or not."""
    people: list[Person] = []

    def sit_down(*, signed_in: bool, **window: Any) -> Person:
        person = Person(chromium.new_context(**window), shared_app.url, tenant)
        people.append(person)
        account = tenant.account
        return person.sign_in(account["email"], account["password"]) if signed_in else person.go("/")

    yield sit_down
    for person in people:
        person.leave()


def keep(person: Person, name: str) -> None:
    picture = FOLDER / f"{name}.png"
    person.page.mouse.move(0, 0)
    person.page.screenshot(path=picture)
    assert picture.stat().st_size < 200_000


def test_home_signed_in(someone: SitDown) -> None:
    keep(someone(signed_in=True, **DESKTOP), "home-signed-in")


def test_sign_in_at_the_local_tenant(someone: SitDown) -> None:
    keep(someone(signed_in=False, **DESKTOP).click("Sign in or sign up"), "local-tenant")


def test_api(someone: SitDown) -> None:
    keep(someone(signed_in=True, color_scheme="dark", **DESKTOP).click("Call a downstream API"), "api-dark")


def test_token_details_on_a_phone(someone: SitDown) -> None:
    keep(someone(signed_in=True, **PHONE).click("Token details"), "token-details-phone")
