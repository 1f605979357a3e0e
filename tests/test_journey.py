"""The main job: every user flow, end to end, as a person goes through it."""

import re

import pytest

from tests.browser import Browser, Forms, parameters, with_query


def test_a_visitor_can_sign_in(browser):
    browser.sign_in()

    assert browser.page.status_code == 200
    assert browser.page.url == f"{browser.app_url}/"
    assert "Welcome, Ada Lovelace" in browser.text
    assert "You are signed in" in browser.text


def test_a_visitor_can_sign_up(browser, tenant):
    browser.get("/login")
    browser.click("createAccount")
    browser.submit("sendCode", email="grace@example.com")
    browser.submit("verifyCode", code=tenant.last_mail("grace@example.com"))
    secret = "Compil3r!"
    browser.submit("create", newPassword=secret, reenterPassword=secret, displayName="Grace Hopper")

    assert "Welcome, Grace Hopper" in browser.text


def test_signed_out_home_offers_sign_in_and_password_reset_only(browser):
    browser.get("/")

    assert browser.page.status_code == 200
    assert "Sign in" in browser.text
    assert "Reset password" in browser.text
    assert "Sign out" not in browser.text
    assert "Call a downstream API" not in browser.text


def test_signed_in_home_offers_everything(browser):
    browser.sign_in()

    for offer in ("Call a downstream API", "Edit profile", "Token details", "Sign out"):
        assert offer in browser.text


def test_the_downstream_api_is_called_for_the_user(browser, tenant):
    browser.sign_in().get("/call_downstream_api")

    assert browser.page.status_code == 200
    assert tenant.settings["ENDPOINT"] in browser.text
    [call] = tenant.seen("api")
    assert call["status"] == 200


def test_a_signed_out_user_is_taken_through_sign_in_to_the_api(browser):
    browser.sign_in(start="/call_downstream_api")

    assert browser.page.url == f"{browser.app_url}/call_downstream_api"
    assert browser.page.status_code == 200


def test_an_access_token_is_refreshed_when_it_has_run_out(browser, tenant):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    tenant.forget_requests()

    pages = [browser.get("/call_downstream_api").status_code for _ in range(3)]

    assert pages == [200, 200, 200]
    assert [token["form"]["grant_type"] for token in tenant.seen("token")] == [["refresh_token"]]


def test_an_edited_profile_shows_at_once(browser):
    browser.sign_in().get("/edit_profile")
    browser.submit("continue", displayName="Ada King")

    assert "Welcome, Ada King" in browser.text
    assert "Your profile has been updated" in browser.text


def test_an_edited_profile_leaves_the_sign_in_tokens_alone(browser, tenant):
    tenant.option(access_token_lifetime=300)
    browser.sign_in().get("/edit_profile")
    browser.submit("continue", displayName="Ada King")
    tenant.forget_requests()

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 200
    [refresh] = tenant.seen("token")
    assert refresh["user_flow"].lower() == "b2c_1_signupsignin1"


def test_an_edited_profile_keeps_the_claims_that_only_sign_in_gives(browser):
    browser.sign_in().get("/token_details")
    before = browser.text
    browser.get("/edit_profile")
    browser.submit("continue", displayName="Ada King", city="London")
    browser.get("/token_details")

    assert "B2C_1_signupsignin1" in before
    assert "B2C_1_signupsignin1" in browser.text
    assert "London" in browser.text


def test_a_reset_password_leads_through_sign_in(browser, tenant):
    browser.get("/reset_password")
    email = tenant.account["email"]
    browser.submit("sendCode", email=email)
    browser.submit("verifyCode", code=tenant.last_mail(email))
    browser.submit("continue", newPassword="N3w-secret", reenterPassword="N3w-secret")

    assert "Welcome, Ada Lovelace" in browser.text
    assert "Your password has been changed" in browser.text


def test_forgot_password_leads_to_the_reset_user_flow(browser):
    browser.get("/login")
    browser.click("forgotPassword")

    assert browser.page.status_code == 200
    assert "b2c_1_passwordreset1" in browser.page.url.lower()


def test_cancelling_sign_in_goes_quietly_home(browser):
    browser.get("/login")
    browser.submit("cancel")

    assert browser.page.status_code == 200
    assert browser.page.url == f"{browser.app_url}/"
    assert "Cancelled" in browser.text
    assert "Sign in" in browser.text


