"""The main job: every user flow, end to end, as a person goes through it."""

import jwt
import pytest

from tests.helpers.app import ServeApp
from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Held, Tenant


def test_a_visitor_can_sign_in(browser: Browser) -> None:
    browser.sign_in()

    assert browser.page.status_code == 200
    assert browser.page.url == f"{browser.app_url}/"
    assert "Welcome, Ada Lovelace" in browser.text
    assert "You are signed in" in browser.text


def test_a_visitor_can_sign_up(browser: Browser, tenant: Tenant) -> None:
    browser.get("/login")
    browser.click("createAccount")
    browser.submit("sendCode", email="grace@example.com")
    browser.submit("verifyCode", code=tenant.last_mail("grace@example.com"))
    secret = "Compil3r!"
    browser.submit("create", newPassword=secret, reenterPassword=secret, displayName="Grace Hopper")

    assert "Welcome, Grace Hopper" in browser.text


def test_signed_out_home_offers_sign_in_and_password_reset_only(browser: Browser) -> None:
    browser.get("/")

    assert browser.page.status_code == 200
    assert "Sign in" in browser.text
    assert "Reset password" in browser.text
    assert "Sign out" not in browser.text
    assert "Call a downstream API" not in browser.text


def test_signed_in_home_offers_everything(browser: Browser) -> None:
    browser.sign_in()

    for offer in ("Call a downstream API", "Edit profile", "Token details", "Sign out"):
        assert offer in browser.text


