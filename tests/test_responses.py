"""Authorization responses and token responses that are wrong, late, or somebody else's.

Each ends on a page that says what to do, with the right status, and touches no session.
"""

import json
import re
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urljoin, urlsplit

import jwt
import pytest
import requests
from werkzeug.serving import make_server

import b2c
from tests.browser import Browser, Forms, parameters, with_query

MARKUP = """"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}"""
REFERENCE = "0f0e0d0c-1a2b-4c3d-8e9f-a0b1c2d3e4f5"


def raw_text(code: str, text: str = "Raw text of the tenant.") -> str:
    """An error_description in B2C's layout."""
    return f"{code}: {text}\r\nCorrelation ID: {REFERENCE}\r\nTimestamp: 2030-01-01 00:00:00Z\r\n"


def assert_page(answer: requests.Response, *statuses: int) -> None:
    """A readable page, or for one status several that are right."""
    assert answer.status_code in statuses
    page = Forms(answer.text)
    assert page.heading
    assert page.links


@pytest.fixture
def other(shared_app, tenant):
    """A second browser."""
    with Browser(shared_app.url, tenant) as other:
        yield other


@pytest.fixture
def warm(browser, tenant):
    """The app knows the tenant's metadata and keys already."""
    with Browser(browser.app_url, tenant) as first:
        first.sign_in()
    tenant.forget_requests()


# --- The state ----------------------------------------------------------------------------------------------

STATES = [
    pytest.param(lambda state: "nobody-began-this", id="unknown"),
    pytest.param(lambda state: None, id="missing"),
    pytest.param(lambda state: "", id="empty"),
    pytest.param(lambda state: [state, "evil"], id="doubled, ours first"),
    pytest.param(lambda state: ["evil", state], id="doubled, ours last"),
    pytest.param(lambda state: [state, state], id="doubled, the same"),
    pytest.param(lambda state: state[:-1], id="forged, shorter"),
    pytest.param(lambda state: state.swapcase(), id="forged, other case"),
    pytest.param(lambda state: "s" * 10_000, id="10 kB"),
    pytest.param(lambda state: state + "\0", id="NUL"),
    pytest.param(lambda state: "\u00fc\u20ac", id="not ASCII"),
    pytest.param(lambda state: "x\r\nSet-Cookie: b2c_session=evil", id="CRLF"),
    pytest.param(lambda state: "x; Path=/; b2c_session=evil", id="cookie syntax"),
    pytest.param(lambda state: "identity.web.no_op", id="another package's magic word"),
]


