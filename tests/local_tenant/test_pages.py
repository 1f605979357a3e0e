"""The pages of the local tenant, used as a person does."""

import re
import uuid

import pytest
import requests

from local_tenant import LocalTenant
from tests.local_tenant.conftest import REDIRECT_URI
from tests.local_tenant.visitor import (
    EDIT,
    RESET,
    SECONDS,
    SIGN_IN,
    Visitor,
    claims,
    error_code,
    field_error,
    found,
    parameters,
)

Account = dict[str, str]

NEW_PASSWORD = {"newPassword": "Another-1", "reenterPassword": "Another-1"}
NEW_ACCOUNT = NEW_PASSWORD | {"displayName": "Grace Example", "create": "1"}
CONTINUE = {"continue": "1"}
SEND_FIRST = "Verification is necessary. Please click Send button."
MISSING = "A required field is missing. Please fill out all required fields and try again."
WEAK = (
    "The password must be between 8 and 64 characters and contain 3 out of 4 of the following: "
    "lowercase characters, uppercase characters, digits (0-9), and symbols."
)
LOCKED = "Your account has been locked. Contact your support person to unlock it, then try again."
RETURN_ADDRESS = "http://localhost:1234/"


@pytest.fixture
def newcomer() -> str:
    """An address without an account."""
    return f"{uuid.uuid4()}@example.com"


# --- signing in


@pytest.mark.parametrize(
    ("email", "password", "field", "text"),
    [
        pytest.param(
            "ada@example.com", "Wrong-1", "password", "Your password is incorrect.", id="wrong password"
        ),
        pytest.param(
            "no@example.com", "x", "email", "We can't seem to find your account.", id="unknown address"
        ),
        pytest.param("", "x", "email", "Please enter your email", id="no address"),
        pytest.param("ada@example.com", "", "password", "Please enter your password", id="no password"),
    ],
)
def test_a_refused_sign_in_says_why_at_the_field(
    visitor: Visitor, email: str, password: str, field: str, text: str
) -> None:
    page = visitor.submit(visitor.authorize(), email=email, password=password, next="1")
    assert (page.status_code, field_error(page)) == (200, (field, text))


def test_a_page_with_an_error_says_so_in_its_title_and_focuses_the_field(visitor: Visitor) -> None:
    page = visitor.submit(visitor.authorize(), email="", next="1")
    assert "<title>Error: Sign in · " in page.text
    assert re.findall(r'<input id="(\w+)"[^>]* autofocus', page.text) == ["email"]


def test_a_locked_account_cannot_sign_in(visitor: Visitor, account: Account) -> None:
    visitor.control("PATCH", f"accounts/{account['email']}", {"locked": True})
    page = visitor.sign_in(email=account["email"], password=account["password"])
    assert field_error(page) == ("email", LOCKED)


def test_an_address_is_taken_in_any_case(visitor: Visitor, account: Account) -> None:
    answer = visitor.sign_in(email=account["email"].upper(), password=account["password"])
    assert "code" in parameters(answer)


def test_login_hint_fills_in_the_address(visitor: Visitor) -> None:
    page = visitor.authorize(login_hint="hint@example.com")
    assert found(r'id="email"[^>]*value="(.*?)"', page) == "hint@example.com"


@pytest.mark.parametrize(
    ("ui_locales", "accepted", "lang"),
    [
        pytest.param("fr-FR en", None, "fr", id="the app's"),
        pytest.param(None, "fr-CA, en;q=0.5", "fr", id="the browser's"),
        pytest.param(None, "en;q=0.5, fr;q=0.9", "fr", id="the preferred one"),
        pytest.param(None, "de, fr;q=0.5", "fr", id="the first that is known"),
        pytest.param(None, "fr;q=0, de", "en", id="not the refused one"),
        pytest.param("en", "fr", "en", id="the app's before the browser's"),
    ],
)
def test_the_sign_in_page_speaks_the_language_asked_for(
    visitor: Visitor, ui_locales: str | None, accepted: str | None, lang: str
) -> None:
    visitor.http.headers["Accept-Language"] = accepted or "*"
    page = visitor.authorize(ui_locales=ui_locales)
    assert f'<html lang="{lang}">' in page.text
    assert {"en": "Sign up now", "fr": "Inscrivez-vous maintenant"}[lang] in page.text


def test_domain_hint_is_accepted(visitor: Visitor) -> None:
    assert "code" in parameters(visitor.sign_in(domain_hint="google.com"))


