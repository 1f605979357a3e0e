"""Who may start a user flow: the user. Every other site has to let the user be asked."""

import pytest

from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Tenant

STARTS = ["/login", "/edit_profile", "/reset_password"]
NEEDS_SIGN_IN = "/call_downstream_api"


@pytest.fixture
def user(browser: Browser, tenant: Tenant) -> Browser:
    """Somebody whose session cannot get access tokens any more, so that the API's page starts a sign-in."""
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    browser.get("/")
    tenant.revoke_tokens()
    tenant.forget_requests()
    return browser


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", [*STARTS, NEEDS_SIGN_IN])
def test_another_site_and_a_sibling_have_the_user_asked(
    user: Browser, tenant: Tenant, path: str, site: str
) -> None:
    page = user.get(path, follow=False, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")

    assert page.status_code in (200, 401)
    assert not [name for name in user.cookies if "flow" in name]
    assert {"Continue", "Sign in"} & set(Document(page.text).links)


@pytest.mark.parametrize("site", ["same-origin", "none"])
@pytest.mark.parametrize("path", [*STARTS, NEEDS_SIGN_IN])
def test_a_link_of_ours_and_a_typed_address_start_at_once(user: Browser, path: str, site: str) -> None:
    page = user.get(path, follow=False, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")

    assert page.status_code == 302
    assert [name for name in user.cookies if "flow" in name]


def test_an_api_that_wants_more_of_the_sign_in_starts_nothing_for_another_site(
    browser: Browser, tenant: Tenant
) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    browser.get("/")
    refusal = {"error": "interaction_required", "error_description": "AADSTS50076"}
    tenant.misbehave(token={"status": 400, "body": refusal, "content_type": "application/json"})

    asked = browser.get(NEEDS_SIGN_IN, follow=False, Sec_Fetch_Site="cross-site").status_code
    started = browser.get(NEEDS_SIGN_IN, follow=False, Sec_Fetch_Site="same-origin").status_code

    assert (asked, started) == (401, 302)


def test_a_browser_on_its_way_back_from_a_sign_in_is_not_asked(user: Browser, tenant: Tenant) -> None:
    """It arrives with `cross-site`, because the sign-in service has sent it."""
    callback = user.callback_url(NEEDS_SIGN_IN)
    arrived = user.get(callback, follow=False, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert arrived.status_code == 303
    tenant.revoke_tokens()

    page = user.get(user.location, follow=False, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")

    assert page.status_code == 302


def test_another_site_cannot_use_the_moment_in_which_a_browser_is_on_its_way_back(browser: Browser) -> None:
    browser.get(browser.callback_url(), follow=False)
    assert "signin_notice" in browser.cookies

    page = browser.get("/edit_profile", follow=False, Sec_Fetch_Site="cross-site")

    assert page.status_code == 200
    assert not [name for name in browser.cookies if "flow" in name]


def test_navigations_from_another_site_push_out_no_pending_sign_in(browser: Browser) -> None:
    callback = browser.callback_url()
    for _ in range(6):
        for path in (*STARTS, NEEDS_SIGN_IN):
            browser.get(f"{path}?next=/{'x' * 1_400}", follow=False, Sec_Fetch_Site="cross-site")

    browser.get(callback)

    assert browser.signed_in_as() == "Ada Lovelace"
