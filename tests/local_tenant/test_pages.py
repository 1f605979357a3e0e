"""The pages of the local tenant, used as a person would."""

import re
import uuid

import pytest

from local_tenant import LocalTenant
from tests.tenant_visitor import EDIT, RESET, SIGN_IN, Visitor, alert, answer, claims, error_code

REDIRECT_URI = "http://localhost:1234/getAToken"
GOOD = {"newPassword": "Another-1", "reenterPassword": "Another-1", "displayName": "Grace Example"}
SEND_FIRST = "Verification is necessary. Please click Send button."
MISSING = "A required field is missing. Please fill out all required fields and try again."


@pytest.fixture(scope="module")
def tenant():
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as tenant:
        yield tenant


@pytest.fixture
def person(visitor):
    """An account of the test's own."""
    account = {
        "email": f"grace-{uuid.uuid4()}@example.com",
        "password": "Own-pass-1",
        "display_name": "Grace",
    }
    return account | {"sub": visitor.control("POST", "accounts", account)["sub"]}


def signed_in_as(visitor, person, user_flow=SIGN_IN, **changes):
    return visitor.sign_in(user_flow, person["email"], person["password"], **changes)


def proven(visitor, page, email):
    """The page after the e-mail address was verified on it."""
    page = visitor.submit(page, email=email, sendCode="1")
    return visitor.submit(page, code=visitor.mailed_code(email), verifyCode="1")


# --- signing in


@pytest.mark.parametrize(
    ("email", "password", "text"),
    [
        pytest.param("ada@example.com", "Wrong-pass-1", "Your password is incorrect.", id="wrong password"),
        pytest.param("no@example.com", "x", "We can't seem to find your account.", id="unknown user"),
        pytest.param("", "x", "Please enter your email", id="no e-mail"),
        pytest.param("ada@example.com", "", "Please enter your password", id="no password"),
    ],
)
def test_refused_sign_in_says_why(visitor, email, password, text):
    page = visitor.submit(visitor.authorize(), email=email, password=password, next="1")
    assert (page.status_code, alert(page)) == (200, text)


def test_locked_account_cannot_sign_in(visitor, person):
    visitor.control("PATCH", f"accounts/{person['email']}", {"locked": True})
    text = "Your account has been locked. Contact your support person to unlock it, then try again."
    assert alert(signed_in_as(visitor, person)) == text


def test_email_address_is_taken_in_any_case(visitor, person):
    assert "code" in answer(visitor.sign_in(email=person["email"].upper(), password=person["password"]))


def test_login_hint_fills_in_the_address(visitor):
    page = visitor.authorize(login_hint="hint@example.com")
    assert re.search(r'id="email"[^>]*value="hint@example.com"', page.text)


def test_ui_locales_changes_the_language(visitor):
    page = visitor.authorize(ui_locales="fr-FR en")
    assert '<html lang="fr">' in page.text
    assert "Se connecter" in page.text


@pytest.mark.parametrize(
    ("accepted", "ui_locales", "lang"),
    [
        pytest.param("fr-CA, en;q=0.5", None, "fr", id="the browser's"),
        pytest.param("en;q=0.5, fr;q=0.9", None, "fr", id="the one liked best"),
        pytest.param("de, fr;q=0.5", None, "fr", id="the first there is"),
        pytest.param("fr;q=0, de", None, "en", id="not the one refused"),
        pytest.param("*", None, "en", id="any"),
        pytest.param("fr", "en", "en", id="the app's before the browser's"),
    ],
)
def test_sign_in_page_follows_the_browsers_language(visitor, accepted, ui_locales, lang):
    visitor.http.headers["Accept-Language"] = accepted
    assert f'<html lang="{lang}">' in visitor.authorize(ui_locales=ui_locales).text


def test_domain_hint_is_accepted(visitor):
    assert "code" in answer(visitor.sign_in(domain_hint="google.com"))


