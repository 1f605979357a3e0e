"""The app's own form for the profile, in a browser: External ID has no user flow for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as ChromiumBrowser

from local_tenant import LocalTenant
from tests.helpers.app import serve
from tests.helpers.person import Person
from tests.helpers.tenant import Tenant


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTenant]:
    with LocalTenant(kind="external-id") as running:
        yield running


@pytest.fixture
def person(chromium: ChromiumBrowser, local: LocalTenant, tmp_path: Path) -> Iterator[Person]:
    """Somebody signed in, in front of the form."""
    app, tenant = serve(local, tmp_path, {}), Tenant(local)
    person = Person(chromium.new_context(viewport={"width": 320, "height": 640}), app.url, tenant)
    person.go("/login").fill(email=tenant.account["email"], password=tenant.account["password"])
    person.press("next").click("Edit profile")
    yield person
    person.leave()
    tenant.behave()
    app.stop()


def test_a_new_name_shows_after_saving(person: Person) -> None:
    person.fill(displayName="Countess of Lovelace", city="London").click("Save")

    assert person.heading == "Welcome, Countess of Lovelace"
    assert person.notice == "Your profile has been updated."
    assert person.go("/edit_profile").page.get_by_label("City").input_value() == "London"


def test_the_form_has_no_barrier_and_fits_a_narrow_screen(person: Person) -> None:
    assert Axe().run(person.page).response["violations"] == []
    assert person.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_refusal_is_announced(person: Person) -> None:
    person.tenant.misbehave(api={"status": 403})

    person.fill(city="London").click("Save")

    assert "You are not allowed to change this." in person.page.get_by_role("alert").inner_text()
    assert person.page.get_by_label("City").input_value() == "London"
