"""Requests that no person made: scripts, prefetching, link scanners, other sites."""

import pytest
import requests

from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Tenant

SCRIPTS = [
    pytest.param({"Sec_Fetch_Mode": "cors"}, id="fetch"),
    pytest.param({"Sec_Fetch_Mode": "same-origin"}, id="fetch, same-origin"),
    pytest.param({"X_Requested_With": "XMLHttpRequest"}, id="XMLHttpRequest"),
    pytest.param({"Accept": "application/json"}, id="asks for JSON"),
]


def assert_told_where_to_sign_in(browser: Browser, answer: requests.Response) -> None:
    """The answer is JSON, and names the address of the app's sign-in."""
    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["WWW-Authenticate"]
    assert answer.json()["sign_in_uri"].partition("?")[0] == f"{browser.app_url}/login"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("headers", SCRIPTS)
def test_a_script_that_needs_a_sign_in_gets_its_address_in_json(
    browser: Browser, headers: dict[str, str]
) -> None:
    assert_told_where_to_sign_in(browser, browser.get("/call_downstream_api", follow=False, **headers))


@pytest.mark.parametrize("path", ["/token_details", "/edit_profile"])
def test_every_page_tells_a_script_where_to_sign_in(browser: Browser, path: str) -> None:
    assert_told_where_to_sign_in(browser, browser.get(path, follow=False, Sec_Fetch_Mode="cors"))


@pytest.mark.parametrize("headers", SCRIPTS)
def test_a_script_gets_errors_in_json(browser: Browser, headers: dict[str, str]) -> None:
    answer = browser.get("/nowhere", follow=True, **headers)

    assert answer.status_code == 404
    assert answer.json()["error"]


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
def test_a_machine_at_the_callback_uses_up_no_pending_sign_in(
    browser: Browser, tenant: Tenant, method: str, headers: dict[str, str], status: int
) -> None:
    url = browser.callback_url()

    answer = browser.http.request(method, url, headers=headers, allow_redirects=False)

    assert answer.status_code == status
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("token") == []
    assert browser.get(url).status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"


PREFETCH = {"Sec-Purpose": "prefetch"}


@pytest.mark.parametrize(
    "page, method, headers, status",
    [
        ("/login", "HEAD", {}, 405),
        ("/login", "GET", PREFETCH, 503),
        ("/login", "GET", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 400),
        ("/reset_password", "HEAD", {}, 405),
        ("/reset_password", "GET", PREFETCH, 503),
        ("/edit_profile", "HEAD", {}, 405),
        ("/edit_profile", "GET", PREFETCH, 503),
        ("/call_downstream_api", "HEAD", {}, 405),
        ("/call_downstream_api", "GET", PREFETCH, 503),
    ],
)
def test_a_machine_begins_no_user_flow(
    browser: Browser, page: str, method: str, headers: dict[str, str], status: int
) -> None:
    answer = browser.http.request(method, browser.app_url + page, headers=headers, allow_redirects=False)

    assert answer.status_code == status
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "path, dest",
    [
        ("/login", "document"),
        ("/login", "iframe"),
        ("/call_downstream_api", "document"),
        ("/edit_profile", "document"),
    ],
)
def test_another_site_starts_no_sign_in(browser: Browser, tenant: Tenant, path: str, dest: str) -> None:
    answer = browser.get(
        path, follow=False, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=dest
    )

    assert answer.status_code in (200, 401)
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("authorize") == []
    assert Document(answer.text).links["Sign in"].startswith("/login")


def test_a_sign_in_page_shown_for_another_site_keeps_the_way_back_on_this_site(browser: Browser) -> None:
    answer = browser.get("/login?next=//evil.example", follow=False, Sec_Fetch_Site="cross-site")

    assert "evil" not in answer.text