@pytest.mark.parametrize("forge", STATES)
def test_a_response_whose_state_does_not_fit_is_refused_and_harms_no_pending_flow(
    browser, tenant, caplog, forge
):
    url = browser.callback_url()

    answer = browser.get(with_query(url, state=forge(parameters(url)["state"])), follow=False)

    assert_page(answer, 400)
    assert "cannot be finished" in browser.text
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("token") == []
    assert len(failures(caplog)) == 1
    assert browser.signed_in_as() is None
    assert browser.get(url).status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the app logged about things that went wrong."""
    return [record.getMessage() for record in caplog.records if record.name == "app" and record.levelno > 20]


# --- Contradictory parameters -------------------------------------------------------------------------------

CONTRADICTIONS = [
    pytest.param({"error": "access_denied"}, id="code and error"),
    pytest.param({"error": ""}, id="code and an empty error"),
    pytest.param({"code": None}, id="neither"),
    pytest.param({"code": ["one", "two"]}, id="two codes"),
    pytest.param({"code": None, "error": ["server_error", "access_denied"]}, id="two errors"),
    pytest.param({"iss": "https://evil.example/v2.0/"}, id="foreign iss"),
    pytest.param({"iss": ""}, id="empty iss"),
    pytest.param({"iss": ["https://evil.example/", "https://evil.example/"]}, id="two iss"),
]


@pytest.mark.parametrize("changes", CONTRADICTIONS)
def test_a_contradictory_response_is_refused_without_a_token_request(browser, tenant, caplog, changes):
    url = with_query(browser.callback_url(), **changes)

    answer = browser.get(url, follow=False)

    assert_page(answer, 400)
    assert "start again" in browser.text
    assert tenant.seen("token") == []
    assert len(failures(caplog)) == 1
    assert browser.signed_in_as() is None


def test_a_response_that_names_the_right_issuer_signs_in(browser, tenant):
    issuer = requests.get(
        f"{tenant.tls_url}/localtenant.onmicrosoft.com/B2C_1_signupsignin1/v2.0/.well-known/openid-configuration",
        verify=tenant.settings["REQUESTS_CA_BUNDLE"],
        timeout=10,
    ).json()["issuer"]

    browser.get(with_query(browser.callback_url(), iss=issuer))

    assert browser.signed_in_as() == "Ada Lovelace"


def test_an_unknown_parameter_is_ignored(browser):
    browser.get(with_query(browser.callback_url(), session_state="x", admin="1"))

    assert browser.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("code", ["", "x", "\0", "\u00fc", "a" * 20_000, "x\r\ny"], ids=repr)
def test_a_made_up_code_ends_on_a_page(browser, code):
    browser.get(with_query(browser.callback_url(), code=code))

    assert_page(browser.page, 400, 401, 502)
    assert browser.signed_in_as() is None


# --- Other people's responses -------------------------------------------------------------------------------


def test_a_response_to_another_browser_is_refused_where_nothing_is_pending(browser, other, tenant):
    answer = other.get(browser.callback_url(), follow=False)

    assert_page(answer, 400)
    assert tenant.seen("token") == []
    assert other.signed_in_as() is None


def test_a_response_to_another_browser_leaves_a_pending_flow_alone(browser, other, tenant):
    mine, foreign = other.callback_url(), browser.callback_url()

    assert_page(other.get(foreign, follow=False), 400)

    assert tenant.seen("token") == []
    assert other.get(mine).status_code == 200
    assert other.signed_in_as() == "Ada Lovelace"


def test_a_response_to_another_browser_leaves_who_is_signed_in_alone(browser, other, tenant):
    other.sign_in()
    before = other.cookies
    mallory = tenant.add_account("Mallory")
    browser.get("/login")
    browser.submit("next", follow=False, email=mallory["email"], password=mallory["password"])
    tenant.forget_requests()

    answer = other.get(browser.page.headers["Location"], follow=False)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert tenant.seen("token") == []
    assert other.cookie("b2c_session") == before["b2c_session"]
    assert other.signed_in_as() == "Ada Lovelace"


def test_anothers_code_in_ones_own_response_is_refused_by_pkce(browser, other, tenant):
    stolen = parameters(browser.callback_url())["code"]
    mallory = tenant.add_account("Mallory")
    other.get("/login")
    other.submit("next", follow=False, email=mallory["email"], password=mallory["password"])

    other.get(with_query(other.page.headers["Location"], code=stolen))

    assert_page(other.page, 401)
    [token] = tenant.seen("token")
    assert token["status"] == 400
    assert token["form"]["code_verifier"]
    assert other.signed_in_as() is None


def test_anothers_code_in_ones_own_response_is_refused_by_the_nonce_alone(browser, other, tenant):
    tenant.option(pkce=False)
    stolen = parameters(browser.callback_url())["code"]
    mallory = tenant.add_account("Mallory")
    other.get("/login")
    other.submit("next", follow=False, email=mallory["email"], password=mallory["password"])

    other.get(with_query(other.page.headers["Location"], code=stolen))

    assert_page(other.page, 502)
    assert [token["status"] for token in tenant.seen("token")] == [200]
    assert other.signed_in_as() is None


def test_a_code_of_another_user_flow_is_refused(browser, tenant):
    """Mix-up: all user flows of a tenant share one redirect URI and one issuer."""
    browser.sign_in()
    browser.get("/edit_profile", follow=False)
    browser.follow()
    browser.submit("continue", follow=False, displayName="Mallory")
    code = parameters(browser.page.headers["Location"])["code"]
    url = browser.callback_url()
    tenant.forget_requests()
    session = browser.cookie("b2c_session")

    browser.get(with_query(url, code=code), follow=False)

    assert_page(browser.page, 400, 401)
    assert [token["status"] for token in tenant.seen("token")] == [400]
    assert tenant.seen("token")[0]["user_flow"] == "B2C_1_signupsignin1"
    assert browser.cookie("b2c_session") == session
    assert browser.signed_in_as() == "Ada Lovelace"


def test_a_code_of_the_sign_in_user_flow_edits_no_profile(browser, tenant):
    browser.sign_in()
    code = parameters(browser.callback_url())["code"]
    browser.get("/edit_profile", follow=False)
    state = parameters(browser.page.headers["Location"])["state"]

    browser.get(f"/getAToken?code={code}&state={state}", follow=False)

    assert_page(browser.page, 400, 401)
    assert browser.signed_in_as() == "Ada Lovelace"


def test_everything_is_fresh_in_every_authorization_request(browser):
    requested = []
    for _ in range(3):
        browser.get("/login", follow=False)
        requested.append(parameters(browser.page.headers["Location"]))

    for name in ("state", "nonce", "code_challenge"):
        values = {request[name] for request in requested}
        assert len(values) == 3
        assert min(map(len, values)) >= 16
    assert {request["code_challenge_method"] for request in requested} == {"S256"}
    assert {request["response_type"] for request in requested} == {"code"}


# --- The same response again --------------------------------------------------------------------------------


def test_the_same_response_again_leads_home_and_the_user_stays_signed_in(browser, tenant):
    """As the Back button sends it."""
    url = browser.callback_url()
    browser.get(url)
    session = browser.cookie("b2c_session")
    tenant.forget_requests()

    answer = browser.get(url, follow=False)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert browser.cookie("b2c_session") == session
    assert tenant.seen("token") == []
    assert browser.signed_in_as() == "Ada Lovelace"


def test_the_same_response_twice_at_once_signs_in_once(browser, tenant, warm):
    url = browser.callback_url()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Cookie": cookies, "Accept": "text/html"}

    def visit(_: int) -> requests.Response:
        return requests.get(url, headers=headers, allow_redirects=False, timeout=30)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(visit, range(4)))

    assert [answer.status_code for answer in answers].count(303) == 1
    assert {answer.status_code for answer in answers} == {303, 401}
    assert sorted(token["status"] for token in tenant.seen("token")) == [200, 400, 400, 400]
    assert len([answer for answer in answers if "b2c_session" in answer.cookies]) == 1


def test_the_same_response_after_sign_out_is_refused(browser, tenant):
    url = browser.callback_url()
    browser.get(url)
    browser.post("/logout")
    tenant.forget_requests()

    assert_page(browser.get(url, follow=False), 400)

    assert tenant.seen("token") == []
    assert browser.signed_in_as() is None


def test_a_response_after_a_failed_one_needs_a_new_start(browser, tenant):
    url = browser.callback_url()
    browser.get(with_query(url, code="wrong"))
    tenant.forget_requests()

    assert_page(browser.get(url, follow=False), 400)
    assert tenant.seen("token") == []


def test_a_flow_that_took_too_long_is_refused(browser, shared_app, tenant, monkeypatch):
    url = browser.callback_url()
    monkeypatch.setattr(shared_app.module, "FLOW_LIFETIME", -1)

    assert_page(browser.get(url, follow=False), 400)

    assert "half an hour" in browser.text
    assert tenant.seen("token") == []
    assert browser.signed_in_as() is None


@pytest.mark.parametrize(
    "method, headers, status",
    [
        pytest.param("HEAD", {}, 405, id="HEAD"),
        pytest.param("POST", {}, 405, id="POST"),
        pytest.param("OPTIONS", {}, 200, id="OPTIONS"),
        pytest.param("GET", {"Sec-Purpose": "prefetch"}, 503, id="prefetch"),
        pytest.param("GET", {"Sec-Purpose": "prefetch;prerender"}, 503, id="prerender"),
        pytest.param("GET", {"Purpose": "prefetch"}, 503, id="prefetch, older browsers"),
        pytest.param("GET", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 400, id="image"),
        pytest.param("GET", {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 400, id="fetch"),
    ],
)
@pytest.mark.parametrize("page", ["callback", "/login", "/reset_password"])
def test_whoever_is_not_a_person_visiting_spends_and_begins_no_flow(
    browser, tenant, page, method, headers, status
):
    url = browser.callback_url()
    path = url if page == "callback" else browser.app_url + page
    if method == "POST" and page != "callback":
        headers = headers | {"Origin": "https://evil.example"}

    answer = browser.http.request(method, path, headers=headers, allow_redirects=False)

    assert answer.status_code == status
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("token") == []
    assert browser.get(url).status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize(
    "method, headers, status",
    [
        pytest.param("HEAD", {}, 405, id="HEAD"),
        pytest.param("GET", {"Sec-Purpose": "prefetch"}, 503, id="prefetch"),
        pytest.param("GET", {"Sec-Purpose": "prefetch;prerender"}, 503, id="prerender"),
        pytest.param("GET", {"Purpose": "prefetch"}, 503, id="prefetch, older browsers"),
    ],
)
@pytest.mark.parametrize("page", ["/call_downstream_api", "/edit_profile"])
def test_a_page_that_needs_a_sign_in_begins_none_for_machines(browser, page, method, headers, status):
    answer = browser.http.request(method, browser.app_url + page, headers=headers, allow_redirects=False)

    assert answer.status_code == status
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers


# --- Error responses ----------------------------------------------------------------------------------------

PASSES = {"AADB2C90118", "AADB2C90091"}  # these two are no errors to the user


def bare_error(browser: Browser, **error: str) -> requests.Response:
    """Come back from the tenant with an error, without having been there."""
    browser.get("/login", follow=False)
    state = parameters(browser.page.headers["Location"])["state"]
    return browser.get(with_query(f"{browser.app_url}/getAToken", state=state, **error), follow=False)


@pytest.mark.parametrize("code", sorted(set(b2c.MEANINGS) - PASSES))
@pytest.mark.parametrize("leg", ["authorize", "token"])
def test_every_known_code_has_its_page(browser, tenant, caplog, leg, code):
    meaning = b2c.MEANINGS[code]
    members = {"error": "invalid_request", "error_description": raw_text(code)}
    if leg == "authorize":
        bare_error(browser, **members)
    else:
        url = browser.callback_url()
        tenant.misbehave(token={"status": 400, "body": members, "content_type": "application/json"})
        browser.get(url, follow=False)

    settings = {"redirect_uri": f"{browser.app_url}/getAToken", "scope": tenant.settings["SCOPE"]}
    assert_page(browser.page, meaning.problem.status)
    assert (meaning.advice or meaning.problem.advice) in browser.text
    assert (meaning.operator or meaning.problem.operator).format(**settings) in browser.text
    assert REFERENCE in browser.text
    assert code in browser.text
    assert "Raw text of the tenant" not in browser.page.text
    [line] = failures(caplog)
    assert REFERENCE in line
    assert code in line
    assert "Raw text of the tenant" in line
    assert "\n" not in line
    assert browser.signed_in_as() is None


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
def test_an_error_without_a_known_code_has_a_page_too(browser, caplog, error, status):
    bare_error(browser, error=error, error_description="Raw text of the tenant.")

    assert_page(browser.page, status)
    assert "Raw text of the tenant" not in browser.page.text
    [reference] = re.findall(r"Reference: ([0-9a-f-]{36})", browser.text)
    [line] = failures(caplog)
    assert reference in line


def test_an_unknown_code_is_not_taken_for_a_cancelled_sign_in(browser):
    bare_error(browser, error="access_denied", error_description=raw_text("AADB2C90151"))

    assert_page(browser.page, 502)
    assert REFERENCE in browser.text


@pytest.mark.parametrize("description", ["AADB2C90118: x", "AADB2C90091: x", ""])
@pytest.mark.parametrize("iss", ["https://evil.example/v2.0/", ""], ids=["foreign", "empty"])
def test_an_error_of_another_issuer_neither_cancels_nor_resets(browser, tenant, iss, description):
    """RFC 9207 section 2.4."""
    bare_error(browser, error="access_denied", error_description=description, iss=iss)

    assert_page(browser.page, 400)
    assert "Location" not in browser.page.headers
    assert not [name for name in browser.cookies if name != "b2c_session"]
    assert tenant.seen("authorize") == []


def test_access_denied_alone_is_a_cancelled_sign_in(browser):
    bare_error(browser, error="access_denied", error_description="The user has denied access.")

    assert browser.page.status_code == 303
    assert browser.page.headers["Location"] == "/"


LONG_STORIES = [
    pytest.param(MARKUP, id="markup"),
    pytest.param("x\r\nSet-Cookie: b2c_session=evil\r\n\r\n<script>", id="CRLF"),
    pytest.param("javascript:alert(1)", id="script address"),
    pytest.param("Call 555-0100 to unlock your account", id="phishing"),
    pytest.param("\0\u202e\ud7ff\u20ac", id="odd characters"),
]


@pytest.mark.parametrize("text", [*LONG_STORIES, pytest.param("x" * 40_000, id="long")])
@pytest.mark.parametrize("with_state", [True, False], ids=["in a pending flow", "out of the blue"])
def test_an_error_text_is_never_on_the_page_and_never_a_line_of_the_log(browser, caplog, text, with_state):
    error = {"error": text[:200], "error_description": text, "error_uri": text[:200]}
    if with_state:
        bare_error(browser, **error)
    else:
        browser.get(with_query(f"{browser.app_url}/getAToken", state="x", **error), follow=False)

    assert_page(browser.page, 502 if with_state else 400)
    assert text not in browser.page.text
    assert "<script" not in browser.page.text
    assert "Call 555" not in browser.text
    assert "evil" not in browser.page.headers.get("Set-Cookie", "")
    [line] = failures(caplog)
    assert "\n" not in line
    assert "\r" not in line
    assert len(line) < 1000


@pytest.mark.parametrize("text", [*LONG_STORIES, pytest.param("x" * 100_000, id="100 kB")])
def test_an_error_text_of_the_token_endpoint_is_never_on_the_page(browser, tenant, caplog, text):
    members = {"error": text[:200], "error_description": text, "error_uri": text}
    tenant.misbehave(token={"status": 400, "body": members, "content_type": "application/json"})

    browser.sign_in()

    assert_page(browser.page, 502)
    assert text not in browser.page.text
    assert "<script" not in browser.page.text
    [line] = failures(caplog)
    assert "\n" not in line
    assert len(line) < 1000


@pytest.mark.parametrize("state", [None, "", "x"], ids=["no state", "empty state", "unknown state"])
def test_a_forgotten_password_out_of_the_blue_starts_no_reset(browser, tenant, state):
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


def test_forgotten_passwords_without_end_end_on_a_page(browser, tenant):
    tenant.misbehave(authorize={"error": {"code": "AADB2C90118"}})

    browser.get("/login")

    assert_page(browser.page, 400)
    assert "several times" in browser.text
    assert len(tenant.seen("authorize")) <= 7


def test_a_forgotten_password_and_then_a_cancelled_reset_end_at_home(browser):
    browser.get("/login")
    browser.click("forgotPassword")
    browser.submit("cancel")

    assert browser.page.url == f"{browser.app_url}/"
    assert "Cancelled" in browser.text
    assert browser.signed_in_as() is None


def test_a_forgotten_password_without_a_reset_user_flow_is_a_page(serve_app, tenant):
    app = serve_app(RESETPASSWORD_USER_FLOW="")
    with Browser(app.url, tenant) as browser:
        browser.get("/login")
        browser.click("forgotPassword")

        assert_page(browser.page, b2c.PasswordForgotten.status)
        assert "Reset your password" in browser.text
        assert "RESETPASSWORD_USER_FLOW" in browser.text


def test_a_flow_begun_before_the_settings_changed_ends_on_a_page(serve_app, tenant):
    before = serve_app()
    after = serve_app(REDIRECT_URI=before.environ["REDIRECT_URI"], RESETPASSWORD_USER_FLOW="")
    with Browser(before.url, tenant) as browser:
        browser.get("/reset_password", follow=False)
        state = parameters(browser.page.headers["Location"])["state"]
        url = f"http://localhost:{after.port}/getAToken?state={state}&code=x"
        answer = browser.get(url, follow=False, Host=f"localhost:{before.port}")

        assert_page(answer, 400)


# --- The token endpoint -------------------------------------------------------------------------------------

JSON = "application/json"
TOKEN_ANSWERS = [
    pytest.param({"status": 400, "body": {"error": "invalid_grant"}}, 401, id="400 invalid_grant"),
    pytest.param({"status": 400, "body": {"error": "invalid_client"}}, 502, id="400 invalid_client"),
    pytest.param({"status": 401, "body": {"error": "invalid_client"}}, 502, id="401 invalid_client"),
    pytest.param({"status": 400, "body": {}}, 502, id="400 with an empty object"),
    pytest.param({"status": 400, "body": "<html>"}, 503, id="400 HTML"),
    pytest.param({"status": 400, "body": {"error": ["x"]}}, 502, id="400 error is a list"),
    pytest.param({"status": 400, "body": {"error": None}}, 502, id="400 error is null"),
    pytest.param(
        {"status": 400, "body": {"error": "invalid_grant", "error_description": {"a": [1]}}},
        401,
        id="400 description is an object",
    ),
    pytest.param({"status": 429}, 503, id="429"),
    pytest.param({"status": 429, "headers": {"Retry-After": "7"}}, 503, id="429 Retry-After"),
    pytest.param({"status": 429, "headers": {"Retry-After": "soon"}}, 503, id="429 Retry-After is a word"),
    pytest.param({"status": 429, "headers": {"Retry-After": "9" * 30}}, 503, id="429 Retry-After is huge"),
    pytest.param({"status": 500, "body": {"error": "server_error"}}, 503, id="500 JSON"),
    pytest.param({"status": 502, "body": "<html>Bad gateway</html>"}, 503, id="502 HTML"),
    pytest.param({"status": 503, "body": "<html>Later</html>"}, 503, id="503 HTML"),
    pytest.param({"status": 302, "headers": {"Location": "https://evil.example/"}}, 503, id="redirect"),
    pytest.param({"status": 307, "headers": {"Location": "https://evil.example/"}}, 503, id="307 redirect"),
    pytest.param({"status": 200, "body": "<html>Hello</html>"}, 503, id="200 HTML"),
    pytest.param({"status": 200, "body": ""}, 503, id="200 empty"),
    pytest.param({"status": 204}, 503, id="204"),
    pytest.param({"status": 200, "body": "[]"}, 503, id="200 list"),
    pytest.param({"status": 200, "body": "null"}, 503, id="200 null"),
    pytest.param({"status": 200, "body": '"x"'}, 503, id="200 text"),
    pytest.param({"status": 200, "body": "{}"}, 502, id="200 empty object"),
    pytest.param({"status": 200, "body": '{"access_token": "eyJ0'}, 503, id="200 truncated JSON"),
    pytest.param({"status": 200, "body": "[" * 200_000}, 503, id="200 deeply nested"),
    pytest.param({"status": 200, "body": '{"a":' * 100_000}, 503, id="200 deeply nested objects"),
    pytest.param({"status": 200, "body": " " * 1_500_000 + "{}"}, 503, id="200 larger than a megabyte"),
    pytest.param({"drop": ["id_token"]}, 502, id="200 without id_token"),
    pytest.param({"set": {"id_token": "abc"}}, 502, id="id_token is no token"),
    pytest.param({"set": {"id_token": 7}}, 502, id="id_token is a number"),
    pytest.param({"set": {"expires_in": "x"}}, 502, id="expires_in is a word"),
    pytest.param({"set": {"expires_in": None}}, 502, id="expires_in is null"),
    pytest.param({"set": {"expires_in": []}}, 502, id="expires_in is a list"),
    pytest.param({"set": {"expires_in": float("inf")}}, 502, id="expires_in is infinite"),
    pytest.param({"set": {"expires_in": float("nan")}}, 502, id="expires_in is no number"),
    pytest.param({"set": {"refresh_in": float("inf")}}, 502, id="refresh_in is infinite"),
    pytest.param({"set": {"client_info": 1}}, 502, id="client_info is a number"),
    pytest.param({"set": {"client_info": "!"}}, 502, id="client_info is garbage"),
    pytest.param({"set": {"scope": ["a"]}}, 502, id="scope is a list"),
    pytest.param({"reset": True}, 503, id="connection reset"),
]


@pytest.mark.parametrize("fault, status", TOKEN_ANSWERS)
def test_a_token_endpoint_that_answers_wrongly_ends_on_a_page(browser, tenant, caplog, warm, fault, status):
    if not isinstance(fault.get("body", ""), str):
        fault = fault | {"content_type": JSON}
    url = browser.callback_url()
    code = parameters(url)["code"]
    caplog.clear()
    tenant.misbehave(token=fault)

    answer = browser.get(url, follow=False)

    assert_page(answer, status)
    assert len(tenant.seen("token")) == 1
    assert browser.cookie("b2c_session") is None
    [line] = failures(caplog)
    assert "Traceback" not in caplog.text
    for secret in (code[:100], tenant.settings["CLIENT_SECRET"], "eyJ0"):
        assert secret not in caplog.text + answer.text
    assert re.search(r"Reference: ([0-9a-f-]{36})", browser.text)[1] in line
    assert browser.signed_in_as() is None


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"access_token": 7}, id="access_token is a number"),
        pytest.param({"access_token": ["x"]}, id="access_token is a list"),
        pytest.param({"access_token": "x\r\ny"}, id="access_token with a line break"),
        pytest.param({"access_token": "\u20ac"}, id="access_token is not ASCII"),
        pytest.param({"refresh_token": 7}, id="refresh_token is a number"),
        pytest.param({"token_type": None}, id="token_type is null"),
        pytest.param({"token_type": "bearer"}, id="token_type in lower case"),
        pytest.param({"expires_in": "3600"}, id="expires_in is text"),
        pytest.param({"expires_in": -5}, id="expires_in is negative"),
        pytest.param({"expires_in": 10**30}, id="expires_in is huge"),
        pytest.param({"expires_on": "x", "not_before": []}, id="B2C's own times are garbage"),
        pytest.param({"client_info": ""}, id="client_info is empty"),
        pytest.param({"client_info": None}, id="client_info is null"),
        pytest.param({"client_info": "W10"}, id="client_info is a list"),
        pytest.param({"client_info": "e30"}, id="client_info is an empty object"),
        pytest.param({"scope": ""}, id="scope is empty"),
        pytest.param({"scope": None}, id="scope is null"),
        pytest.param({"refresh_in": "x"}, id="refresh_in is a word"),
        pytest.param({"expires_in": 10**400}, id="expires_in is beyond any float"),
        pytest.param({"refresh_token": "\ud800", "scope": "\ud800"}, id="lone surrogates"),
        pytest.param({"foci": ["1"]}, id="foci is a list"),
        pytest.param({"id_token_expires_in": "x", "unknown": {"a": []}}, id="unknown members"),
    ],
)
def test_odd_members_of_a_token_response_never_break_a_page(browser, tenant, warm, members):
    tenant.misbehave(token={"set": members})

    statuses = [browser.sign_in().page.status_code]
    statuses += [browser.get(path).status_code for path in ("/", "/call_downstream_api", "/token_details")]
    statuses.append(browser.post("/logout", follow=False).status_code)

    assert 500 not in statuses


@pytest.mark.parametrize("dropped", ["access_token", "refresh_token", "client_info", "expires_in", "scope"])
def test_a_token_response_may_lack_what_signing_in_does_not_need(browser, tenant, dropped):
    tenant.misbehave(token={"drop": [dropped]})

    browser.sign_in()

    assert browser.signed_in_as() == "Ada Lovelace"
    assert browser.get("/call_downstream_api").status_code != 500


def test_retry_after_is_passed_on(browser, tenant):
    tenant.misbehave(token={"status": 429, "headers": {"Retry-After": "7"}})

    browser.sign_in()

    assert browser.page.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 429}, id="429"),
        pytest.param({"status": 429, "headers": {"Retry-After": "3600"}}, id="429 for an hour"),
        pytest.param({"status": 500}, id="500"),
        pytest.param({"status": 400, "body": {"error": "invalid_grant"}, "content_type": JSON}, id="400"),
        pytest.param({"reset": True}, id="reset"),
    ],
)
def test_a_refused_token_request_hurts_nobody_else(browser, other, tenant, fault):
    tenant.misbehave(token=fault | {"times": 1})

    first = browser.sign_in().page.status_code
    second = other.sign_in().page.status_code
    again = browser.sign_in().page.status_code

    assert first in (401, 503)
    assert (second, again) == (200, 200)
    assert other.signed_in_as() == browser.signed_in_as() == "Ada Lovelace"


def test_a_slow_token_endpoint_is_waited_for(browser, tenant):
    tenant.misbehave(token={"delay": 0.7})

    browser.sign_in()

    assert browser.signed_in_as() == "Ada Lovelace"


def test_a_token_endpoint_over_the_time_limit_ends_on_a_page(browser, tenant, warm, monkeypatch):
    url = browser.callback_url()
    monkeypatch.setattr(b2c.authority, "TIMEOUT", (1, 0.3))
    tenant.misbehave(token={"delay": 2})
    began = time.monotonic()

    answer = browser.get(url, follow=False)

    assert_page(answer, 503)
    assert time.monotonic() - began < 1.9
    assert answer.headers["Retry-After"]
    assert browser.signed_in_as() is None


def test_the_secret_goes_to_the_token_endpoint_alone_and_in_the_body(browser, tenant):
    browser.sign_in().get("/call_downstream_api")
    browser.post("/logout")

    secret = tenant.settings["CLIENT_SECRET"]
    holders = [seen for seen in tenant.control("GET", "requests") if secret in json.dumps(seen)]
    assert {seen["endpoint"] for seen in holders} == {"token"}
    assert {tuple(seen["form"]["client_secret"]) for seen in holders} == {(secret,)}
    assert not any(secret in json.dumps(seen["query"]) for seen in holders)
    assert {grant for seen in tenant.seen("token") for grant in seen["form"]["grant_type"]} <= {
        "authorization_code",
        "refresh_token",
    }


# --- A tenant that is down ----------------------------------------------------------------------------------

DOWN = [
    pytest.param({"status": 500}, 503, id="500"),
    pytest.param({"status": 429, "headers": {"Retry-After": "3"}}, 503, id="429"),
    pytest.param({"reset": True}, 503, id="reset"),
    pytest.param({"status": 200, "body": "<html>"}, 503, id="HTML"),
    pytest.param({"status": 200, "body": ""}, 503, id="nothing"),
    pytest.param({"status": 200, "body": "[" * 200_000}, 503, id="deeply nested"),
    pytest.param({"status": 404, "body": "<html>"}, 502, id="404"),
    pytest.param({"status": 302, "headers": {"Location": "https://evil.example"}}, 502, id="redirect"),
]


@pytest.fixture(scope="module")
def unmet_app(serve_app):
    """An app that never gets the tenant's metadata."""
    return serve_app()