@pytest.mark.parametrize("path", ["/edit_profile", "/reset_password"])
def test_cancelling_keeps_the_user_signed_in(browser, path):
    browser.sign_in().get(path)
    browser.submit("cancel")

    assert browser.page.status_code == 200
    assert "Cancelled" in browser.text
    assert browser.signed_in_as() == "Ada Lovelace"


def test_cancelling_goes_back_to_where_the_user_was(browser):
    browser.sign_in().get("/edit_profile?next=/token_details")
    browser.submit("cancel")

    assert browser.page.url == f"{browser.app_url}/token_details"


def test_token_details_shows_claims_with_readable_times_and_no_token(browser, tenant):
    browser.sign_in().get("/token_details")

    assert tenant.account["sub"] in browser.text
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", browser.text)
    assert "eyJ" not in browser.page.text


def test_token_details_needs_sign_in(browser):
    browser.get("/token_details")

    assert browser.page.status_code == 401
    assert "Sign in" in browser.text


def test_sign_out_ends_the_session_here_and_at_the_tenant(browser):
    browser.sign_in().post("/logout")

    assert browser.page.url == f"{browser.app_url}/"
    assert "You are signed out" in browser.text
    assert browser.signed_in_as() is None
    browser.get("/login")
    [form] = [form for form in Forms(browser.page.text).forms if "next" in form["buttons"]]
    assert "password" in form["fields"]  # the tenant asks again


def test_sign_out_tells_the_tenant_who_and_where_to_return(browser, tenant):
    browser.sign_in().post("/logout")

    [logout] = tenant.seen("logout")
    assert logout["query"]["post_logout_redirect_uri"] == [f"{browser.app_url}/"]
    assert logout["query"]["client_id"] == [tenant.settings["CLIENT_ID"]]
    assert logout["query"]["id_token_hint"][0].startswith("eyJ")


def test_sign_out_works_where_the_tenant_requires_the_hint(browser, tenant):
    tenant.control("POST", "redirect-uris", redirect_uri=f"{browser.app_url}/")
    tenant.option(require_id_token_hint=True)
    browser.sign_in().post("/logout")

    assert "You are signed out" in browser.text


@pytest.mark.parametrize("first, second", [(0, 1), (1, 0)], ids=["in order", "in reverse order"])
def test_two_tabs_can_both_finish(browser, first, second):
    tabs = [browser.callback_url("/login?next=/token_details"), browser.callback_url("/login")]

    pages = [browser.get(tabs[first]), browser.get(tabs[second])]

    assert [page.status_code for page in pages] == [200, 200]
    assert browser.signed_in_as() == "Ada Lovelace"


def test_another_user_in_the_same_browser_gets_none_of_the_first_ones_tokens(browser, tenant):
    browser.sign_in()
    browser.http.cookies.clear("127.0.0.1")  # the tenant forgets, the app does not
    bob = tenant.add_account("Bob")
    browser.sign_in(email=bob["email"], password=bob["password"])
    tenant.control("POST", f"accounts/{tenant.account['email']}/revoke")
    tenant.forget_requests()

    browser.get("/call_downstream_api")

    assert browser.signed_in_as() == "Bob"
    [call] = tenant.seen("api")
    assert bob["sub"] in decoded(call["headers"]["Authorization"])
    assert tenant.account["sub"] not in decoded(call["headers"]["Authorization"])


def decoded(bearer: str) -> str:
    """The payload of a bearer token, as text."""
    import jwt

    return str(jwt.decode(bearer.removeprefix("Bearer "), options={"verify_signature": False}))


def test_a_visitor_leaves_no_record_in_the_session_store(serve_app, tenant):
    app = serve_app()
    with Browser(app.url, tenant) as browser:
        browser.get("/")
        browser.get("/login")
        browser.get("/token_details")
        browser.callback_url()

    assert app.module.records._store._run("SELECT count(*) FROM records")[0] == 0


@pytest.mark.parametrize(
    "missing, path, link",
    [
        ("EDITPROFILE_USER_FLOW", "/edit_profile", "Edit profile"),
        ("RESETPASSWORD_USER_FLOW", "/reset_password", "Reset password"),
        ("ENDPOINT", "/call_downstream_api", "Call a downstream API"),
    ],
)
def test_what_is_not_configured_is_not_there(serve_app, tenant, missing, path, link):
    app = serve_app(**{missing: ""} | ({"SCOPE": ""} if missing == "ENDPOINT" else {}))
    with Browser(app.url, tenant) as browser:
        signed_out = browser.get("/").text
        browser.sign_in()

        assert link not in signed_out + browser.page.text
        assert browser.get(path).status_code == 404