def test_cancel_goes_back_to_the_app(visitor):
    response = visitor.submit(visitor.authorize(), cancel="1")
    assert error_code(response) == ("access_denied", "AADB2C90091")


def test_forgotten_password_is_reported_to_the_app(visitor):
    response = visitor.click(visitor.authorize(), "forgotPassword")
    assert error_code(response) == ("access_denied", "AADB2C90118")
    assert answer(response)["state"] == "some-state"


def test_form_from_another_site_is_refused(visitor):
    page = visitor.authorize()
    response = visitor.http.post(page.url, data={"email": "a"}, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403


def test_a_person_without_a_name_is_called_unknown(visitor, person):
    visitor.control("PATCH", f"accounts/{person['email']}", {"display_name": ""})
    code = answer(signed_in_as(visitor, person))["code"]
    assert claims(visitor.redeem(code).json()["id_token"])["name"] == "unknown"


# --- single sign-on and signing out


@pytest.mark.parametrize("user_flow", [SIGN_IN, EDIT])
def test_signed_in_once_is_signed_in_for_every_user_flow(visitor, user_flow):
    visitor.sign_in()
    response = visitor.authorize(user_flow)
    if user_flow == EDIT:
        response = visitor.submit(response, displayName="Ada Example", **{"continue": "1"})
    assert "code" in answer(response)


def test_auth_time_is_that_of_the_sign_in(visitor):
    visitor.sign_in()
    visitor.control("PUT", "clock", {"offset": 100})
    token = claims(visitor.tokens()["id_token"])
    assert 99 <= token["iat"] - token["auth_time"] <= 102


def test_session_ends_after_a_day(visitor):
    visitor.sign_in()
    visitor.control("PUT", "clock", {"offset": 86500})
    assert visitor.authorize().status_code == 200


def test_prompt_login_asks_for_the_password_again(visitor):
    visitor.sign_in()
    page = visitor.authorize(prompt="login")
    assert 'id="password"' in page.text


def test_prompt_login_then_editing_ends_at_the_app(visitor):
    visitor.sign_in()
    form = visitor.sign_in(EDIT, prompt="login")
    assert "code" in answer(visitor.submit(form, displayName="Ada Example", **{"continue": "1"}))


def test_prompt_none_is_silent_with_a_session(visitor):
    visitor.sign_in()
    assert "code" in answer(visitor.authorize(prompt="none"))


@pytest.mark.parametrize("user_flow", [EDIT, RESET])
def test_prompt_none_cannot_show_a_form(visitor, user_flow):
    visitor.sign_in()
    response = visitor.authorize(user_flow, prompt="none")
    assert error_code(response) == ("interaction_required", "AADB2C90077")


def sign_out(visitor, **params):
    return visitor.get(visitor.endpoint("oauth2/v2.0/logout"), params=params)


def test_sign_out_returns_with_the_state(visitor, tenant):
    response = sign_out(
        visitor,
        client_id=tenant.settings["CLIENT_ID"],
        post_logout_redirect_uri="http://localhost:1234/",
        state="bye now",
    )
    assert response.headers["Location"] == "http://localhost:1234/?state=bye+now"


@pytest.mark.parametrize("proof", ["client_id", "id_token_hint"])
def test_sign_out_that_names_the_app_ends_the_session(visitor, tenant, proof):
    params = {"client_id": tenant.settings["CLIENT_ID"], "id_token_hint": visitor.tokens()["id_token"]}
    sign_out(visitor, **{proof: params[proof]})
    assert visitor.authorize().status_code == 200


def test_sign_out_that_does_not_name_the_app_keeps_the_session(visitor):
    visitor.sign_in()
    assert sign_out(visitor, post_logout_redirect_uri="http://localhost:1234/").status_code == 302
    assert "code" in answer(visitor.authorize())


def test_old_cookie_is_worth_nothing_after_sign_out(visitor, tenant):
    visitor.sign_in()
    cookies = visitor.http.cookies.copy()
    sign_out(visitor, client_id=tenant.settings["CLIENT_ID"])
    visitor.http.cookies = cookies
    assert visitor.authorize().status_code == 200


def test_sign_out_without_an_address_shows_a_page(visitor):
    response = sign_out(visitor)
    assert (response.status_code, "You are signed out" in response.text) == (200, True)


@pytest.mark.parametrize(
    "target", ["nowhere", "javascript:alert(1)", "http://a\r\nb/", "http://[", "http:///x"]
)
def test_malformed_return_address_ends_on_a_page(visitor, target):
    response = sign_out(visitor, post_logout_redirect_uri=target)
    assert (response.status_code, "AADB2C90067" in response.text) == (400, True)


@pytest.mark.parametrize(
    ("hint", "target", "outcome"),
    [
        pytest.param("none", REDIRECT_URI, (400, "AADB2C90272"), id="no hint"),
        pytest.param("bad", REDIRECT_URI, (400, "AADB2C90210"), id="bad hint"),
        pytest.param("good", "https://elsewhere.example/", (400, "AADB2C90006"), id="unregistered address"),
        pytest.param("good", REDIRECT_URI, (302, None), id="all right"),
    ],
)
def test_sign_out_with_a_required_hint(visitor, hint, target, outcome):
    visitor.control("PATCH", "options", {"require_id_token_hint": True})
    good = visitor.tokens()["id_token"]
    hints = {"none": {}, "bad": {"id_token_hint": "x.y.z"}, "good": {"id_token_hint": good}}
    response = sign_out(visitor, post_logout_redirect_uri=target, **hints[hint])
    found = re.search("AADB2C[0-9]+", response.text)
    assert (response.status_code, found and found[0]) == outcome


# --- signing up


@pytest.fixture
def newcomer():
    """An address nobody has."""
    return f"{uuid.uuid4()}@example.com"


def sign_up_page(visitor):
    return visitor.click(visitor.authorize(), "createAccount")


def test_sign_up_with_a_mailed_code(visitor, newcomer):
    page = proven(visitor, sign_up_page(visitor), newcomer)
    response = visitor.submit(page, **GOOD, givenName="Grace", surname="Hopper", city="Leeds", create="1")
    token = claims(visitor.redeem(answer(response)["code"]).json()["id_token"])
    assert (token["name"], token["given_name"], token["family_name"], token["city"]) == (
        "Grace Example",
        "Grace",
        "Hopper",
        "Leeds",
    )
    assert (token["emails"], token["newUser"]) == ([newcomer], True)


def test_account_signs_in_after_sign_up(visitor, tenant, newcomer):
    visitor.submit(proven(visitor, sign_up_page(visitor), newcomer), **GOOD, create="1")
    response = Visitor(tenant).sign_in(email=newcomer, password="Another-1")
    assert "code" in answer(response)


def test_code_arrives_on_the_mailbox_page(visitor, newcomer):
    visitor.submit(sign_up_page(visitor), email=newcomer, sendCode="1")
    text = visitor.get(visitor.tenant.url + "/mailbox").text
    assert visitor.mailed_code(newcomer) in text
    assert newcomer in text


def test_create_before_verification_is_refused(visitor, newcomer):
    assert alert(visitor.submit(sign_up_page(visitor), email=newcomer, **GOOD, create="1")) == SEND_FIRST


def test_taken_address_is_refused_at_the_end(visitor, person):
    page = proven(visitor, sign_up_page(visitor), person["email"])
    text = "A user with the specified ID already exists. Please choose a different one."
    assert alert(visitor.submit(page, **GOOD, create="1")) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(
            {"reenterPassword": "Other-1x"}, "The password entry fields do not match. ", id="differ"
        ),
        pytest.param(
            {"newPassword": "Sh0rt-1", "reenterPassword": "Sh0rt-1"}, "The password must be", id="short"
        ),
        pytest.param({"newPassword": "x" * 9, "reenterPassword": "x" * 9}, "The password must be", id="weak"),
        pytest.param(
            {"newPassword": "Aa1" * 22, "reenterPassword": "Aa1" * 22}, "The password must be", id="long"
        ),
        pytest.param({"newPassword": ""}, MISSING, id="no password"),
        pytest.param({"displayName": " "}, MISSING, id="no name"),
    ],
)
def test_unfit_entries_are_refused(visitor, newcomer, changes, text):
    page = proven(visitor, sign_up_page(visitor), newcomer)
    assert alert(visitor.submit(page, **(GOOD | changes), create="1")).startswith(text)