@pytest.mark.parametrize("fault, status", DOWN)
def test_a_tenant_that_is_down_from_the_start_is_a_page(unmet_app, tenant, caplog, fault, status):
    tenant.misbehave(discovery=fault)
    with Browser(unmet_app.url, tenant) as browser:
        browser.get("/login", follow=False)

        assert_page(browser.page, status)
        assert browser.page.elapsed.total_seconds() < 2
        assert len(failures(caplog)) == 1
        assert browser.get("/").status_code == 200
        assert browser.get("/logout").status_code == 200


def test_the_first_sign_in_after_an_outage_works_at_once(serve_app, tenant):
    tenant.misbehave(discovery={"status": 503})
    app = serve_app()
    with Browser(app.url, tenant) as browser:
        assert browser.get("/login").status_code == 503
        tenant.control("DELETE", "faults")
        browser.sign_in()

        assert browser.signed_in_as() == "Ada Lovelace"


def test_nobody_queues_for_a_tenant_that_hangs(serve_app, tenant, monkeypatch):
    """Who comes while another waits in vain must not wait for one time limit after the other."""
    app = serve_app()
    monkeypatch.setattr(b2c.authority, "TIMEOUT", (1, 0.4))
    tenant.misbehave(discovery={"delay": 1.5})
    began = time.monotonic()

    def visit(_: int) -> int:
        with Browser(app.url, tenant) as browser:
            return browser.get("/login", follow=False).status_code

    with ThreadPoolExecutor(5) as pool:
        statuses = list(pool.map(visit, range(5)))

    assert statuses == [503] * 5
    assert time.monotonic() - began < 2.5


