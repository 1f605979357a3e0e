"""What the home page says about the account, and what an edit of the profile changes."""

import pytest
import requests

from tests.app.conftest import Visit
from tests.helpers.app import ServeApp
from tests.helpers.browser import Browser, Document, greeted
from tests.helpers.tenant import Tenant


def sign_up(browser: Browser, tenant: Tenant, email: str) -> None:
    browser.get("/login")
    browser.click("createAccount")
    browser.submit("sendCode", email=email)
    browser.submit("verifyCode", code=tenant.last_mail(email))
    password = "Compil3r!"
    browser.submit("create", newPassword=password, reenterPassword=password, displayName="Grace Hopper")


def test_the_home_page_shows_the_account(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(id_token={"set": {"idp": "google.com"}})
    browser.sign_in()

    for fact in ("Name Ada Lovelace", f"E-mail {tenant.account['email']}", "Signed in with Google"):
        assert fact in browser.text
    assert "Signed in since 20" in browser.text


def test_an_account_of_the_tenant_itself_is_said_to_be_one(browser: Browser) -> None:
    assert "Signed in with Azure AD B2C" in browser.sign_in().text


def test_the_account_can_be_edited_and_its_password_changed_from_the_home_page(browser: Browser) -> None:
    links = Document(browser.sign_in().page.text).links

    assert links["Edit profile"] == "/edit_profile"
    assert links["Change password"] == "/reset_password"
    assert links["My sessions"] == "/sessions"


def test_a_new_account_is_welcomed_as_new_once(browser: Browser, tenant: Tenant) -> None:
    sign_up(browser, tenant, "new-account@example.com")
    assert "Your account has been created" in browser.text

    browser.get("/")
    assert "Your account has been created" not in browser.text
    browser.post("/logout")
    browser.sign_in(email="new-account@example.com", password="Compil3r!")
    assert "Your account has been created" not in browser.text
    assert "You are signed in." in browser.text


def test_the_main_button_is_for_new_users_too(browser: Browser) -> None:
    browser.get("/")

    assert Document(browser.page.text).links["Sign in or sign up"] == "/login"


# --- Editing the profile ------------------------------------------------------------------------------------


def test_after_an_edit_the_api_is_called_with_the_new_claims(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().get("/call_downstream_api")
    browser.get("/edit_profile")
    browser.submit("continue", displayName="Ada King")
    assert "Your profile has been updated." in browser.text
    assert greeted(browser.page) == "Ada King"
    browser.get("/call_downstream_api")

    before, after = (seen["headers"]["Authorization"] for seen in tenant.seen("api"))
    assert "Ada King" in browser.text
    assert before != after


def test_after_an_edit_an_emptied_attribute_is_gone(browser: Browser) -> None:
    browser.sign_in().get("/edit_profile")
    browser.submit("continue", displayName="Ada King", city="London")
    assert "London" in browser.get("/token_details").text
    browser.get("/edit_profile")
    browser.submit("continue", displayName="Ada King", city="")

    assert "London" not in browser.get("/token_details").text


def test_after_an_edit_nobody_is_asked_for_a_password(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().get("/edit_profile")
    tenant.forget_requests()
    browser.submit("continue", displayName="Ada King")

    assert [seen["status"] for seen in tenant.seen("authorize") if seen["method"] == "GET"] == [302]


def test_an_edit_replaces_the_session(browser: Browser) -> None:
    before = browser.sign_in().session_id
    browser.get("/edit_profile")
    browser.submit("continue", displayName="Ada King")

    assert browser.session_id != before
    with Browser(browser.app_url, browser.tenant) as thief:
        thief.set_session_id(before or "")
        assert thief.signed_in_as() is None


# --- Notices ------------------------------------------------------------------------------------------------


def title(page: requests.Response) -> str:
    return page.text.partition("<title>")[2].partition("</title>")[0]


def test_a_notice_begins_the_title_which_screen_readers_read_first(browser: Browser) -> None:
    browser.sign_in()

    assert title(browser.page) == "You are signed in. Welcome, Ada Lovelace · Flask sign-in"
    assert title(browser.get("/")) == "Welcome, Ada Lovelace · Flask sign-in"


def test_cancelled_does_not_look_like_a_success(browser: Browser) -> None:
    browser.get("/login")
    browser.submit("cancel")

    assert '<p class="notice still" role="status">Cancelled.' in browser.page.text


# --- What users and operators read --------------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "shown"), [("", True), ("yes", True), ("no", False)])
def test_the_operators_part_of_an_error_page_can_be_hidden(
    serve_app: ServeApp, tenant: Tenant, setting: str, shown: bool
) -> None:
    app = serve_app(SHOW_OPERATOR_HELP=setting)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        tenant.misbehave(api={"status": 500}, authorize={"error": {"code": "AADB2C90117"}})
        for path in ("/call_downstream_api", "/login"):
            assert ("If you run this site" in browser.get(path).text) is shown


def test_a_deployed_app_hides_it(visit_https: Visit) -> None:
    page = visit_https("/getAToken?state=x&code=x")

    assert page.status_code == 400
    assert "If you run this site" not in page.text


def test_an_api_fault_tells_the_user_nothing_of_settings(serve_app: ServeApp, tenant: Tenant) -> None:
    app = serve_app(SHOW_OPERATOR_HELP="no")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        for status in (302, 401, 403, 404, 429, 500):
            tenant.misbehave(api={"status": status})
            browser.get("/call_downstream_api")
            assert not [word for word in ("ENDPOINT", "SCOPE", "REDIRECT_URI") if word in browser.text]


# --- Token details ------------------------------------------------------------------------------------------


def test_token_details_list_the_granted_scopes(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().get("/token_details")

    for scope in tenant.settings["SCOPE"].split():
        assert scope in browser.text.partition("Granted scopes")[2]


def test_what_a_claim_is_about_is_said_in_one_place(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(id_token={"set": {"sid": "a-sid", "amr": ["pwd"], "roles": ["admin", "editor"]}})
    browser.sign_in().get("/token_details")
    about_user, _, about_token = browser.text.partition("About the token")

    assert "sid a-sid" in about_token
    assert "amr pwd" in about_token
    assert "roles admin, editor" in about_user
