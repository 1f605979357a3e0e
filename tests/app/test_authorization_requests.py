"""What the app asks the tenant for when a user flow begins."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.helpers.app import ServeApp
from tests.helpers.browser import Browser, Document, parameters, with_query
from tests.helpers.tenant import Tenant

API = "https://localtenant.onmicrosoft.com/tasks-api"


def asked(browser: Browser, path: str, **headers: str) -> dict[str, str]:
    """The authorization request that a page leads to."""
    return parameters(browser.get(path, follow=False, **headers).headers["Location"])


def test_everything_is_fresh_in_every_authorization_request(browser: Browser) -> None:
    requested = []
    for _ in range(3):
        browser.get("/login", follow=False)
        requested.append(parameters(browser.location))

    for name in ("state", "nonce", "code_challenge"):
        values = {request[name] for request in requested}
        assert len(values) == 3
        assert min(map(len, values)) >= 16
    assert {request["code_challenge_method"] for request in requested} == {"S256"}
    assert {request["response_type"] for request in requested} == {"code"}


USER_FLOWS = {
    "/login": "B2C_1_signupsignin1",
    "/edit_profile": "B2C_1_profileediting1",
    "/reset_password": "B2C_1_passwordreset1",
}


@pytest.mark.parametrize("path", USER_FLOWS)
def test_each_page_goes_to_the_authority_of_its_user_flow(browser: Browser, path: str) -> None:
    authorize = urlsplit(browser.sign_in().get(path, follow=False).headers["Location"]).path

    user_flow = USER_FLOWS[path].lower()
    assert authorize.lower() == f"/localtenant.onmicrosoft.com/{user_flow}/oauth2/v2.0/authorize"


def test_the_authority_template_may_end_with_a_slash(serve_app: ServeApp, tenant: Tenant) -> None:
    app = serve_app(AUTHORITY_TEMPLATE=tenant.settings["AUTHORITY_TEMPLATE"] + "/")
    with Browser(app.url, tenant) as browser:
        assert browser.sign_in().signed_in_as() == "Ada Lovelace"


def test_sign_in_asks_for_the_apis_scopes(browser: Browser) -> None:
    assert f"{API}/tasks.read" in asked(browser, "/login")["scope"].split()


@pytest.mark.parametrize("path", ["/edit_profile", "/reset_password"])
def test_the_other_user_flows_ask_for_no_scope_of_the_api(browser: Browser, path: str) -> None:
    scope = asked(browser.sign_in(), path)["scope"]

    assert "openid" in scope.split()
    assert API not in scope


def test_a_forgotten_password_asks_for_no_scope_of_the_api(browser: Browser, tenant: Tenant) -> None:
    browser.get("/login")
    browser.click("forgotPassword")

    request = tenant.seen("authorize")[-1]
    assert request["user_flow"].lower() == "b2c_1_passwordreset1"
    assert API not in request["query"]["scope"][0]


def test_partly_granted_scopes_need_no_token_request_for_each_call(
    serve_app: ServeApp, tenant: Tenant
) -> None:
    app = serve_app(SCOPE=f"{API}/tasks.read {API}/tasks.admin")
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        tenant.forget_requests()

        pages = [browser.get("/call_downstream_api").status_code for _ in range(3)]

    assert pages == [200, 200, 200]
    assert tenant.seen("token") == []


HINTS = {"login_hint": "ada+x@example.com", "domain_hint": "contoso.com", "ui_locales": "de-AT en"}


def test_hints_reach_the_tenant(browser: Browser) -> None:
    assert asked(browser, with_query("/login", **HINTS)).items() >= HINTS.items()


def test_hints_reach_the_tenant_by_way_of_the_page_shown_for_another_site(browser: Browser) -> None:
    browser.get(with_query("/login", **HINTS), follow=False, Sec_Fetch_Site="cross-site")
    link = Document(browser.page.text).links["Sign in"]

    assert asked(browser, link, Sec_Fetch_Site="same-origin").items() >= HINTS.items()


@pytest.mark.parametrize("path", ["/edit_profile", "/reset_password"])
def test_hints_reach_the_other_user_flows(browser: Browser, path: str) -> None:
    assert asked(browser.sign_in(), with_query(path, ui_locales="de"))["ui_locales"] == "de"


def test_the_language_is_kept_when_the_password_is_forgotten(browser: Browser, tenant: Tenant) -> None:
    browser.get("/login?ui_locales=de")
    browser.click("forgotPassword")

    request = tenant.seen("authorize")[-1]
    assert request["user_flow"].lower() == "b2c_1_passwordreset1"
    assert request["query"]["ui_locales"] == ["de"]


def test_without_a_language_the_tenant_is_asked_for_none(browser: Browser) -> None:
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
def test_a_malformed_hint_goes_no_further(browser: Browser, hint: str, value: Any) -> None:
    request = asked(browser, with_query("/login", **{hint: value}))

    assert hint not in request
    assert "prompt" not in request