@pytest.fixture
def tenant_down(tenant):
    """Take the tenant's back channel down."""

    def take_down() -> None:
        tenant.misbehave(discovery={"status": 503}, keys={"status": 503}, token={"status": 503})

    return take_down


def test_signed_in_pages_work_while_the_tenant_is_down(browser, tenant, tenant_down):
    browser.sign_in()
    tenant_down()

    pages = [browser.get(path).status_code for path in ("/", "/token_details", "/call_downstream_api")]

    assert pages == [200, 200, 200]


def test_an_app_restarted_while_the_tenant_is_down_uses_the_tokens_it_holds(serve_app, tenant, tenant_down):
    before = serve_app()
    with Browser(before.url, tenant) as browser:
        browser.sign_in()
        tenant_down()
        kept = {name: before.environ[name] for name in ("REDIRECT_URI", "SESSION_DIR")}
        after = serve_app(**kept)
        statuses = [
            browser.get(f"http://localhost:{after.port}{path}", Host=f"localhost:{before.port}").status_code
            for path in ("/", "/token_details", "/call_downstream_api")
        ]

    assert statuses == [200, 200, 200]


def test_an_expired_token_while_the_tenant_is_down_is_503_and_the_session_lives_on(
    browser, tenant, tenant_down
):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    tenant_down()

    assert_page(browser.get("/call_downstream_api"), 503)
    assert browser.page.headers["Retry-After"]
    assert browser.signed_in_as() == "Ada Lovelace"
    tenant.control("DELETE", "faults")
    assert browser.get("/call_downstream_api").status_code == 200


