"""The app's own form for the profile, in a browser: External ID has no user flow for it."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe

from local_tenant import LocalTenant
from tests.browser.conftest import SitDown
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.person import Person
from tests.helpers.tenant import Tenant


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTenant]:
    with LocalTenant(kind="external-id") as running:
        yield running


@pytest.fixture(scope="module")
def app(local: LocalTenant, serve_app: ServeApp) -> RunningApp:
    return serve_app(local)


@pytest.fixture
def person(someone: SitDown, app: RunningApp, local: LocalTenant) -> Iterator[Person]:
    """Somebody signed in, in front of the form."""
    tenant = Tenant(local)
    person = someone(at=app, tenant=tenant, viewport={"width": 320, "height": 640})
    yield person.be_signed_in().go("/").click("Edit profile")
    tenant.behave()


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