def test_a_forgotten_password_is_reported_to_the_app(visitor: Visitor) -> None:
    answer = visitor.click(visitor.authorize(), "forgotPassword")
    assert error_code(answer) == ("access_denied", "AADB2C90118")
    assert parameters(answer)["state"] == "some-state"


def test_a_form_from_another_site_is_refused(visitor: Visitor) -> None:
    page, headers = visitor.authorize(), {"Origin": "http://evil.example"}
    answer = visitor.http.post(page.url, data={"email": "a"}, headers=headers, timeout=SECONDS)
    assert answer.status_code == 403


def test_an_app_can_send_its_authorization_request_by_post(visitor: Visitor, tenant: LocalTenant) -> None:
    settings = tenant.settings
    sent = {"client_id": settings["CLIENT_ID"], "redirect_uri": settings["REDIRECT_URI"], "scope": "openid"}
    url, headers = visitor.page_url("oauth2/v2.0/authorize"), {"Origin": "http://localhost:1234"}
    answer = visitor.http.post(url, sent | {"response_type": "code"}, headers=headers, timeout=SECONDS)
    assert 'id="password"' in answer.text


def test_a_person_without_a_name_is_called_unknown(visitor: Visitor, account: Account) -> None:
    visitor.control("PATCH", f"accounts/{account['email']}", {"display_name": ""})
    code = parameters(visitor.sign_in(email=account["email"], password=account["password"]))["code"]
    assert claims(visitor.redeem(code).json()["id_token"])["name"] == "unknown"


# --- cancelling


@pytest.mark.parametrize("page", ["sign-in", "sign-up", "reset", "edit"])
def test_cancel_goes_back_to_the_app(visitor: Visitor, page: str) -> None:
    visitor.sign_in()
    forms = {
        "sign-in": lambda: visitor.authorize(prompt="login"),
        "sign-up": lambda: visitor.click(visitor.authorize(prompt="login"), "createAccount"),
        "reset": lambda: visitor.authorize(RESET),
        "edit": lambda: visitor.authorize(EDIT),
    }
    answer = visitor.submit(forms[page](), displayName="Changed", cancel="1")
    assert error_code(answer) == ("access_denied", "AADB2C90091")
    names = [account["display_name"] for account in visitor.control("GET", "accounts")]
    assert "Changed" not in names


# --- single sign-on


def test_who_is_signed_in_needs_no_password_in_any_user_flow(visitor: Visitor) -> None:
    visitor.sign_in()
    assert "code" in parameters(visitor.authorize(SIGN_IN))
    assert 'id="displayName"' in visitor.authorize(EDIT).text