def test_sign_out_works_while_the_tenant_is_down(browser, tenant_down):
    browser.sign_in()
    tenant_down()

    browser.post("/logout", follow=False)

    assert browser.page.status_code == 303
    assert browser.signed_in_as() is None


def test_sign_out_works_at_an_app_that_never_met_the_tenant(serve_app, tenant, tenant_down):
    before = serve_app()
    with Browser(before.url, tenant) as browser:
        browser.sign_in()
        tenant_down()
        after = serve_app(
            REDIRECT_URI=before.environ["REDIRECT_URI"], SESSION_DIR=before.environ["SESSION_DIR"]
        )
        browser.post(f"http://localhost:{after.port}/logout", follow=False, Host=f"localhost:{before.port}")

        assert browser.page.status_code == 303
        assert browser.page.headers["Location"] == "/"
        assert browser.signed_in_as() is None


def test_a_flow_begun_before_an_outage_is_a_page_and_can_be_begun_again(browser, tenant, tenant_down, warm):
    url = browser.callback_url()
    tenant_down()
    assert_page(browser.get(url, follow=False), 503)
    tenant.control("DELETE", "faults")

    browser.sign_in()

    assert browser.signed_in_as() == "Ada Lovelace"


# --- Refresh ------------------------------------------------------------------------------------------------


