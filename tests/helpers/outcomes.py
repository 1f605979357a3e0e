"""What a test looks at to tell whether somebody is signed in, and as whom."""

from tests.helpers.browser import Browser, Document

SIGNED_IN, REFUSED = "signed in", "refused"


def assert_outcome(browser: Browser, outcome: str) -> None:
    """The answer shown last and the next visit agree on whether somebody is signed in."""
    if outcome == SIGNED_IN:
        assert browser.page.status_code == 200
        assert browser.signed_in_as() == "Ada Lovelace"
    else:
        page = Document(browser.page.text)
        assert browser.page.status_code == 502
        assert page.heading
        assert "Reference: " in page.text
        assert browser.session_id is None
        assert browser.signed_in_as() is None


def state_of(browser: Browser) -> tuple[str | None, str]:
    """What may not change under an attack: the session's id and every claim of its user."""
    return browser.session_id, Document(browser.get("/token_details").text).text