@pytest.mark.parametrize("email", ["", "nobody", "a b@example.com", "a@b"])
def test_unfit_address_gets_no_code(visitor, email):
    page = visitor.submit(sign_up_page(visitor), email=email, sendCode="1")
    assert alert(page) == "Please enter a valid email address."


def test_wrong_code_is_refused(visitor, newcomer):
    page = visitor.submit(sign_up_page(visitor), email=newcomer, sendCode="1")
    page = visitor.submit(page, code="nonsense", verifyCode="1")
    assert alert(page) == "That code is incorrect. Please try again."


def test_sixth_try_is_one_too_many(visitor, newcomer):
    page = visitor.submit(sign_up_page(visitor), email=newcomer, sendCode="1")
    for _ in range(5):
        page = visitor.submit(page, code="nonsense", verifyCode="1")
    page = visitor.submit(page, code=visitor.mailed_code(newcomer), verifyCode="1")
    assert alert(page) == "You've made too many incorrect attempts. Please try again later."


def test_code_expires_after_ten_minutes(visitor, newcomer):
    page = visitor.submit(sign_up_page(visitor), email=newcomer, sendCode="1")
    visitor.control("PUT", "clock", {"offset": 601})
    page = visitor.submit(page, code=visitor.mailed_code(newcomer), verifyCode="1")
    assert alert(page) == "That code is expired. Please request a new code."