def test_a_revoked_refresh_token_leads_through_sign_in_and_back(browser, tenant):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    tenant.control("POST", f"accounts/{tenant.account['email']}/revoke")
    before = browser.cookie("b2c_session")

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 200
    assert browser.page.url == f"{browser.app_url}/call_downstream_api"
    assert browser.cookie("b2c_session") != before


def test_a_revoked_refresh_token_sends_a_script_a_sign_in_address(browser, tenant):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.control("POST", f"accounts/{tenant.account['email']}/revoke")

    answer = browser.get("/call_downstream_api", follow=False, Sec_Fetch_Mode="cors")

    assert answer.status_code == 401
    assert answer.json()["sign_in_uri"] == f"{browser.app_url}/login?next=/call_downstream_api"


def test_refresh_tokens_that_are_always_refused_end_on_a_page(browser, tenant):
    tenant.option(access_token_lifetime=300, refresh_token_lifetime=-1)
    browser.sign_in()
    tenant.forget_requests()

    browser.get("/call_downstream_api")

    assert_page(browser.page, 400)
    assert "several times" in browser.text
    assert len(tenant.seen("authorize")) <= 6
    assert browser.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize(
    "fault, status",
    [
        pytest.param({"status": 429, "headers": {"Retry-After": "60"}}, 503, id="429"),
        pytest.param({"status": 500}, 503, id="500"),
        pytest.param({"status": 200, "body": "<html>"}, 503, id="HTML"),
        pytest.param({"status": 200, "body": "[" * 200_000}, 503, id="deeply nested"),
        pytest.param({"set": {"expires_in": "x"}}, 503, id="expires_in is a word"),
        pytest.param({"set": {"expires_in": float("inf")}}, 503, id="expires_in is infinite"),
        pytest.param({"set": {"refresh_in": float("inf")}}, 503, id="refresh_in is infinite"),
        pytest.param({"drop": ["access_token"]}, 502, id="no access token"),
        pytest.param(
            {"status": 400, "body": {"error": "invalid_client"}, "content_type": JSON}, 502, id="secret"
        ),
    ],
)
def test_a_refresh_that_fails_for_a_while_loses_no_session(browser, tenant, fault, status):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    tenant.misbehave(token=fault | {"times": 1})

    failed = browser.get("/call_downstream_api").status_code
    worked = browser.get("/call_downstream_api").status_code

    assert (failed, worked) == (status, 200)
    assert browser.signed_in_as() == "Ada Lovelace"


