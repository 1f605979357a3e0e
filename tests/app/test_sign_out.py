"""Sign-out: only the user's own, of this session, and for good."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, Document, assert_page, greeted, parameters
from tests.helpers.stores import Instances, User, home_with, visit
from tests.helpers.tenant import Tenant

CROSS = {"Sec-Fetch-Site": "cross-site"}

KEPT, ENDED = True, False

SIGN_OUTS = [
    pytest.param("GET", CROSS | {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, KEPT, id="image"),
    pytest.param(
        "GET", CROSS | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, KEPT, id="iframe"
    ),
    pytest.param(
        "GET", CROSS | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, KEPT, id="link"
    ),
    pytest.param("GET", {"Sec-Fetch-Site": "same-site"}, KEPT, id="link of a sister site"),
    pytest.param("GET", {}, KEPT, id="no headers"),
    pytest.param("GET", {"Referer": "{app}/"}, KEPT, id="Referer only"),
    pytest.param("HEAD", {"Sec-Fetch-Site": "none"}, KEPT, id="HEAD"),
    pytest.param("OPTIONS", {"Sec-Fetch-Site": "same-origin"}, KEPT, id="OPTIONS"),
    pytest.param(
        "GET", {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch"}, KEPT, id="address bar prefetches"
    ),
    pytest.param(
        "GET",
        {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch;prerender"},
        KEPT,
        id="address bar prerenders",
    ),
    pytest.param("GET", {"Sec-Fetch-Site": "none"}, KEPT, id="typed"),
    pytest.param("GET", {"Sec-Fetch-Site": "same-origin"}, ENDED, id="link of our own"),
    pytest.param("POST", CROSS | {"Origin": "https://evil.example"}, KEPT, id="form elsewhere"),
    pytest.param("POST", {"Origin": "https://evil.example"}, KEPT, id="form elsewhere, old browser"),
    pytest.param("POST", {"Origin": "null"}, KEPT, id="form in a sandbox"),
    pytest.param(
        "POST", {"Sec-Fetch-Site": "same-site", "Origin": "{app}"}, KEPT, id="form of a sister site"
    ),
    pytest.param("POST", {"Sec-Fetch-Site": "none"}, KEPT, id="form of nobody"),
    pytest.param("POST", {"Origin": "{app}.evil.example"}, KEPT, id="Origin that begins like ours"),
    pytest.param("POST", {"Origin": "http://localhost"}, KEPT, id="Origin with another port"),
    pytest.param("POST", {}, KEPT, id="form without headers"),
    pytest.param("POST", {"Origin": "{app}", "Sec-Fetch-Site": "same-origin"}, ENDED, id="our form"),
    pytest.param("POST", {"Origin": "{app}"}, ENDED, id="our form, old browser"),
    pytest.param("DELETE", {"Origin": "{app}"}, KEPT, id="DELETE"),
]


@pytest.fixture(scope="module")
def lasting_browser(shared_app: RunningApp, running_tenant: LocalTenant) -> Iterator[Browser]:
    """A browser that stays signed in from one test to the next, if none of them signs it out."""
    tenant = Tenant(running_tenant)
    with Browser(shared_app.url, tenant) as browser:
        yield browser
    tenant.behave()


@pytest.mark.parametrize("method, headers, kept", SIGN_OUTS)
def test_only_the_user_signs_the_user_out(
    lasting_browser: Browser, method: str, headers: dict[str, str], kept: bool
) -> None:
    browser = lasting_browser
    if not browser.session_id:
        browser.sign_in()
    assert browser.signed_in_as() == "Ada Lovelace"
    given = {name: value.format(app=browser.app_url) for name, value in headers.items()}

    answer = browser.http.request(
        method, f"{browser.app_url}/logout", headers={"Accept": "text/html"} | given, allow_redirects=False
    )

    assert answer.status_code in ((200, 400, 403, 405, 503) if kept else (303,))
    assert (browser.signed_in_as() == "Ada Lovelace") is kept


def test_the_page_that_asks_before_signing_out_has_the_button(browser: Browser) -> None:
    browser.sign_in().get("/logout", Sec_Fetch_Site="cross-site")

    assert browser.page.status_code == 200
    form = next(form for form in Document(browser.page.text).forms if form.action == "/logout")
    browser.post(form.action)
    assert browser.signed_in_as() is None


@pytest.mark.parametrize("order", [1, -1], ids=["ours first", "theirs first"])
def test_signing_out_with_two_session_cookies_ends_both(
    browser: Browser, shared_app: RunningApp, tenant: Tenant, order: int
) -> None:
    """One of them was planted, and the user wants out whichever it is."""
    with Browser(shared_app.url, tenant) as other:
        ids = [browser.sign_in().session_id, other.sign_in().session_id][::order]
        headers = {
            "Cookie": "; ".join(f"signin_session={session_id}" for session_id in ids),
            "Origin": shared_app.url,
            "Sec-Fetch-Site": "same-origin",
        }

        answer = requests.post(f"{shared_app.url}/logout", headers=headers, allow_redirects=False, timeout=10)

        assert answer.status_code == 303
        assert browser.signed_in_as() is None
        assert other.signed_in_as() is None


@pytest.mark.parametrize("unknown, said", [(15, "signed_out"), (16, "signed_out_record_left")])
def test_signing_out_with_many_session_cookies_says_if_it_has_not_looked_at_all(
    browser: Browser, shared_app: RunningApp, unknown: int, said: str
) -> None:
    ids = [f"{number:043}" for number in range(unknown)] + [str(browser.sign_in().session_id)]
    headers = {
        "Cookie": "; ".join(f"signin_session={session_id}" for session_id in ids),
        "Origin": shared_app.url,
    }

    answer = requests.post(f"{shared_app.url}/logout", headers=headers, allow_redirects=False, timeout=10)

    assert answer.cookies["signin_notice"].partition(".")[0] == said
    assert (browser.signed_in_as() is None) is (said == "signed_out")


@pytest.mark.parametrize(
    "cookie", ["", "unknown=x", "signin_session=", "signin_session=; signin_session=", "signin_session=x"]
)
def test_signing_out_with_a_worthless_cookie_is_no_error(shared_app: RunningApp, cookie: Any) -> None:
    headers = {"Cookie": cookie, "Origin": shared_app.url, "Sec-Fetch-Site": "same-origin"}

    answer = requests.post(f"{shared_app.url}/logout", headers=headers, allow_redirects=False, timeout=10)

    assert answer.status_code == 303


def test_signing_out_ends_this_session_only(browser: Browser, shared_app: RunningApp, tenant: Tenant) -> None:
    with Browser(shared_app.url, tenant) as elsewhere:
        elsewhere.sign_in()
        browser.sign_in().post("/logout")

        assert elsewhere.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("changes", [{"set": {"state": "x"}}, {"set": {"error": "x"}}, {"drop": ["state"]}])
def test_the_return_from_the_tenants_sign_out_ignores_parameters(
    browser: Browser, tenant: Tenant, changes: dict[str, Any]
) -> None:
    """oidcc-client-test-rp-init-logout, -other-state and -no-state."""
    tenant.misbehave(logout=changes)

    browser.sign_in().post("/logout")

    assert browser.page.status_code == 200
    assert "You are signed out" in browser.text


def test_a_signed_out_cookie_opens_no_page(browser: Browser) -> None:
    browser.sign_in()
    kept = {"Cookie": f"signin_session={browser.session_id}", "Accept": "text/html"}
    browser.post("/logout")

    pages = {
        path: requests.get(browser.app_url + path, headers=kept, allow_redirects=False, timeout=10)
        for path in ("/", "/token_details", "/call_downstream_api", "/edit_profile")
    }
    assert [page.status_code for page in pages.values()] == [200, 401, 302, 302]
    assert not any("Ada" in page.text for page in pages.values())
    assert not any("signin_session" in page.headers.get("Set-Cookie", "") for page in pages.values())


@pytest.mark.parametrize("path", ["/login", "/edit_profile", "/reset_password"])
def test_signing_out_forgets_what_was_begun_before(browser: Browser, tenant: Tenant, path: str) -> None:
    browser.sign_in()
    for _ in range(3):
        browser.get(path, follow=False)
    state = parameters(browser.location)["state"]
    browser.post("/logout", follow=False)
    tenant.forget_requests()

    assert not [name for name in browser.cookies if name.startswith("signin_flow_")]
    assert_page(browser.get(f"/getAToken?code=x&state={state}", follow=False), 400)
    assert tenant.seen("token") == []


def test_a_sign_in_begun_before_sign_out_cannot_be_finished_afterwards(
    browser: Browser, tenant: Tenant
) -> None:
    url = browser.sign_in().callback_url()
    browser.post("/logout", follow=False)

    assert_page(browser.get(url, follow=False), 400)
    assert browser.signed_in_as() is None


def test_a_profile_edit_that_comes_back_after_sign_out_signs_nobody_in(
    browser: Browser, tenant: Tenant
) -> None:
    browser.sign_in()
    url, before = browser.edited_profile_url("Ada King"), browser.cookie_header
    browser.post("/logout", follow=False)

    answer = requests.get(url, headers=before, allow_redirects=False, timeout=10)

    assert_page(answer, 409)
    assert "signin_session" not in answer.headers.get("Set-Cookie", "")
    assert browser.signed_in_as() is None
    assert "Sign out" not in requests.get(browser.app_url, headers=before, timeout=10).text


def test_the_cookie_from_before_sign_out_is_worthless_at_every_instance(
    instances: Instances, user: User
) -> None:
    before = user.session_id
    assert greeted(visit(instances.second, user, "/")) == "Ada Lovelace"
    user.post("/logout")

    assert user.session_id is None
    for app in (instances.first, instances.second):
        page = home_with(app, before)
        assert (page.status_code, greeted(page)) == (200, None), app.url


def test_sign_out_leaves_nothing_of_the_session_in_the_store(instances: Instances, user: User) -> None:
    ended = user.records
    assert set(ended) <= instances.store.names()
    user.post("/logout")

    assert not instances.store.names() & set(ended)
