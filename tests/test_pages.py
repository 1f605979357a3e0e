"""What the pages say and how they are built, read over plain HTTP."""

import re
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.browser import Browser
from tests.conftest import free_port

MARKUP = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The elements of a page, and what links and buttons say."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.pressable: list[str] = []
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag in ("a", "button"):
            self._open = True
            self.pressable.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("a", "button"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.pressable[-1] = f"{self.pressable[-1]} {data}".strip()

    def all(self, *tags: str) -> list[dict]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def actions(browser: Browser) -> list[str]:
    """What the links and buttons in the page's content say."""
    main = re.search(r"<main.*</main>", browser.page.text, re.DOTALL)
    return Page(main[0]).pressable


# --- How every page is built --------------------------------------------------------------------------------

PATHS = {
    "home": "/",
    "api": "/call_downstream_api",
    "token-details": "/token_details",
    "not-found": "/nowhere",
    "lost-flow": "/getAToken?state=none",
}


@pytest.fixture(params=PATHS.values(), ids=PATHS)
def page(request, browser):
    """Each page of a signed-in user in turn."""
    browser.sign_in()
    return Page(browser.get(request.param).text)


def test_a_page_has_one_main_heading_and_a_title(page):
    assert len(page.all("h1")) == 1
    assert len(page.all("title")) == 1


def test_a_page_has_its_landmarks(page):
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]


def test_a_page_has_no_scripts_and_no_inline_styles(page):
    assert page.all("script", "style") == []
    assert [attributes for _, attributes in page.elements if "style" in attributes] == []
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []


def test_a_page_needs_nothing_from_another_host(page):
    addresses = [attributes.get("src") or attributes.get("href") for attributes in page.all("img", "link")]

    assert addresses
    assert {urlsplit(address).netloc for address in addresses} == {""}


def test_a_page_says_in_which_language_it_is(page):
    assert page.all("html") == [{"lang": "en"}]


@pytest.mark.parametrize("path", ["/", "/call_downstream_api", "/token_details"])
def test_the_navigation_says_which_page_this_is(browser, path):
    browser.sign_in()
    links = Page(browser.get(path).text).all("a")

    assert [link["href"] for link in links if link.get("aria-current") == "page"] == [path]


def test_a_page_that_the_settings_do_not_provide_is_not_linked(serve_app, tenant):
    lean = serve_app(ENDPOINT="", SCOPE="", EDITPROFILE_USER_FLOW="", RESETPASSWORD_USER_FLOW="")
    with Browser(lean.url, tenant) as browser:
        before = {link["href"] for link in Page(browser.get("/").text).all("a")}
        after = {link["href"] for link in Page(browser.sign_in().page.text).all("a")}

    assert before == {"#main", "/", "/login"}
    assert after == {"#main", "/", "/token_details"}


# --- The API's answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "heading", "advice"),
    [
        (204, "The API answered", "The answer was empty."),
        (302, "The API points to another address", "it would take your access token along"),
        (400, "The API refused the request", "The answer below may say why."),
        (401, "The API did not accept the access token", "expects another audience"),
        (403, "The API does not allow this", "Add the scope to SCOPE"),
        (404, "The API has nothing at this address", "the path in ENDPOINT"),
        (429, "The API asks for a pause", "Wait a while"),
        (500, "The API has a fault of its own", "look at the API's own log"),
        (503, "The API has a fault of its own", "look at the API's own log"),
    ],
)
def test_a_status_of_the_api_comes_with_its_usual_meaning(browser, tenant, status, heading, advice):
    browser.sign_in()
    tenant.misbehave(api={"status": status})
    browser.get("/call_downstream_api")

    assert heading in browser.text
    assert advice in browser.text
    assert f"Status {status}" in browser.text


@pytest.mark.parametrize("header", ["WWW-Authenticate", "Location", "Retry-After"])
def test_a_header_that_explains_a_refusal_is_shown(browser, tenant, header):
    browser.sign_in()
    tenant.misbehave(api={"status": 401, "headers": {header: "explains-it"}})
    browser.get("/call_downstream_api")

    assert f"{header} explains-it" in browser.text


def test_json_is_shown_indented(browser):
    browser.sign_in().get("/call_downstream_api")

    assert "\n  &#34;tasks&#34;: [\n    {\n" in browser.page.text


def test_an_answer_that_is_not_json_is_shown_as_text(browser, tenant):
    browser.sign_in()
    tenant.misbehave(api={"body": MARKUP})
    browser.get("/call_downstream_api")

    assert f"The answer is not JSON. Here it is as plain text. {MARKUP}" in browser.text
    assert MARKUP not in browser.page.text


def test_the_request_is_shown_without_its_token(browser, tenant):
    browser.sign_in()
    tenant.forget_requests()
    browser.get("/call_downstream_api")
    token = tenant.seen("api")[0]["headers"]["Authorization"].removeprefix("Bearer ")

    assert f"GET {tenant.settings['ENDPOINT']}" in browser.text
    assert len(token) > 100
    assert not any(part in browser.page.text for part in token.split("."))