def test_a_sign_in_that_never_sticks_ends_on_a_page(browser, tenant):
    """A browser that keeps the flow's cookies and loses the session's."""
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    for _ in range(8):
        for cookie in [cookie for cookie in browser.http.cookies if cookie.name == "b2c_session"]:
            browser.http.cookies.clear(cookie.domain, cookie.path, cookie.name)
        browser.get("/call_downstream_api", follow=False)
        if browser.page.status_code != 302:
            break

    assert_page(browser.page, 400)
    assert "keeps cookies" in browser.text


# --- In flight at sign-out ----------------------------------------------------------------------------------


def held(tenant, name: str) -> None:
    """Wait until a request waits at the tenant."""
    for _ in range(200):
        if name in tenant.control("GET", "holds"):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing waits under {name}")


def cookie_header(browser: Browser) -> dict[str, str]:
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
        "Accept": "text/html",
    }


@pytest.mark.parametrize("leg", ["sign in", "edit profile", "refresh"])
def test_what_is_in_flight_at_sign_out_brings_nobody_back(browser, tenant, leg):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    if leg == "sign in":
        url = browser.callback_url()
    elif leg == "edit profile":
        browser.get("/edit_profile", follow=False)
        browser.follow()
        browser.submit("continue", follow=False, displayName="Ada")
        url = browser.page.headers["Location"]
    else:
        url = f"{browser.app_url}/call_downstream_api"
    headers, name = cookie_header(browser), uuid.uuid4().hex
    tenant.misbehave(token={"hold": name, "times": 1})
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(requests.get, url, headers=headers, allow_redirects=False, timeout=30)
        held(tenant, name)
        browser.post("/logout")
        tenant.control("POST", "release", hold=name)
        answer = late.result()

    assert answer.status_code < 500
    assert "b2c_session" not in answer.headers.get("Set-Cookie", "")
    headers["Cookie"] += "; " + "; ".join(f"{c.name}={c.value}" for c in answer.cookies)
    assert "Sign out" not in requests.get(browser.app_url, headers=headers, timeout=10).text
    assert browser.signed_in_as() is None


def test_a_profile_edit_that_comes_back_after_sign_out_signs_nobody_in(browser, tenant):
    browser.sign_in()
    browser.get("/edit_profile", follow=False)
    browser.follow()
    browser.submit("continue", follow=False, displayName="Ada King")
    url, before = browser.page.headers["Location"], cookie_header(browser)
    browser.post("/logout", follow=False)

    answer = requests.get(url, headers=before, allow_redirects=False, timeout=10)

    assert_page(answer, 409)
    assert "b2c_session" not in answer.headers.get("Set-Cookie", "")
    assert browser.signed_in_as() is None
    assert "Sign out" not in requests.get(browser.app_url, headers=before, timeout=10).text


@pytest.mark.parametrize("path", ["/login", "/edit_profile", "/reset_password"])
def test_signing_out_forgets_what_was_begun_before(browser, tenant, path):
    browser.sign_in()
    for _ in range(3):
        browser.get(path, follow=False)
    state = parameters(browser.page.headers["Location"])["state"]
    browser.post("/logout", follow=False)
    tenant.forget_requests()

    assert not [name for name in browser.cookies if name.startswith("b2c_flow_")]
    assert_page(browser.get(f"/getAToken?code=x&state={state}", follow=False), 400)
    assert tenant.seen("token") == []


def test_a_sign_in_begun_before_sign_out_cannot_be_finished_afterwards(browser, tenant):
    url = browser.sign_in().callback_url()
    browser.post("/logout", follow=False)

    assert_page(browser.get(url, follow=False), 400)
    assert browser.signed_in_as() is None


def test_a_late_answer_does_not_take_a_newer_session_away(browser, tenant):
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    headers, name = cookie_header(browser), uuid.uuid4().hex
    tenant.misbehave(token={"hold": name, "times": 1})
    with ThreadPoolExecutor(1) as pool:
        url = f"{browser.app_url}/call_downstream_api"
        late = pool.submit(requests.get, url, headers=headers, allow_redirects=False, timeout=30)
        held(tenant, name)
        browser.sign_in()  # again, in another tab: the old session ends
        tenant.control("POST", "release", hold=name)
        answer = late.result()

    assert "b2c_session" not in answer.headers.get("Set-Cookie", "")
    assert browser.signed_in_as() == "Ada Lovelace"


def test_two_tabs_that_sign_in_again_at_once_leave_the_user_signed_in(browser, tenant):
    browser.sign_in()
    first, second, name = browser.callback_url(), browser.callback_url(), uuid.uuid4().hex
    headers = cookie_header(browser)
    tenant.misbehave(token={"hold": name, "times": 1})
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(requests.get, first, headers=headers, allow_redirects=False, timeout=30)
        held(tenant, name)
        browser.get(second)
        tenant.control("POST", "release", hold=name)
        answer = late.result()

    assert browser.cookie("b2c_session") in answer.headers["Set-Cookie"]  # one session for both tabs
    assert browser.signed_in_as() == "Ada Lovelace"