def test_eleventh_code_is_not_sent(visitor):
    page = sign_up_page(visitor)
    for _ in range(11):
        page = visitor.submit(page, email="often@example.com", sendCode="1")
    assert alert(page).startswith("There have been too many requests to verify this email address.")


def test_cancel_on_the_sign_up_page_goes_back_to_the_app(visitor):
    assert error_code(visitor.submit(sign_up_page(visitor), cancel="1")) == ("access_denied", "AADB2C90091")


def test_what_was_typed_is_escaped(visitor):
    page = visitor.submit(sign_up_page(visitor), email='"><script>', displayName="<b>", create="1")
    assert "<script>" not in page.text
    assert "<b>" not in page.text


# --- resetting the password


def test_reset_with_a_mailed_code(visitor, tenant, person):
    page = proven(visitor, visitor.authorize(RESET), person["email"])
    passwords = {"newPassword": "Brand-new-2", "reenterPassword": "Brand-new-2"}
    response = visitor.submit(page, **passwords, **{"continue": "1"})
    token = claims(visitor.redeem(answer(response)["code"], RESET).json()["id_token"])
    assert (token["sub"], token["tfp"]) == (person["sub"], RESET)
    assert "code" in answer(Visitor(tenant).sign_in(email=person["email"], password="Brand-new-2"))


def test_reset_ends_the_old_password(visitor, tenant, person):
    page = proven(visitor, visitor.authorize(RESET), person["email"])
    visitor.submit(page, newPassword="Brand-new-2", reenterPassword="Brand-new-2", **{"continue": "1"})
    assert alert(signed_in_as(Visitor(tenant), person)) == "Your password is incorrect."


