"""A sign-in after the session has ended, in a browser that still presents the old session's cookie."""

import re

from tests.helpers.browser import Browser, Document
from tests.helpers.stores import Instances, User
from tests.helpers.tenant import Tenant


def end_from_another_browser(browser: Browser) -> None:
    """End the session of `browser` on the sessions page of another one."""
    with Browser(browser.app_url, browser.tenant) as other:
        other.sign_in().get("/sessions")
        [handle] = re.findall(r'name="end" value="([0-9a-f]{64})"', other.page.text)
        other.post("/sessions", fields={"end": handle})
        assert "That session has ended." in other.text


def test_a_browser_whose_session_was_ended_elsewhere_can_sign_in_again(browser: Browser) -> None:
    browser.sign_in()
    end_from_another_browser(browser)
    assert browser.signed_in_as() is None
    browser.sign_in(start="/token_details?a=b").sign_in(start="/sessions")

    assert browser.page.url == f"{browser.app_url}/sessions"
    assert browser.signed_in_as() == "Ada Lovelace"


def test_a_client_that_kept_its_cookie_at_sign_out_can_sign_in_again(browser: Browser) -> None:
    for _ in range(2):
        old = browser.sign_in().session_id
        assert old
        browser.post("/logout")
        browser.set_session_id(old)

        assert browser.signed_in_as() is None
    assert browser.sign_in().signed_in_as() == "Ada Lovelace"


def test_a_sign_in_that_was_under_way_is_refused_and_can_be_made_again(browser: Browser) -> None:
    browser.sign_in()
    callback = browser.callback_url("/login?next=/sessions")
    end_from_another_browser(browser)
    browser.get(callback)
    assert browser.page.status_code == 409
    assert Document(browser.page.text).links["Sign in"] == "/login?next=/sessions"

    browser.click("Sign in")
    assert browser.page.url == f"{browser.app_url}/sessions"


def test_a_sign_out_with_the_old_cookie_ends_the_new_session_too(
    instances: Instances, user: User, tenant: Tenant
) -> None:
    old = user.session_id
    assert old
    user.post("/logout")
    user.set_session_id(old)
    user.sign_in()
    new = user.session_id
    user.set_session_id(old)
    user.post("/logout")
    assert new
    user.set_session_id(new)

    assert user.signed_in_as() is None
