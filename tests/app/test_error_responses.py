"""Errors that the tenant sends instead of a code or of tokens."""

import re

import pytest
import requests

from tests.helpers.app import ServeApp, failures
from tests.helpers.browser import (
    Browser,
    assert_page,
    parameters,
    with_query,
)
from tests.helpers.engine import entra_codes_without_words, known_b2c_codes, known_entra_codes
from tests.helpers.processes import ROOT
from tests.helpers.tenant import Tenant

MARKUP = """"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}"""

REFERENCE = "0f0e0d0c-1a2b-4c3d-8e9f-a0b1c2d3e4f5"


def raw_text(code: str, text: str = "Raw text of the tenant.") -> str:
    """An error_description in B2C's layout."""
    return f"{code}: {text}\r\nCorrelation ID: {REFERENCE}\r\nTimestamp: 2030-01-01 00:00:00Z\r\n"


def bare_error(browser: Browser, **error: str) -> requests.Response:
    """Come back from the tenant with an error, without having been there."""
    browser.get("/login", follow=False)
    state = parameters(browser.location)["state"]
    return browser.get(with_query(f"{browser.app_url}/getAToken", state=state, **error), follow=False)


# Microsoft Learn, "Error codes: Azure Active Directory B2C". The page's status, and a word on it.
CODES = {
    "AADB2C90006": (502, "{redirect_uri}"),
    "AADB2C90007": (502, "{redirect_uri}"),
    "AADB2C90008": (502, "CLIENT_ID"),
    "AADB2C90012": (502, "{scope}"),
    "AADB2C90018": (502, "CLIENT_ID"),
    "AADB2C90055": (502, "{scope}"),
    "AADB2C90057": (502, "registration"),
    "AADB2C90066": (502, "user flow"),
    "AADB2C90068": (502, "registered"),
    "AADB2C90077": (401, "sign in again"),
    "AADB2C90079": (502, "CLIENT_SECRET"),
    "AADB2C90080": (401, "sign in again"),
    "AADB2C90081": (502, "CLIENT_SECRET"),
    "AADB2C90084": (502, "{redirect_uri}"),
    "AADB2C90085": (503, "account types"),
    "AADB2C90088": (401, "SIGNUPSIGNIN_USER_FLOW"),
    "AADB2C90092": (502, "disabled"),
    "AADB2C90114": (403, "locked"),
    "AADB2C90117": (502, "{scope}"),
    "AADB2C90119": (403, "too many"),
    "AADB2C90121": (401, "sign in again"),
    "AADB2C90128": (401, "no longer exists"),
    "AADB2C90129": (401, "sign in again"),
    "AADB2C90146": (502, "{scope}"),
    "AADB2C90205": (502, "{scope}"),
    "AADB2C90229": (503, "throttle"),
    "AADB2C90244": (503, "throttle"),
    "AADB2C90273": (502, "provider"),
    "AADB2C90285": (502, "CLIENT_ID"),
    "AADB2C90287": (502, "{redirect_uri}"),
    "AADB2C99059": (502, "{redirect_uri}"),
}
NO_FAULTS = ["AADB2C90118", "AADB2C90091"]  # a forgotten password and a cancelled sign-in


def assert_explained(browser: Browser, code: str, log: list[str]) -> None:
    """The page and one line of the log name the code and the tenant's reference; the page not its text."""
    status, word = CODES[code]
    settings = {"redirect_uri": f"{browser.app_url}/getAToken", "scope": browser.tenant.settings["SCOPE"]}
    assert_page(browser.page, status)
    assert word.format(**settings).lower() in browser.text.lower()
    assert REFERENCE in browser.text
    assert code in browser.text
    assert "Raw text of the tenant" not in browser.page.text
    [line] = log
    assert REFERENCE in line
    assert code in line
    assert "Raw text of the tenant" in line
    assert "\n" not in line
    assert browser.signed_in_as() is None


@pytest.mark.parametrize("code", CODES)
def test_every_known_code_has_its_page(browser: Browser, caplog: pytest.LogCaptureFixture, code: str) -> None:
    bare_error(browser, error="invalid_request", error_description=raw_text(code))

    assert_explained(browser, code, failures(caplog))