def test_auth_time_is_that_of_the_sign_in(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.move_clock(100)
    code = parameters(visitor.authorize())["code"]
    id_token = claims(visitor.redeem(code).json()["id_token"])
    assert 99 <= id_token["iat"] - id_token["auth_time"] <= 110


def test_a_session_ends_after_a_day(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.move_clock(86500)
    assert 'id="password"' in visitor.authorize().text


def test_the_session_of_a_locked_account_ends(visitor: Visitor, account: Account) -> None:
    visitor.sign_in(email=account["email"], password=account["password"])
    visitor.control("PATCH", f"accounts/{account['email']}", {"locked": True})
    assert 'id="password"' in visitor.authorize().text


def test_prompt_login_asks_for_the_password_again(visitor: Visitor) -> None:
    visitor.sign_in()
    assert 'id="password"' in visitor.authorize(prompt="login").text


def test_prompt_login_asks_once_before_editing(visitor: Visitor, account: Account) -> None:
    form = visitor.sign_in(EDIT, account["email"], account["password"], prompt="login")
    assert "code" in parameters(visitor.submit(form, displayName="Grace", **CONTINUE))


def test_prompt_none_is_silent_with_a_session(visitor: Visitor) -> None:
    visitor.sign_in()
    assert "code" in parameters(visitor.authorize(prompt="none"))


@pytest.mark.parametrize("user_flow", [EDIT, RESET])
def test_prompt_none_cannot_show_a_form(visitor: Visitor, user_flow: str) -> None:
    visitor.sign_in()
    answer = visitor.authorize(user_flow, prompt="none")
    assert error_code(answer) == ("interaction_required", "AADB2C90077")


# --- signing out


def sign_out(visitor: Visitor, **sent: str) -> tuple[int, str, str]:
    """Status, address and text of the answer."""
    answer = visitor.get(visitor.page_url("oauth2/v2.0/logout"), **sent)
    return answer.status_code, answer.headers.get("Location", ""), answer.text


def test_sign_out_returns_with_the_state(visitor: Visitor) -> None:
    _, address, _ = sign_out(visitor, post_logout_redirect_uri=RETURN_ADDRESS, state="bye now")
    assert address == f"{RETURN_ADDRESS}?state=bye+now"


@pytest.mark.parametrize("named_by", ["client_id", "id_token_hint"])
def test_sign_out_that_names_the_app_ends_the_session(visitor: Visitor, named_by: str) -> None:
    id_token = visitor.tokens()["id_token"]
    cookies = visitor.http.cookies.copy()
    names = {"client_id": visitor.tenant.settings["CLIENT_ID"], "id_token_hint": id_token}
    sign_out(visitor, **{named_by: names[named_by]})
    visitor.http.cookies = cookies
    assert 'id="password"' in visitor.authorize().text


def test_sign_out_without_an_address_shows_a_page(visitor: Visitor) -> None:
    status, _, text = sign_out(visitor)
    assert (status, "You are signed out" in text) == (200, True)


@pytest.mark.parametrize(
    "address", ["nowhere", "javascript:alert(1)", "http://a\r\nb/", "http://[", "http:///x"]
)
def test_a_malformed_return_address_ends_on_a_page(visitor: Visitor, address: str) -> None:
    status, _, text = sign_out(visitor, post_logout_redirect_uri=address)
    assert (status, "AADB2C90067" in text) == (400, True)


@pytest.mark.parametrize(
    ("hint", "address", "code"),
    [
        pytest.param(None, REDIRECT_URI, "AADB2C90272", id="no hint"),
        pytest.param("x.y.z", REDIRECT_URI, "AADB2C90210", id="bad hint"),
        pytest.param("good", "https://elsewhere.example/", "AADB2C90006", id="unregistered address"),
    ],
)
def test_sign_out_with_a_required_hint_is_refused(
    visitor: Visitor, hint: str | None, address: str, code: str
) -> None:
    visitor.set_option(require_id_token_hint=True)
    hint = visitor.tokens()["id_token"] if hint == "good" else hint
    status, _, text = sign_out(
        visitor, post_logout_redirect_uri=address, **({"id_token_hint": hint} if hint else {})
    )
    assert (status, code in text) == (400, True)


def test_sign_out_with_a_required_hint_returns(visitor: Visitor) -> None:
    visitor.set_option(require_id_token_hint=True)
    hint = visitor.tokens()["id_token"]
    status, address, _ = sign_out(visitor, post_logout_redirect_uri=REDIRECT_URI, id_token_hint=hint)
    assert (status, address) == (302, REDIRECT_URI)


# --- proving an e-mail address: the same on the sign-up page and the reset page


def proven(visitor: Visitor, page: requests.Response, email: str) -> requests.Response:
    """The page after the address was proven on it."""
    page = visitor.submit(page, email=email, sendCode="1")
    return visitor.submit(page, code=visitor.mailed_code(email), verifyCode="1")


def test_a_code_arrives_on_the_mailbox_page(visitor: Visitor, newcomer: str) -> None:
    visitor.submit(visitor.authorize(RESET), email=newcomer, sendCode="1")
    mailbox = visitor.get(f"{visitor.tenant.url}/mailbox").text
    assert visitor.mailed_code(newcomer) in mailbox
    assert newcomer in mailbox


@pytest.mark.parametrize("email", ["", "nobody", "a b@example.com", "a@b"])
def test_what_is_no_address_gets_no_code(visitor: Visitor, email: str) -> None:
    page = visitor.submit(visitor.authorize(RESET), email=email, sendCode="1")
    assert field_error(page) == ("email", "Please enter a valid email address.")


def test_a_wrong_code_is_refused(visitor: Visitor, newcomer: str) -> None:
    page = visitor.submit(visitor.authorize(RESET), email=newcomer, sendCode="1")
    page = visitor.submit(page, code="nonsense", verifyCode="1")
    assert field_error(page) == ("code", "That code is incorrect. Please try again.")


def test_a_sixth_try_is_one_too_many(visitor: Visitor, newcomer: str) -> None:
    page = visitor.submit(visitor.authorize(RESET), email=newcomer, sendCode="1")
    for _ in range(5):
        page = visitor.submit(page, code="nonsense", verifyCode="1")
    page = visitor.submit(page, code=visitor.mailed_code(newcomer), verifyCode="1")
    assert field_error(page) == ("code", "You've made too many incorrect attempts. Please try again later.")


def test_a_code_expires_after_ten_minutes(visitor: Visitor, newcomer: str) -> None:
    page = visitor.submit(visitor.authorize(RESET), email=newcomer, sendCode="1")
    visitor.move_clock(601)
    page = visitor.submit(page, code=visitor.mailed_code(newcomer), verifyCode="1")
    assert field_error(page) == ("code", "That code is expired. Please request a new code.")


def test_an_eleventh_code_is_not_sent(visitor: Visitor, newcomer: str) -> None:
    page = visitor.authorize(RESET)
    for _ in range(11):
        page = visitor.submit(page, email=newcomer, sendCode="1")
    field, text = field_error(page)
    assert (field, text.partition(".")[0]) == (
        "email",
        "There have been too many requests to verify this email address",
    )


def test_the_address_can_be_changed(visitor: Visitor, newcomer: str) -> None:
    page = visitor.submit(visitor.authorize(RESET), email="typo@example.com", sendCode="1")
    page = visitor.submit(page, changeEmail="1")
    page = visitor.submit(page, email=newcomer, sendCode="1")
    assert found(r'id="email"[^>]*value="(.*?)"', page) == newcomer


# --- signing up


def sign_up_form(visitor: Visitor, email: str) -> requests.Response:
    return proven(visitor, visitor.click(visitor.authorize(), "createAccount"), email)


def test_signing_up_makes_an_account(visitor: Visitor, tenant: LocalTenant, newcomer: str) -> None:
    details = {"givenName": "Grace", "surname": "Hopper", "city": "Leeds"}
    answer = visitor.submit(sign_up_form(visitor, newcomer), **NEW_ACCOUNT, **details)
    id_token = claims(visitor.redeem(parameters(answer)["code"]).json()["id_token"])
    wanted = {
        "name": "Grace Example",
        "given_name": "Grace",
        "family_name": "Hopper",
        "city": "Leeds",
        "emails": [newcomer],
        "newUser": True,
    }
    assert wanted.items() <= id_token.items()
    again = visitor.sign_in(email=newcomer, password=NEW_PASSWORD["newPassword"], prompt="login")
    assert "code" in parameters(again)


def test_an_account_needs_a_proven_address(visitor: Visitor, newcomer: str) -> None:
    page = visitor.click(visitor.authorize(), "createAccount")
    page = visitor.submit(page, email=newcomer, **NEW_ACCOUNT)
    assert field_error(page) == ("email", SEND_FIRST)


def test_a_taken_address_is_refused_at_the_end(visitor: Visitor, account: Account) -> None:
    page = visitor.submit(sign_up_form(visitor, account["email"]), **NEW_ACCOUNT)
    text = "A user with the specified ID already exists. Please choose a different one."
    assert field_error(page) == ("email", text)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        pytest.param(
            {"reenterPassword": "Other-1x"},
            "reenterPassword",
            "The password entry fields do not match. "
            "Please enter the same password in both fields and try again.",
            id="different",
        ),
        pytest.param(
            {"newPassword": "Sh0rt-1", "reenterPassword": "Sh0rt-1"}, "newPassword", WEAK, id="short"
        ),
        pytest.param(
            {"newPassword": "x" * 9, "reenterPassword": "x" * 9}, "newPassword", WEAK, id="one kind"
        ),
        pytest.param(
            {"newPassword": "Aa1" * 22, "reenterPassword": "Aa1" * 22}, "newPassword", WEAK, id="long"
        ),
        pytest.param({"newPassword": ""}, "newPassword", MISSING, id="no password"),
        pytest.param({"displayName": " "}, "displayName", MISSING, id="no name"),
    ],
)
def test_wrong_entries_are_refused_at_their_fields(
    visitor: Visitor, newcomer: str, changes: dict[str, str], field: str, text: str
) -> None:
    page = visitor.submit(sign_up_form(visitor, newcomer), **(NEW_ACCOUNT | changes))
    assert field_error(page) == (field, text)


