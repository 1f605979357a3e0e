"""The tenant's root page in a real browser."""

from playwright.sync_api import expect

from tests.browser.conftest import SitDown


def test_a_button_copies_its_value(someone: SitDown) -> None:
    person = someone(permissions=["clipboard-read", "clipboard-write"])
    person.go(person.tenant.url).page.get_by_role("button", name="Copy client secret of web-app").click()

    expect(person.page.get_by_role("status")).to_have_text("Client secret of web-app copied.")
    assert person.page.evaluate("navigator.clipboard.readText()") == person.tenant.settings["CLIENT_SECRET"]