def test_reset_revokes_earlier_refresh_tokens(visitor, person):
    code = answer(signed_in_as(visitor, person))["code"]
    refresh_token = visitor.redeem(code).json()["refresh_token"]
    page = proven(visitor, visitor.authorize(RESET), person["email"])
    visitor.submit(page, newPassword="Brand-new-2", reenterPassword="Brand-new-2", **{"continue": "1"})
    assert error_code(visitor.refresh(refresh_token)) == ("invalid_grant", "AADB2C90129")


def test_reset_signs_in_at_the_tenant(visitor, person):
    page = proven(visitor, visitor.authorize(RESET), person["email"])
    visitor.submit(page, newPassword="Brand-new-2", reenterPassword="Brand-new-2", **{"continue": "1"})
    assert "code" in answer(visitor.authorize(prompt="none"))


def test_reset_of_an_unknown_address_says_so_after_the_code(visitor):
    page = proven(visitor, visitor.authorize(RESET), "unknown@example.com")
    assert alert(page) == "An account could not be found for the provided user ID."


def test_reset_wants_the_code_first(visitor, person):
    fields = {"newPassword": "Brand-new-2", "reenterPassword": "Brand-new-2", "continue": "1"}
    assert alert(visitor.submit(visitor.authorize(RESET), email=person["email"], **fields)) == SEND_FIRST


def test_reset_does_not_unlock_a_locked_account(visitor, person):
    visitor.control("PATCH", f"accounts/{person['email']}", {"locked": True})
    page = proven(visitor, visitor.authorize(RESET), person["email"])
    assert alert(page).startswith("Your account has been locked.")


def test_cancelled_reset_goes_back_to_the_app(visitor):
    assert error_code(visitor.submit(visitor.authorize(RESET), cancel="1")) == (
        "access_denied",
        "AADB2C90091",
    )


# --- editing the profile


def test_edit_returns_the_new_values(visitor, person):
    signed_in_as(visitor, person)
    fields = {
        "displayName": "Grace H.",
        "givenName": "Grace",
        "surname": "H.",
        "city": "York",
        "continue": "1",
    }
    response = visitor.submit(visitor.authorize(EDIT), **fields)
    token = claims(visitor.redeem(answer(response)["code"], EDIT).json()["id_token"])
    assert (token["name"], token["city"], token["tfp"], token["sub"]) == (
        "Grace H.",
        "York",
        EDIT,
        person["sub"],
    )


def test_edit_asks_strangers_to_sign_in_first(visitor, person):
    form = signed_in_as(visitor, person, EDIT)
    assert 'value="Grace"' in form.text
    assert "code" in answer(visitor.submit(form, displayName="Grace", **{"continue": "1"}))


def test_second_tabs_sign_in_form_leads_to_the_edit_form(visitor, person):
    left_open = visitor.authorize(EDIT)
    signed_in_as(visitor, person)
    page = visitor.submit(left_open, email=person["email"], password=person["password"], next="1")
    assert re.search(r'id="displayName"[^>]*value="Grace"', page.text)


def test_edit_wants_a_name(visitor, person):
    signed_in_as(visitor, person)
    assert alert(visitor.submit(visitor.authorize(EDIT), displayName="", **{"continue": "1"})) == MISSING


def test_cancelled_edit_changes_nothing(visitor, person):
    signed_in_as(visitor, person)
    response = visitor.submit(visitor.authorize(EDIT), displayName="Changed", cancel="1")
    assert error_code(response) == ("access_denied", "AADB2C90091")
    names = {account["email"]: account["display_name"] for account in visitor.control("GET", "accounts")}
    assert names[person["email"]] == "Grace"


# --- every page


@pytest.mark.parametrize("path", ["/", "/mailbox", "/nothing"])
def test_pages_say_what_they_are_and_need_nothing_from_elsewhere(visitor, path):
    response = visitor.get(visitor.tenant.url + path)
    assert "for development only" in response.text
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', response.text)