def test_a_refreshed_id_token_need_not_repeat_the_nonce(browser, tenant):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.misbehave(id_token={"drop": ["nonce"]})

    assert browser.get("/call_downstream_api").status_code == 200


def test_cancelling_a_sign_in_does_not_lead_back_to_the_page_that_needed_it(browser, tenant):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.control("POST", f"accounts/{tenant.account['email']}/revoke")
    browser.http.cookies.clear("127.0.0.1")
    browser.get("/call_downstream_api")
    browser.submit("cancel")

    assert browser.page.url == f"{browser.app_url}/"
    assert "Cancelled" in browser.text


# --- What a user flow is asked for --------------------------------------------------------------------------

API = "https://localtenant.onmicrosoft.com/tasks-api"


def asked(browser: Browser, path: str, **headers: str) -> dict[str, str]:
    """The authorization request that a page leads to."""
    return parameters(browser.get(path, follow=False, **headers).headers["Location"])


def test_sign_in_asks_for_the_apis_scopes(browser):
    assert f"{API}/tasks.read" in asked(browser, "/login")["scope"].split()


@pytest.mark.parametrize("path", ["/edit_profile", "/reset_password"])
def test_the_other_user_flows_ask_for_no_scope_of_the_api(browser, path):
    scope = asked(browser.sign_in(), path)["scope"]

    assert "openid" in scope.split()
    assert API not in scope


def test_a_forgotten_password_asks_for_no_scope_of_the_api(browser, tenant):
    browser.get("/login")
    browser.click("forgotPassword")

    request = tenant.seen("authorize")[-1]
    assert request["user_flow"].lower() == "b2c_1_passwordreset1"
    assert API not in request["query"]["scope"][0]


def test_scopes_of_which_a_part_was_granted_cost_no_token_request_for_each_call(serve_app, tenant):
    app = serve_app(SCOPE=f"{API}/tasks.read {API}/tasks.admin")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        tenant.forget_requests()

        pages = [browser.get("/call_downstream_api").status_code for _ in range(3)]

    assert pages == [200, 200, 200]
    assert tenant.seen("token") == []


HINTS = {"login_hint": "ada+x@example.com", "domain_hint": "contoso.com", "ui_locales": "de-AT en"}


def test_hints_reach_the_tenant(browser):
    assert asked(browser, with_query("/login", **HINTS)).items() >= HINTS.items()


def test_hints_reach_the_tenant_by_way_of_the_page_shown_for_another_site(browser):
    browser.get(with_query("/login", **HINTS), follow=False, Sec_Fetch_Site="cross-site")
    link = Forms(browser.page.text).links["Sign in"]

    assert asked(browser, link, Sec_Fetch_Site="same-origin").items() >= HINTS.items()


@pytest.mark.parametrize("path", ["/edit_profile", "/reset_password"])
def test_hints_reach_the_other_user_flows(browser, path):
    assert asked(browser.sign_in(), with_query(path, ui_locales="de"))["ui_locales"] == "de"


def test_the_language_is_kept_when_the_password_is_forgotten(browser, tenant):
    browser.get("/login?ui_locales=de")
    browser.click("forgotPassword")

    request = tenant.seen("authorize")[-1]
    assert request["user_flow"].lower() == "b2c_1_passwordreset1"
    assert request["query"]["ui_locales"] == ["de"]


def test_without_a_language_the_tenant_is_asked_for_none(browser):
    assert "ui_locales" not in asked(browser, "/login")


@pytest.mark.parametrize(
    "hint, value",
    [
        pytest.param("login_hint", "", id="empty login_hint"),
        pytest.param("login_hint", "a b", id="login_hint with a blank"),
        pytest.param("login_hint", "a\r\nb", id="login_hint with a line break"),
        pytest.param("login_hint", "x" * 255, id="long login_hint"),
        pytest.param("domain_hint", "contoso.com&prompt=none", id="domain_hint with a parameter"),
        pytest.param("domain_hint", "x" * 254, id="long domain_hint"),
        pytest.param("ui_locales", "de&prompt=none", id="ui_locales with a parameter"),
        pytest.param("ui_locales", "de\n", id="ui_locales with a line break"),
        pytest.param("ui_locales", "d", id="ui_locales of one letter"),
        pytest.param("ui_locales", "de " * 9, id="many ui_locales"),
    ],
)
def test_a_malformed_hint_goes_no_further(browser, hint, value):
    request = asked(browser, with_query("/login", **{hint: value}))

    assert hint not in request
    assert "prompt" not in request