def test_what_was_typed_is_escaped(visitor: Visitor, newcomer: str) -> None:
    page = visitor.submit(sign_up_form(visitor, newcomer), displayName='"><script>', create="1")
    assert "&#34;&gt;&lt;script&gt;" in page.text
    assert "<script>" not in page.text


# --- resetting the password


def test_a_reset_replaces_the_password(visitor: Visitor, account: Account) -> None:
    form = proven(visitor, visitor.authorize(RESET), account["email"])
    answer = visitor.submit(form, **NEW_PASSWORD, **CONTINUE)
    id_token = claims(visitor.redeem(parameters(answer)["code"], RESET).json()["id_token"])
    assert (id_token["sub"], id_token["tfp"]) == (account["sub"], RESET)
    old = visitor.sign_in(email=account["email"], password=account["password"], prompt="login")
    assert field_error(old) == ("password", "Your password is incorrect.")
    new = visitor.sign_in(email=account["email"], password=NEW_PASSWORD["newPassword"], prompt="login")
    assert "code" in parameters(new)


def test_a_reset_revokes_earlier_refresh_tokens(visitor: Visitor, account: Account) -> None:
    code = visitor.code(email=account["email"], password=account["password"])
    refresh_token = visitor.redeem(code).json()["refresh_token"]
    visitor.submit(proven(visitor, visitor.authorize(RESET), account["email"]), **NEW_PASSWORD, **CONTINUE)
    assert error_code(visitor.refresh(refresh_token)) == ("invalid_grant", "AADB2C90129")


