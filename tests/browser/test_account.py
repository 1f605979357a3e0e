"""The account, its sessions and the local tenant's small scripts in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SitDown
from tests.helpers.person import Person


@pytest.fixture
def clipboard_person(someone: SitDown) -> Person:
    """Somebody whose browser lets scripts copy."""
    return someone(permissions=["clipboard-read", "clipboard-write"])


def copied(person: Person) -> str:
    return str(person.page.evaluate("navigator.clipboard.readText()"))


def test_a_person_ends_the_session_of_another_browser(someone: SitDown, email: str) -> None:
    here, there = someone(), someone()
    there.be_signed_in(email)
    here.be_signed_in(email).go("/sessions")
    here.click("End the session of Chrome on Linux")
    assert here.notice == "That session has ended."

    there.go("/")
    assert "Sign in or sign up" in there.text


def test_a_person_signs_out_everywhere(someone: SitDown, email: str) -> None:
    here, there = someone(), someone()
    there.be_signed_in(email)
    here.be_signed_in(email).go("/sessions").click("Sign out everywhere")
    assert here.notice == "You are signed out."

    there.go("/")
    assert "Sign in or sign up" in there.text


def test_times_are_local_and_relative(someone: SitDown, email: str) -> None:
    person = someone(timezone_id="Asia/Tokyo", locale="en-GB")
    tenant = person.tenant
    tenant.misbehave(id_token={"set": {"auth_time": 1_700_000_000}})
    person.be_signed_in(email).go("/token_details")

    row = person.page.get_by_role("row").filter(has_text="auth_time")
    expect(row).to_contain_text("2023-11-14 22:13:20 UTC (")
    expect(row).to_contain_text("ago, 15 Nov 2023, 07:13 here)")


def test_a_claim_can_be_copied(clipboard_person: Person, email: str) -> None:
    clipboard_person.be_signed_in(email).go("/token_details")
    clipboard_person.page.get_by_role("button", name="Copy name", exact=True).click()

    expect(clipboard_person.page.get_by_text("name copied")).to_be_attached()
    assert copied(clipboard_person) == "Grace Hopper"


def test_token_details_need_no_script(someone: SitDown, email: str) -> None:
    person = someone(java_script_enabled=False)
    person.be_signed_in(email).go("/token_details")

    assert "UTC" in person.text
    assert "Copy" not in person.text


# --- The local tenant ---------------------------------------------------------------------------------------


def test_a_password_can_be_shown(person: Person, email: str) -> None:
    person.go("/").click("Sign in or sign up").fill(password="Typed")
    person.page.get_by_label("Show password").check()
    assert person.page.locator("#password").get_attribute("type") == "text"

    person.page.get_by_label("Show password").uncheck()
    assert person.page.locator("#password").get_attribute("type") == "password"


def test_the_mailbox_shows_a_new_code_by_itself_and_copies_it(clipboard_person: Person) -> None:
    person, address = clipboard_person, "mailbox@example.com"
    mailbox = person.context.new_page()
    mailbox.goto(f"{person.tenant.url}/mailbox")
    person.go("/").click("Sign in or sign up").press("createAccount").fill(email=address).press("sendCode")
    mailbox.bring_to_front()

    newest = mailbox.locator(".newest")
    expect(newest).to_contain_text(address, timeout=10_000)
    code = person.tenant.last_mail(address)
    newest.get_by_role("button", name=f"Copy code {code}").click()
    expect(mailbox.get_by_role("status")).to_have_text(f"Code {code} copied.")
    assert mailbox.evaluate("navigator.clipboard.readText()") == code