def test_the_downstream_api_is_called_for_the_user(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().get("/call_downstream_api")

    assert browser.page.status_code == 200
    assert tenant.settings["ENDPOINT"] in browser.text
    [call] = tenant.seen("api")
    assert call["status"] == 200


def test_a_signed_out_user_is_taken_through_sign_in_to_the_api(browser: Browser) -> None:
    browser.sign_in(start="/call_downstream_api")

    assert browser.page.url == f"{browser.app_url}/call_downstream_api"
    assert browser.page.status_code == 200


def test_an_edited_profile_shows_at_once(browser: Browser) -> None:
    browser.sign_in().get("/edit_profile")
    browser.submit("continue", displayName="Ada King")

    assert "Welcome, Ada King" in browser.text
    assert "Your profile has been updated" in browser.text


def test_an_edited_profile_leaves_the_sign_in_tokens_alone(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in().get("/edit_profile")
    browser.submit("continue", displayName="Ada King")
    tenant.forget_requests()

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 200
    [refresh] = tenant.seen("token")
    assert refresh["user_flow"].lower() == "b2c_1_signupsignin1"


def test_an_edited_profile_keeps_the_claims_that_only_sign_in_gives(browser: Browser) -> None:
    browser.sign_in().get("/token_details")
    before = browser.text
    browser.get("/edit_profile")
    browser.submit("continue", displayName="Ada King", city="London")
    browser.get("/token_details")

    assert "B2C_1_signupsignin1" in before
    assert "B2C_1_signupsignin1" in browser.text
    assert "London" in browser.text


def test_a_reset_password_leads_through_sign_in(browser: Browser, tenant: Tenant) -> None:
    browser.get("/reset_password")
    email = tenant.account["email"]
    browser.submit("sendCode", email=email)
    browser.submit("verifyCode", code=tenant.last_mail(email))
    browser.submit("continue", newPassword="N3w-secret", reenterPassword="N3w-secret")

    assert "Welcome, Ada Lovelace" in browser.text
    assert "Your password has been changed" in browser.text


def test_forgot_password_leads_to_the_reset_user_flow(browser: Browser) -> None:
    browser.get("/login")
    browser.click("forgotPassword")

    assert browser.page.status_code == 200
    assert "b2c_1_passwordreset1" in browser.page.url.lower()


def test_a_forgotten_password_and_then_a_cancelled_reset_end_at_home(browser: Browser) -> None:
    browser.get("/login")
    browser.click("forgotPassword")
    browser.submit("cancel")

    assert browser.page.url == f"{browser.app_url}/"
    assert "Cancelled" in browser.text
    assert browser.signed_in_as() is None


def test_cancelling_sign_in_goes_quietly_home(browser: Browser) -> None:
    browser.get("/login")
    browser.submit("cancel")

    assert browser.page.status_code == 200
    assert browser.page.url == f"{browser.app_url}/"
    assert "Cancelled" in browser.text
    assert "Sign in" in browser.text


@pytest.mark.parametrize("path", ["/edit_profile", "/reset_password"])
def test_cancelling_keeps_the_user_signed_in(browser: Browser, path: str) -> None:
    browser.sign_in().get(path)
    browser.submit("cancel")

    assert browser.page.status_code == 200
    assert "Cancelled" in browser.text
    assert browser.signed_in_as() == "Ada Lovelace"


def test_cancelling_goes_back_to_where_the_user_was(browser: Browser) -> None:
    browser.sign_in().get("/edit_profile?next=/token_details")
    browser.submit("cancel")

    assert browser.page.url == f"{browser.app_url}/token_details"


def test_cancelling_a_sign_in_does_not_lead_back_to_the_page_that_needed_it(
    browser: Browser, tenant: Tenant
) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.revoke_tokens()
    browser.leave_tenant()
    browser.get("/call_downstream_api")
    browser.submit("cancel")

    assert browser.page.url == f"{browser.app_url}/"
    assert "Cancelled" in browser.text


def test_sign_out_ends_the_session_here_and_at_the_tenant(browser: Browser) -> None:
    browser.sign_in().post("/logout")

    assert browser.page.url == f"{browser.app_url}/"
    assert "You are signed out" in browser.text
    assert browser.signed_in_as() is None
    browser.get("/login")
    [form] = [form for form in Document(browser.page.text).forms if "next" in form.buttons]
    assert "password" in form.fields  # the tenant asks again


def test_sign_out_tells_the_tenant_who_and_where_to_return(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().post("/logout")

    [logout] = tenant.seen("logout")
    assert logout["query"]["post_logout_redirect_uri"] == [f"{browser.app_url}/"]
    assert logout["query"]["client_id"] == [tenant.settings["CLIENT_ID"]]
    assert logout["query"]["id_token_hint"][0].startswith("eyJ")


def test_sign_out_works_where_the_tenant_requires_the_hint(browser: Browser, tenant: Tenant) -> None:
    tenant.control("POST", "redirect-uris", redirect_uri=f"{browser.app_url}/")
    tenant.option(require_id_token_hint=True)
    browser.sign_in().post("/logout")

    assert "You are signed out" in browser.text


@pytest.mark.parametrize("first, second", [(0, 1), (1, 0)], ids=["in order", "in reverse order"])
def test_two_tabs_can_both_finish(browser: Browser, first: int, second: int) -> None:
    tabs = [browser.callback_url("/login?next=/token_details"), browser.callback_url("/login")]

    pages = [browser.get(tabs[first]), browser.get(tabs[second])]

    assert [page.status_code for page in pages] == [200, 200]
    assert browser.signed_in_as() == "Ada Lovelace"


def test_another_user_in_the_same_browser_gets_none_of_the_first_ones_tokens(
    browser: Browser, tenant: Tenant
) -> None:
    browser.sign_in()
    browser.leave_tenant()
    bob = tenant.add_account("Bob")
    browser.sign_in(email=bob["email"])
    tenant.revoke_tokens()
    tenant.forget_requests()

    browser.get("/call_downstream_api")

    assert browser.signed_in_as() == "Bob"
    [call] = tenant.seen("api")
    assert bob["sub"] in decoded(call["headers"]["Authorization"])
    assert tenant.account["sub"] not in decoded(call["headers"]["Authorization"])


def decoded(bearer: str) -> str:
    """The payload of a bearer token, as text."""
    return str(jwt.decode(bearer.removeprefix("Bearer "), options={"verify_signature": False}))


@pytest.mark.parametrize(
    "missing, path, link",
    [
        ("EDITPROFILE_USER_FLOW", "/edit_profile", "Edit profile"),
        ("RESETPASSWORD_USER_FLOW", "/reset_password", "Reset password"),
        ("ENDPOINT", "/call_downstream_api", "Call a downstream API"),
    ],
)
def test_what_is_not_configured_is_not_there(
    serve_app: ServeApp, tenant: Tenant, missing: str, path: str, link: str
) -> None:
    app = serve_app(**{missing: ""} | ({"SCOPE": "", "WRITE_SCOPE": ""} if missing == "ENDPOINT" else {}))
    with Browser(app.url, tenant) as browser:
        signed_out = browser.get("/").text
        browser.sign_in()

        assert link not in signed_out + browser.page.text
        assert browser.get(path).status_code == 404


def test_a_slow_token_endpoint_is_waited_for(browser: Browser, tenant: Tenant) -> None:
    url = browser.callback_url()
    waiting = Held(tenant, "token", lambda: browser.get(url))

    assert waiting.release().status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"
