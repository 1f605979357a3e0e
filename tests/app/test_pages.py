"""How the pages are built, and what they offer to do next."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from tests.helpers.app import ServeApp
from tests.helpers.browser import (
    Browser,
)
from tests.helpers.tenant import Tenant


class Page(HTMLParser):
    """The elements of a page, and what links and buttons say."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.pressable: list[str] = []
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag in ("a", "button"):
            self._open = True
            self.pressable.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("a", "button"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.pressable[-1] = f"{self.pressable[-1]} {data}".strip()

    def all(self, *tags: str) -> list[dict[str, str]]:
        """The attributes of all elements with these tags."""
        return [attributes for tag, attributes in self.elements if tag in tags]


def actions(browser: Browser) -> list[str]:
    """What the links and buttons in the page's content say."""
    main = re.search(r"<main.*</main>", browser.page.text, re.DOTALL)
    assert main
    return Page(main[0]).pressable


PATHS = {
    "home": "/",
    "api": "/call_downstream_api",
    "token-details": "/token_details",
    "not-found": "/nowhere",
    "lost-flow": "/getAToken?state=none",
}


@pytest.fixture(params=list(PATHS.values()), ids=list(PATHS))
def page(request: pytest.FixtureRequest, browser: Browser) -> Page:
    """Each page of a signed-in user in turn."""
    browser.sign_in()
    return Page(browser.get(request.param).text)


def test_a_page_has_one_main_heading_and_a_title(page: Page) -> None:
    assert len(page.all("h1")) == 1
    assert len(page.all("title")) == 1


def test_a_page_has_its_landmarks(page: Page) -> None:
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]


def test_a_page_has_no_inline_scripts_and_no_inline_styles(page: Page) -> None:
    assert [script for script in page.all("script") if not script.get("src", "").startswith("/static/")] == []
    assert page.all("style") == []
    assert [attributes for _, attributes in page.elements if "style" in attributes] == []
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []


def test_a_page_needs_nothing_from_another_host(page: Page) -> None:
    loaded = [attributes.get("src") or attributes["href"] for attributes in page.all("img", "link")]
    led_to = [attributes["action"] for attributes in page.all("form")]

    assert loaded
    assert {urlsplit(address).netloc for address in loaded + led_to} == {""}


def test_a_page_says_in_which_language_it_is(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]


@pytest.mark.parametrize("path", ["/", "/call_downstream_api", "/token_details"])
def test_the_navigation_says_which_page_this_is(browser: Browser, path: str) -> None:
    browser.sign_in()
    links = Page(browser.get(path).text).all("a")

    assert [link["href"] for link in links if link.get("aria-current") == "page"] == [path]


def test_a_page_that_the_settings_do_not_provide_is_not_linked(serve_app: ServeApp, tenant: Tenant) -> None:
    none = dict.fromkeys(("ENDPOINT", "SCOPE", "WRITE_SCOPE"), "")
    lean = serve_app(**none, EDITPROFILE_USER_FLOW="", RESETPASSWORD_USER_FLOW="")
    with Browser(lean.url, tenant) as browser:
        before = {link["href"] for link in Page(browser.get("/").text).all("a")}
        after = {link["href"] for link in Page(browser.sign_in().page.text).all("a")}

    assert before == {"#main", "/", "/login"}
    assert after == {"#main", "/", "/token_details", "/sessions"}


def test_a_stranger_who_needs_to_sign_in_is_offered_that_and_the_page_afterwards(browser: Browser) -> None:
    browser.get("/token_details")

    assert actions(browser) == ["Sign in", "Home"]
    assert "/login?next=/token_details" in [link["href"] for link in Page(browser.page.text).all("a")]


def test_a_missing_page_offers_the_home_page_only(browser: Browser) -> None:
    browser.get("/nowhere")

    assert actions(browser) == ["Home"]


def test_a_sign_in_that_failed_offers_another_one(browser: Browser) -> None:
    browser.get("/getAToken?state=none")

    assert actions(browser) == ["Sign in", "Home"]


def test_a_fault_in_the_set_up_tells_the_operator_what_to_mend(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(authorize={"error": {"code": "AADB2C90117"}})
    browser.get("/login")

    assert "code AADB2C90117" in browser.text
    summary = r"<summary>If you run this site</summary>\s*"
    assert re.search(f"{summary}<p>The tenant does not know SCOPE", browser.page.text)


def test_a_sign_in_service_that_does_not_answer_can_be_tried_again(
    serve_app: ServeApp, tenant: Tenant
) -> None:
    with Browser(serve_app().url, tenant) as browser:
        tenant.misbehave(discovery={"status": 503})
        browser.get("/login?next=/token_details")

        assert actions(browser) == ["Try again", "Home"]
        assert "/login?next=/token_details" in [link["href"] for link in Page(browser.page.text).all("a")]


def test_a_user_whose_sign_in_has_run_out_at_the_tenant_can_sign_in_again(
    browser: Browser, tenant: Tenant
) -> None:
    browser.sign_in()
    tenant.misbehave(authorize={"error": {"error": "login_required", "error_description": ""}})
    browser.get("/edit_profile")

    assert actions(browser) == ["Sign in again", "Home"]


def test_signing_out_asks_first_when_another_site_leads_there(browser: Browser) -> None:
    browser.sign_in().get("/logout", Sec_Fetch_Site="cross-site")

    assert actions(browser) == ["Sign out", "Stay signed in"]


def test_a_profile_edit_begun_on_the_token_page_comes_back_to_it(browser: Browser) -> None:
    browser.sign_in().get("/token_details")

    assert "/edit_profile?next=/token_details" in [link["href"] for link in Page(browser.page.text).all("a")]