def test_an_old_session_is_worthless_after_the_next_sign_in(browser):
    browser.sign_in()
    old = cookie_header(browser)
    browser.sign_in()

    assert "Sign out" not in requests.get(browser.app_url, headers=old, timeout=10).text
    assert browser.signed_in_as() == "Ada Lovelace"


# --- The web API --------------------------------------------------------------------------------------------


def drip(listener: socket.socket, stop: threading.Event) -> None:
    """Answer one request, a byte at a time, never to the end."""
    connection, _ = listener.accept()
    with closing(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        while not stop.wait(0.1):
            try:
                connection.sendall(b"x")
            except OSError:
                return


LARGE_JSON = {
    "deep and long": "[" * 300 + "1," * 300_000 + "1" + "]" * 300,
    "deep": "[" * 900 + "]" * 900,
    "deeper than Python goes": "[" * 100_000,
    "long": "[" + "1," * 400_000 + "1]",
}


@pytest.mark.parametrize("body", LARGE_JSON.values(), ids=LARGE_JSON)
def test_json_of_any_shape_makes_a_page_of_a_bearable_size(browser, tenant, body):
    browser.sign_in()
    tenant.misbehave(api={"status": 200, "body": body, "content_type": JSON})

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 200
    assert len(browser.page.content) < 3_000_000
    assert browser.page.elapsed.total_seconds() < 3


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(r'{"a": "\ud800"}', id="a lone surrogate"),
        pytest.param(r'"\udfff"', id="nothing but a lone surrogate"),
        pytest.param(r'{"\ud800": ["\ud800x"]}', id="a lone surrogate for a name"),
        pytest.param(r'{"\u0000": 1e999}', id="NUL and infinity"),
        pytest.param('{"a": ' + "9" * 5000 + "}", id="a number of 5000 digits"),
        pytest.param("\ufeff{}", id="byte order mark"),
    ],
)
def test_odd_json_of_the_web_api_is_a_page(browser, tenant, body):
    browser.sign_in()
    tenant.misbehave(api={"status": 200, "body": body, "content_type": JSON})

    assert browser.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("status", [429, 503])
def test_a_web_api_that_asks_for_patience_does_not_hold_the_page(browser, tenant, status):
    browser.sign_in()
    tenant.misbehave(api={"status": status, "headers": {"Retry-After": "3"}})

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 502
    assert browser.page.elapsed.total_seconds() < 2
    assert len(tenant.seen("api")) == 1


def test_an_answer_that_only_drips_in_is_not_waited_for_without_end(serve_app, tenant, monkeypatch):
    monkeypatch.setattr(b2c.authority, "TIMEOUT", (1, 1))
    monkeypatch.setattr(b2c.authority, "DEADLINE", 1)
    stop = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=drip, args=(listener, stop), daemon=True)
        thread.start()
        app = serve_app(ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}/slow")
        with Browser(app.url, tenant) as browser, ThreadPoolExecutor(1) as pool:
            browser.sign_in()
            answer = pool.submit(browser.get, "/call_downstream_api")
            threading.Timer(3, stop.set).start()
            began = time.monotonic()
            status = answer.result().status_code
            took = time.monotonic() - began
        stop.set()
        thread.join(5)

    assert status == 504
    assert took < 2.5


def test_an_access_token_goes_to_the_web_api_alone_and_never_on_with_a_redirect(browser, tenant):
    browser.sign_in()
    tenant.misbehave(api={"status": 302, "headers": {"Location": f"{tenant.url}/mailbox"}})

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 502
    tokens = [seen for seen in tenant.control("GET", "requests") if "Authorization" in seen["headers"]]
    assert {seen["endpoint"] for seen in tokens} == {"api"}
    assert jwt.decode(
        tokens[0]["headers"]["Authorization"].removeprefix("Bearer "), options={"verify_signature": False}
    )


# --- What the log holds -------------------------------------------------------------------------------------


def test_no_code_token_or_secret_is_ever_logged_or_shown(browser, tenant, caplog):
    caplog.set_level("DEBUG")
    url = browser.callback_url()
    pages = [browser.get(url)]
    pages += [browser.get(path) for path in ("/", "/token_details", "/call_downstream_api")]
    pages.append(browser.get(url, follow=False))
    browser.get("/login", follow=False)
    state = parameters(browser.page.headers["Location"])["state"]
    pages.append(browser.get(with_query(url, state=state), follow=False))

    app_log = "\n".join(r.getMessage() for r in caplog.records if r.name in ("app", "b2c", "msal"))
    shown = "".join(page.text for page in pages)
    for secret in (
        parameters(url)["code"],
        tenant.settings["CLIENT_SECRET"],
        tenant.settings["SECRET_KEY"],
        browser.cookie("b2c_session"),
        "eyJ",
    ):
        assert secret not in app_log
        assert secret not in shown


def test_the_development_servers_log_has_no_query(shared_app, caplog):
    server = make_server("127.0.0.1", 0, shared_app.module.app, threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    headers = {"Host": f"localhost:{shared_app.port}"}
    for path in ("/getAToken?code=a-secret&state=x", "/login?login_hint=a-secret"):
        requests.get(
            f"http://127.0.0.1:{server.port}{path}", headers=headers, allow_redirects=False, timeout=10
        )
    server.shutdown()
    serving.join(5)
    server.server_close()

    lines = [record.getMessage() for record in caplog.records if record.name == "werkzeug"]
    assert ["/getAToken" in line for line in lines] == [True, False]
    assert "a-secret" not in "".join(lines)


def test_a_sign_in_and_a_refused_one_are_each_one_line_of_the_log(browser, tenant, caplog):
    browser.sign_in()
    tenant.misbehave(id_token={"key": "other"})
    browser.sign_in()

    lines = [record.getMessage() for record in caplog.records if record.name == "app"]
    assert lines[0] == f"signed in: sub={tenant.account['sub']!r}"
    assert lines[1].startswith("TokenRefused: status=502")
    assert len(lines) == 2


def test_after_the_response_the_browser_is_always_led_to_an_address_without_the_code(browser):
    url = browser.callback_url()

    answer = browser.get(url, follow=False)

    assert answer.status_code == 303
    assert urlsplit(urljoin(url, answer.headers["Location"])).query == ""