def test_a_reset_signs_in_at_the_tenant(visitor: Visitor, account: Account) -> None:
    visitor.submit(proven(visitor, visitor.authorize(RESET), account["email"]), **NEW_PASSWORD, **CONTINUE)
    assert "code" in parameters(visitor.authorize(prompt="none"))


def test_a_reset_for_an_unknown_address_says_so_after_the_code(visitor: Visitor, newcomer: str) -> None:
    page = proven(visitor, visitor.authorize(RESET), newcomer)
    assert field_error(page) == ("email", "An account could not be found for the provided user ID.")


def test_a_reset_needs_a_proven_address(visitor: Visitor, account: Account) -> None:
    page = visitor.submit(visitor.authorize(RESET), email=account["email"], **NEW_PASSWORD, **CONTINUE)
    assert field_error(page) == ("email", SEND_FIRST)


def test_a_reset_does_not_unlock_an_account(visitor: Visitor, account: Account) -> None:
    visitor.control("PATCH", f"accounts/{account['email']}", {"locked": True})
    page = proven(visitor, visitor.authorize(RESET), account["email"])
    assert field_error(page) == ("email", LOCKED)


# --- editing the profile


def test_editing_returns_the_new_values(visitor: Visitor, account: Account) -> None:
    visitor.sign_in(email=account["email"], password=account["password"])
    values = {"displayName": "Grace H.", "givenName": "Grace", "surname": "H.", "city": "York"}
    answer = visitor.submit(visitor.authorize(EDIT), **values, **CONTINUE)
    id_token = claims(visitor.redeem(parameters(answer)["code"], EDIT).json()["id_token"])
    wanted = {"name": "Grace H.", "city": "York", "tfp": EDIT, "sub": account["sub"]}
    assert wanted.items() <= id_token.items()


def test_editing_asks_strangers_to_sign_in_first(visitor: Visitor, account: Account) -> None:
    form = visitor.sign_in(EDIT, account["email"], account["password"])
    assert found(r'id="displayName"[^>]*value="(.*?)"', form) == "Grace"
    assert "code" in parameters(visitor.submit(form, displayName="Grace", **CONTINUE))


def test_the_sign_in_form_of_a_second_tab_leads_to_the_edit_form(visitor: Visitor, account: Account) -> None:
    left_open = visitor.authorize(EDIT)
    visitor.sign_in(email=account["email"], password=account["password"])
    page = visitor.submit(left_open, email=account["email"], password=account["password"], next="1")
    assert found(r'id="displayName"[^>]*value="(.*?)"', page) == "Grace"


def test_editing_wants_a_name(visitor: Visitor) -> None:
    visitor.sign_in()
    page = visitor.submit(visitor.authorize(EDIT), displayName="", city="York", **CONTINUE)
    assert field_error(page) == ("displayName", MISSING)
    assert found(r'id="city"[^>]*value="(.*?)"', page) == "York"


# --- every page


@pytest.mark.parametrize("path", ["/", "/mailbox", "/nothing"])
def test_pages_say_what_they_are_and_need_nothing_from_elsewhere(visitor: Visitor, path: str) -> None:
    page = visitor.get(visitor.tenant.url + path)
    assert "for development only" in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