@pytest.mark.parametrize("code", ["AADB2C90081", "AADB2C90080", "AADB2C90229"])
def test_a_code_of_the_token_endpoint_has_the_same_page(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    members = {"error": "invalid_request", "error_description": raw_text(code)}
    url = browser.callback_url()
    tenant.misbehave(token={"status": 400, "body": members, "content_type": "application/json"})
    browser.get(url, follow=False)

    assert_explained(browser, code, failures(caplog))


@pytest.mark.parametrize(
    "error, status",
    [
        ("redirect_uri_mismatch", 502),
        ("invalid_client", 502),
        ("unauthorized_client", 502),
        ("invalid_scope", 502),
        ("invalid_request", 502),
        ("unsupported_response_type", 502),
        ("server_error", 503),
        ("temporarily_unavailable", 503),
        ("login_required", 401),
        ("interaction_required", 401),
        ("what_is_this", 502),
        ("", 502),
    ],
)
def test_an_error_without_a_known_code_has_a_page_too(
    browser: Browser, caplog: pytest.LogCaptureFixture, error: str, status: int
) -> None:
    bare_error(browser, error=error, error_description="Raw text of the tenant.")

    assert_page(browser.page, status)
    assert "Raw text of the tenant" not in browser.page.text
    [reference] = re.findall(r"Reference: ([0-9a-f-]{36})", browser.text)
    [line] = failures(caplog)
    assert reference in line


def test_an_unknown_code_is_not_taken_for_a_cancelled_sign_in(browser: Browser) -> None:
    bare_error(browser, error="access_denied", error_description=raw_text("AADB2C90151"))

    assert_page(browser.page, 502)
    assert REFERENCE in browser.text


@pytest.mark.parametrize(
    "iss, description",
    [
        pytest.param("https://evil.example/v2.0/", "AADB2C90118: x", id="foreign, password forgotten"),
        pytest.param("https://evil.example/v2.0/", "AADB2C90091: x", id="foreign, cancelled"),
        pytest.param("https://evil.example/v2.0/", "", id="foreign, no code"),
        pytest.param("", "AADB2C90118: x", id="empty, password forgotten"),
    ],
)
def test_an_error_of_another_issuer_neither_cancels_nor_resets(
    browser: Browser, tenant: Tenant, iss: str, description: str
) -> None:
    """RFC 9207 section 2.4."""
    bare_error(browser, error="access_denied", error_description=description, iss=iss)

    assert_page(browser.page, 400)
    assert "Location" not in browser.page.headers
    assert not [name for name in browser.cookies if name != "signin_session"]
    assert tenant.seen("authorize") == []


def test_access_denied_alone_is_a_cancelled_sign_in(browser: Browser) -> None:
    bare_error(browser, error="access_denied", error_description="The user has denied access.")

    assert browser.page.status_code == 303
    assert browser.location == "/"


def assert_silent_about(text: str, browser: Browser, log: list[str]) -> None:
    """The text is not on the page, sets no cookie, and is at most a part of one line of the log."""
    assert text not in browser.page.text
    assert "<script>" not in browser.page.text
    assert "Call 555" not in browser.text
    assert "evil" not in browser.page.headers.get("Set-Cookie", "")
    [line] = log
    assert "\n" not in line
    assert "\r" not in line
    assert len(line) < 1000


LONG_STORIES = [
    pytest.param(MARKUP, id="markup"),
    pytest.param("x\r\nSet-Cookie: signin_session=evil\r\n\r\n<script>", id="CRLF"),
    pytest.param("javascript:alert(1)", id="script address"),
    pytest.param("Call 555-0100 to unlock your account", id="phishing"),
    pytest.param("\0\u202e\ud7ff\u20ac", id="odd characters"),
]


@pytest.mark.parametrize("text", [*LONG_STORIES, pytest.param("x" * 40_000, id="long")])
def test_an_error_text_is_never_on_the_page_and_never_a_line_of_the_log(
    browser: Browser, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    bare_error(browser, error=text[:200], error_description=text, error_uri=text[:200])

    assert_page(browser.page, 502)
    assert_silent_about(text, browser, failures(caplog))


def test_an_error_text_without_a_pending_sign_in_is_never_on_the_page(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    text = "<script>Call 555-0100</script>\r\nSet-Cookie: signin_session=evil"
    browser.get(with_query("/getAToken", state="x", error=text, error_description=text), follow=False)

    assert_page(browser.page, 400)
    assert_silent_about(text, browser, failures(caplog))


@pytest.mark.parametrize("text", [*LONG_STORIES, pytest.param("x" * 100_000, id="100 kB")])
def test_an_error_text_of_the_token_endpoint_is_never_on_the_page(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    members = {"error": text[:200], "error_description": text, "error_uri": text}
    tenant.misbehave(token={"status": 400, "body": members, "content_type": "application/json"})

    browser.sign_in()

    assert_page(browser.page, 502)
    assert_silent_about(text, browser, failures(caplog))


@pytest.mark.parametrize("state", [None, "", "x"], ids=["no state", "empty state", "unknown state"])
def test_a_forgotten_password_without_a_pending_sign_in_starts_no_reset(
    browser: Browser, tenant: Tenant, state: str | None
) -> None:
    url = with_query(
        f"{browser.app_url}/getAToken",
        error="access_denied",
        error_description=raw_text("AADB2C90118"),
        state=state,
    )

    answer = browser.get(url, follow=False)

    assert_page(answer, 400)
    assert "Location" not in answer.headers
    assert tenant.seen("authorize") == []


def test_endless_forgotten_passwords_end_on_a_page(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(authorize={"error": {"code": "AADB2C90118"}})

    browser.get("/login")

    assert_page(browser.page, 400)
    assert "several times" in browser.text
    assert len(tenant.seen("authorize")) <= 7


def test_a_forgotten_password_without_a_reset_user_flow_is_a_page(
    serve_app: ServeApp, tenant: Tenant
) -> None:
    app = serve_app(RESETPASSWORD_USER_FLOW="")
    with Browser(app.url, tenant) as browser:
        browser.get("/login")
        browser.click("forgotPassword")

        assert_page(browser.page, 400)
        assert "Reset your password" in browser.text
        assert "RESETPASSWORD_USER_FLOW" in browser.text


def test_every_code_that_the_app_knows_has_its_test() -> None:
    assert known_b2c_codes() == {*CODES, *NO_FAULTS}


def test_every_code_of_entra_has_words() -> None:
    assert entra_codes_without_words() == set()


def test_the_documentation_lists_exactly_the_codes_that_the_app_knows() -> None:
    listed = re.findall(r"^\| (AAD[A-Z0-9]+) \| \S", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)

    assert sorted(listed) == sorted(known_b2c_codes() | known_entra_codes())
