"""Authorization responses that fit no sign-in begun here: forged, repeated, late, or somebody else's."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.helpers.app import ServeApp, failures
from tests.helpers.browser import Browser, assert_page, parameters, with_query
from tests.helpers.tenant import Tenant
from tests.helpers.waiting import clock_at

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
    pytest.param(lambda state: "x\r\nSet-Cookie: signin_session=evil", id="CRLF"),
    pytest.param(lambda state: "x; Path=/; signin_session=evil", id="cookie syntax"),
    pytest.param(lambda state: "identity.web.no_op", id="another package's magic word"),
]


@pytest.mark.parametrize("forge", STATES)
def test_a_response_whose_state_does_not_fit_is_refused_and_harms_no_pending_flow(
    browser: Browser,
    tenant: Tenant,
    caplog: pytest.LogCaptureFixture,
    forge: Callable[[str], str | list[str] | None],
) -> None:
    url = browser.callback_url()

    answer = browser.get(with_query(url, state=forge(parameters(url)["state"])), follow=False)

    assert_page(answer, 400)
    assert "cannot be completed" in browser.text
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("token") == []
    assert len(failures(caplog)) == 1
    assert browser.signed_in_as() is None
    assert browser.get(url).status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"


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
def test_a_contradictory_response_is_refused_without_a_token_request(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    url = with_query(browser.callback_url(), **changes)

    answer = browser.get(url, follow=False)

    assert_page(answer, 400)
    assert "start again" in browser.text
    assert tenant.seen("token") == []
    assert len(failures(caplog)) == 1
    assert browser.signed_in_as() is None


def test_a_response_that_names_the_right_issuer_signs_in(browser: Browser, tenant: Tenant) -> None:
    issuer = requests.get(
        f"{tenant.tls_url}/localtenant.onmicrosoft.com/B2C_1_signupsignin1/v2.0/.well-known/openid-configuration",
        verify=tenant.settings["REQUESTS_CA_BUNDLE"],
        timeout=10,
    ).json()["issuer"]

    browser.get(with_query(browser.callback_url(), iss=issuer))

    assert browser.signed_in_as() == "Ada Lovelace"


def test_an_unknown_parameter_is_ignored(browser: Browser) -> None:
    browser.get(with_query(browser.callback_url(), session_state="x", admin="1"))

    assert browser.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("code", ["", "x", "\0", "\u00fc", "a" * 20_000, "x\r\ny"], ids=repr)
def test_a_made_up_code_ends_on_a_page(browser: Browser, code: str) -> None:
    browser.get(with_query(browser.callback_url(), code=code))

    assert_page(browser.page, 400, 401, 502)
    assert browser.signed_in_as() is None


# --- Other people's responses -------------------------------------------------------------------------------


def test_a_response_to_another_browser_is_refused(browser: Browser, other: Browser, tenant: Tenant) -> None:
    answer = other.get(browser.callback_url(), follow=False)

    assert_page(answer, 400)
    assert tenant.seen("token") == []
    assert other.signed_in_as() is None


def test_a_response_to_another_browser_leaves_a_pending_flow_alone(
    browser: Browser, other: Browser, tenant: Tenant
) -> None:
    mine, foreign = other.callback_url(), browser.callback_url()

    assert_page(other.get(foreign, follow=False), 400)

    assert tenant.seen("token") == []
    assert other.get(mine).status_code == 200
    assert other.signed_in_as() == "Ada Lovelace"


def test_a_response_to_another_browser_does_not_change_who_is_signed_in(
    browser: Browser, other: Browser, tenant: Tenant
) -> None:
    other.sign_in()
    before = other.session_id
    mallory = tenant.add_account("Mallory")
    browser.get("/login")
    browser.enter_password(follow=False, email=mallory["email"])
    tenant.forget_requests()

    answer = other.get(browser.location, follow=False)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert tenant.seen("token") == []
    assert other.session_id == before
    assert other.signed_in_as() == "Ada Lovelace"


def test_a_stolen_code_is_refused_by_pkce(browser: Browser, other: Browser, tenant: Tenant) -> None:
    stolen = parameters(browser.callback_url())["code"]
    mallory = tenant.add_account("Mallory")
    other.get("/login")
    other.enter_password(follow=False, email=mallory["email"])

    other.get(with_query(other.location, code=stolen))

    assert_page(other.page, 401)
    [token] = tenant.seen("token")
    assert token["status"] == 400
    assert token["form"]["code_verifier"]
    assert other.signed_in_as() is None


def test_a_stolen_code_is_refused_by_the_nonce_without_pkce(
    browser: Browser, other: Browser, tenant: Tenant
) -> None:
    tenant.option(pkce=False)
    stolen = parameters(browser.callback_url())["code"]
    mallory = tenant.add_account("Mallory")
    other.get("/login")
    other.enter_password(follow=False, email=mallory["email"])

    other.get(with_query(other.location, code=stolen))

    assert_page(other.page, 502)
    assert [token["status"] for token in tenant.seen("token")] == [200]
    assert other.signed_in_as() is None


def test_a_code_of_another_user_flow_is_refused(browser: Browser, tenant: Tenant) -> None:
    """Mix-up: all user flows of a tenant share one redirect URI and one issuer."""
    browser.sign_in()
    code = parameters(browser.edited_profile_url("Mallory"))["code"]
    url = browser.callback_url()
    tenant.forget_requests()
    session = browser.session_id

    browser.get(with_query(url, code=code), follow=False)

    assert_page(browser.page, 400, 401)
    assert [token["status"] for token in tenant.seen("token")] == [400]
    assert tenant.seen("token")[0]["user_flow"] == "B2C_1_signupsignin1"
    assert browser.session_id == session
    assert browser.signed_in_as() == "Ada Lovelace"


def test_a_code_of_the_sign_in_user_flow_edits_no_profile(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    code = parameters(browser.callback_url())["code"]
    browser.get("/edit_profile", follow=False)
    state = parameters(browser.location)["state"]

    browser.get(f"/getAToken?code={code}&state={state}", follow=False)

    assert_page(browser.page, 400, 401)
    assert browser.signed_in_as() == "Ada Lovelace"


# --- The same response again --------------------------------------------------------------------------------


def test_the_same_response_again_leads_home_and_the_user_stays_signed_in(
    browser: Browser, tenant: Tenant
) -> None:
    """As the Back button sends it."""
    url = browser.callback_url()
    browser.get(url)
    session = browser.session_id
    tenant.forget_requests()

    answer = browser.get(url, follow=False)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert browser.session_id == session
    assert tenant.seen("token") == []
    assert browser.signed_in_as() == "Ada Lovelace"


def test_the_same_response_twice_at_once_signs_in_once(browser: Browser, tenant: Tenant, warm: None) -> None:
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
    assert len([answer for answer in answers if "signin_session" in answer.cookies]) == 1


def test_the_same_response_after_sign_out_is_refused(browser: Browser, tenant: Tenant) -> None:
    url = browser.callback_url()
    browser.get(url)
    browser.post("/logout")
    tenant.forget_requests()

    assert_page(browser.get(url, follow=False), 400)

    assert tenant.seen("token") == []
    assert browser.signed_in_as() is None


def test_a_response_after_a_failed_one_needs_a_new_start(browser: Browser, tenant: Tenant) -> None:
    url = browser.callback_url()
    browser.get(with_query(url, code="wrong"))
    tenant.forget_requests()

    assert_page(browser.get(url, follow=False), 400)
    assert tenant.seen("token") == []


def test_a_flow_that_took_too_long_is_refused(browser: Browser, tenant: Tenant) -> None:
    url = browser.callback_url()
    with clock_at(time.time() + 31 * 60):
        assert_page(browser.get(url, follow=False), 400)

    assert "half an hour" in browser.text
    assert tenant.seen("token") == []
    assert browser.signed_in_as() is None


def test_a_flow_may_take_almost_half_an_hour(browser: Browser) -> None:
    callback = browser.callback_url()
    browser.get("/login", follow=False)
    state = parameters(browser.location)["state"]
    with clock_at(time.time() + 29 * 60):
        browser.get(with_query(callback, state=state), follow=False)

    assert "half an hour" not in browser.text


def test_a_flow_begun_before_the_settings_changed_ends_on_a_page(serve_app: ServeApp, tenant: Tenant) -> None:
    before = serve_app()
    after = serve_app(REDIRECT_URI=before.environ["REDIRECT_URI"], RESETPASSWORD_USER_FLOW="")
    with Browser(before.url, tenant) as browser:
        browser.get("/reset_password", follow=False)
        state = parameters(browser.location)["state"]
        url = f"http://localhost:{after.port}/getAToken?state={state}&code=x"
        answer = browser.get(url, follow=False, Host=f"localhost:{before.port}")

        assert_page(answer, 400)


def test_the_callback_redirects_to_an_address_without_the_code(
    browser: Browser,
) -> None:
    url = browser.callback_url()

    answer = browser.get(url, follow=False)

    assert answer.status_code == 303
    assert urlsplit(urljoin(url, answer.headers["Location"])).query == ""
