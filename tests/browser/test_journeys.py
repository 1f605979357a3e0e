"""What a person meets in a real browser, in every kind of window, and with the keyboard alone."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SitDown
from tests.helpers.person import PASSWORD, Person, tab_to

WINDOWS: dict[str, dict[str, Any]] = {
    "phone-light": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "desktop-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "desktop-no-javascript": {"viewport": {"width": 1280, "height": 800}, "java_script_enabled": False},
}


@pytest.fixture(params=list(WINDOWS.values()), ids=list(WINDOWS))
def visitor(request: pytest.FixtureRequest, someone: SitDown) -> Person:
    """Somebody at each kind of window in turn."""
    return someone(**request.param)


def test_a_person_signs_in(visitor: Person, email: str) -> None:
    visitor.sign_in(email)

    assert visitor.heading == "Welcome, Grace Hopper"
    assert visitor.notice == "You are signed in."


def test_a_new_person_signs_up_with_a_code_from_the_mailbox(person: Person) -> None:
    address = "katherine@example.com"
    person.go("/").click("Sign in or sign up").press("createAccount")
    person.fill(email=address).press("sendCode")
    person.fill(code=person.code(address)).press("verifyCode")
    person.fill(newPassword=PASSWORD, reenterPassword=PASSWORD, displayName="Katherine Johnson")
    person.press("create")

    assert person.heading == "Welcome, Katherine Johnson"


def test_a_person_calls_the_api(person: Person, email: str) -> None:
    person.be_signed_in(email).go("/").click("Call a downstream API")

    assert person.heading == "The API answered"
    assert '"owner": "Grace Hopper"' in person.text


def test_an_edited_name_shows_at_once(person: Person, email: str) -> None:
    person.be_signed_in(email).go("/").click("Edit profile").fill(displayName="Rear Admiral Hopper").press(
        "continue"
    )

    assert person.heading == "Welcome, Rear Admiral Hopper"
    assert person.notice == "Your profile has been updated."


def test_a_forgotten_password_is_reset_and_the_new_one_signs_in(person: Person, email: str) -> None:
    person.go("/").click("Sign in or sign up").press("forgotPassword")
    person.fill(email=email).press("sendCode")
    person.fill(code=person.code(email)).press("verifyCode")
    person.fill(newPassword="Another-horse-8", reenterPassword="Another-horse-8").press("continue")
    assert person.heading == "Welcome, Grace Hopper"
    person.click("Sign out").sign_in(email, "Another-horse-8")

    assert person.heading == "Welcome, Grace Hopper"


def test_a_person_signs_out_of_app_and_tenant(person: Person, email: str) -> None:
    person.be_signed_in(email).go("/").click("Sign out")
    assert person.notice == "You are signed out."
    person.click("Sign in or sign up")

    expect(person.page.locator("#password")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/token_details"])
def test_back_after_sign_out_shows_nothing_personal(person: Person, email: str, path: str) -> None:
    person.be_signed_in(email).go(path).click("Sign out")
    expect(person.page.get_by_role("status")).to_have_text("You are signed out.")
    person.page.go_back()

    assert "Grace Hopper" not in person.page.content()


def test_back_after_sign_in_leads_to_no_error(person: Person, email: str) -> None:
    person.sign_in(email)
    expect(person.page.locator("h1")).to_have_text("Welcome, Grace Hopper")
    answer = person.page.go_back()

    assert answer is None or answer.status < 400
    assert person.heading == "Welcome, Grace Hopper"


def test_a_notice_is_shown_once(person: Person, email: str) -> None:
    person.sign_in(email)
    expect(person.page.get_by_role("status")).to_be_visible()
    person.page.reload()

    expect(person.page.get_by_role("status")).to_have_count(0)


def test_the_keyboard_is_enough_to_sign_in(person: Person, email: str) -> None:
    person.go("/")
    tab_to(person, "Sign in or sign up")
    person.page.keyboard.press("Enter")
    expect(person.page.locator("#email")).to_be_focused()
    person.page.keyboard.type(email)
    person.page.keyboard.press("Tab")
    person.page.keyboard.type(PASSWORD)
    person.page.keyboard.press("Enter")

    expect(person.page.locator("h1")).to_have_text("Welcome, Grace Hopper")


def test_the_keyboard_is_enough_to_sign_out(person: Person, email: str) -> None:
    person.be_signed_in(email).go("/")
    tab_to(person, "Sign out")
    person.page.keyboard.press("Enter")

    expect(person.page.get_by_role("status")).to_have_text("You are signed out.")