def test_an_api_that_is_not_there_is_told_apart_from_one_that_refuses(serve_app, tenant):
    gone = serve_app(ENDPOINT=f"http://127.0.0.1:{free_port()}/tasks")
    with Browser(gone.url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")

        assert "The API could not be reached" in browser.text
        assert "Check that it is running" in browser.text


class OddApi(BaseHTTPRequestHandler):
    """An API with answers that take too long or are too long."""

    patience = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.patience.wait(30)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'["' + b"x" * (1 << 20) + b'"]')

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def odd_api():
    """The address of an OddApi."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OddApi) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        OddApi.patience.set()
        server.shutdown()
        thread.join()


def test_of_a_very_large_answer_the_beginning_is_shown(serve_app, tenant, odd_api):
    with Browser(serve_app(ENDPOINT=f"{odd_api}/large").url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")

        assert "The answer is very large. Only its beginning is shown." in browser.text


def test_an_api_that_takes_too_long_is_said_to_have_done_so(serve_app, tenant, odd_api, monkeypatch):
    monkeypatch.setattr("b2c.authority.TIMEOUT", (1, 0.2))  # the app waits longer than a test should
    with Browser(serve_app(ENDPOINT=f"{odd_api}/slow").url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")

        assert browser.page.status_code == 504
        assert "The API did not answer in time" in browser.text


# --- Token details ------------------------------------------------------------------------------------------


def test_times_are_marked_up_as_dates(browser, tenant):
    tenant.misbehave(id_token={"set": {"auth_time": 1_700_000_000}})
    browser.sign_in().get("/token_details")

    assert '<time datetime="2023-11-14T22:13:20Z">2023-11-14 22:13:20 UTC</time>' in browser.page.text


def test_markup_in_a_claim_is_shown_and_not_obeyed(browser, tenant):
    tenant.misbehave(id_token={"set": {"city": MARKUP, "extension_odd": {"deep": [MARKUP]}}})
    browser.sign_in().get("/token_details")

    assert f"city {MARKUP} City" in browser.text
    assert MARKUP not in browser.page.text


def test_a_claim_that_nobody_knows_is_said_to_be_the_tenants_own(browser, tenant):
    tenant.misbehave(id_token={"set": {"extension_Level": "gold"}})
    browser.sign_in().get("/token_details")

    assert "extension_Level gold A claim of this tenant's own" in browser.text


def test_claims_about_the_user_come_before_those_about_the_token(browser):
    browser.sign_in().get("/token_details")
    claims = re.findall(r'role="rowheader"><code>(\w+)', browser.page.text)

    assert claims.index("name") < claims.index("exp")


# --- What to do next ----------------------------------------------------------------------------------------


def test_a_stranger_who_needs_to_sign_in_is_offered_that_and_the_page_afterwards(browser):
    browser.get("/token_details")

    assert actions(browser) == ["Sign in", "Home"]
    assert "/login?next=/token_details" in [link["href"] for link in Page(browser.page.text).all("a")]


def test_a_missing_page_offers_the_home_page_only(browser):
    browser.get("/nowhere")

    assert actions(browser) == ["Home"]


def test_a_sign_in_that_failed_offers_another_one(browser):
    browser.get("/getAToken?state=none")

    assert actions(browser) == ["Sign in", "Home"]


def test_a_fault_in_the_set_up_tells_the_operator_what_to_mend(browser, tenant):
    tenant.misbehave(authorize={"error": {"code": "AADB2C90117"}})
    browser.get("/login")

    assert "code AADB2C90117" in browser.text
    assert re.search(r"<summary>If you run this site</summary>\s*<p>SCOPE is not known", browser.page.text)


def test_a_sign_in_service_that_does_not_answer_can_be_tried_again(serve_app, tenant):
    with Browser(serve_app().url, tenant) as browser:
        tenant.misbehave(discovery={"status": 503})
        browser.get("/login?next=/token_details")

        assert actions(browser) == ["Try again", "Home"]
        assert "/login?next=/token_details" in [link["href"] for link in Page(browser.page.text).all("a")]


def test_a_user_whose_sign_in_has_run_out_at_the_tenant_can_sign_in_again(browser, tenant):
    browser.sign_in()
    tenant.misbehave(authorize={"error": {"error": "login_required", "error_description": ""}})
    browser.get("/edit_profile")

    assert actions(browser) == ["Sign in again", "Home"]


def test_signing_out_asks_first_when_another_site_leads_there(browser):
    browser.sign_in().get("/logout", Sec_Fetch_Site="cross-site")

    assert actions(browser) == ["Sign out", "Stay signed in"]


def test_a_profile_edit_begun_on_the_token_page_comes_back_to_it(browser):
    browser.sign_in().get("/token_details")

    assert "/edit_profile?next=/token_details" in [link["href"] for link in Page(browser.page.text).all("a")]


@pytest.fixture
def forgetful_browser(serve_app, tenant):
    """The browser of somebody whose session cannot be looked up: the store does not answer."""
    app = serve_app(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    with Browser(app.url, tenant) as browser:
        browser.http.cookies.set("b2c_session", "x" * 43, domain="localhost.local")
        yield browser


@pytest.mark.parametrize("path", ["/", "/token_details", "/call_downstream_api"])
def test_while_sessions_cannot_be_looked_up_a_page_offers_to_try_again(forgetful_browser, path):
    forgetful_browser.get(path)
    again = next(
        link for link in Page(forgetful_browser.page.text).all("a") if "main" in link.get("class", "")
    )

    assert "We cannot reach our sign-in records" in forgetful_browser.text
    assert again["href"] == path
    assert "Sign in" not in actions(forgetful_browser)
