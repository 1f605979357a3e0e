"""No address that somebody made up leads out of the site."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest

from local_tenant import LocalTenant
from signin.web.responses import local_path
from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, parameters, with_query
from tests.helpers.tenant import Tenant

EVIL = "evil.example"

VECTORS = [
    f"//{EVIL}",
    f"///{EVIL}",
    f"////{EVIL}",
    f"/\\{EVIL}",
    f"\\\\{EVIL}",
    f"\\/{EVIL}",
    f"/\t/{EVIL}",
    f"/\n/{EVIL}",
    f"/\r\n/{EVIL}",
    f"/%09/{EVIL}",
    f"/%5c{EVIL}",
    f"/%2f%2f{EVIL}",
    f"/%2F{EVIL}",
    f"https:{EVIL}",
    f"https:/{EVIL}",
    f"https://{EVIL}",
    f"HTTPS://{EVIL}",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    f"https://localhost@{EVIL}",
    f"https://localhost.{EVIL}",
    f"/..//{EVIL}",
    f"/.//{EVIL}",
    f"/x/..//{EVIL}",
    f" //{EVIL}",
    f"\t//{EVIL}",
    f"\0//{EVIL}",
    f"\u00a0//{EVIL}",
    f"/\u3000/{EVIL}",
    f"/\uff0f{EVIL}",
    f"\uff0f\uff0f{EVIL}",
    f"@{EVIL}",
    f".{EVIL}",
    f":80@{EVIL}",
    f"?{EVIL}",
    f"#{EVIL}",
    f"/@{EVIL}",
    f"//{EVIL}/%2e%2e",
    f"/%0d%0aLocation:%20https://{EVIL}",
    "/\r\nSet-Cookie: signin_session=evil",
    f"//{EVIL}@localhost",
    f"http:///{EVIL}",
    f"/;@{EVIL}",
    f"/{{}}//{EVIL}",
    "x" * 3000,
    "/" + "x" * 3000,
    "",
    "login",
    f"/[//{EVIL}",
    f"//[::1]@{EVIL}",
    f"/\\\t{EVIL}",
    f"/?next=//{EVIL}",
    f"/#//{EVIL}",
    "ftp://x",
    "//%65vil.example",
    f"///\\;@{EVIL}",
    "/login",
    "/logout",
    "/getAToken?code=x&state=x",
]


def as_a_browser_resolves(base: str, location: str) -> str:
    """The host that a browser goes to: WHATWG URL drops TAB, CR and LF, trims, and reads \\ as /."""
    cleaned = re.sub(r"[\t\r\n]", "", location).strip("".join(map(chr, range(33))))
    before, mark, rest = cleaned.partition("?")
    return urlsplit(urljoin(base, before.replace("\\", "/") + mark + rest)).netloc


@pytest.fixture(scope="module")
def module_browser(shared_app: RunningApp, running_tenant: LocalTenant) -> Iterator[Browser]:
    """A browser whose user the tenant knows, so that sign-in needs no page."""
    tenant = Tenant(running_tenant)
    with Browser(shared_app.url, tenant) as browser:
        yield browser.sign_in()
    tenant.behave()


def assert_leads_to_a_page_of_ours(app_url: str, location: str) -> None:
    assert as_a_browser_resolves(app_url, location) == urlsplit(app_url).netloc
    assert location.startswith("/")
    assert urlsplit(location).path not in ("/login", "/logout", "/getAToken")
    assert "\r" not in location
    assert "\n" not in location


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: repr(vector[:40]))
def test_no_address_is_a_path_that_leads_out_of_the_site(shared_app: RunningApp, vector: str) -> None:
    with shared_app.flask.app_context():
        assert_leads_to_a_page_of_ours(shared_app.url, local_path(vector))


WHOLE_WAY = [
    f"//{EVIL}",
    f"/\\{EVIL}",
    f"/\t/{EVIL}",
    f"/%09/{EVIL}",
    f"https://{EVIL}",
    "javascript:alert(1)",
    f"\0//{EVIL}",
    f"/\u3000/{EVIL}",
    f"@{EVIL}",
    f"/%0d%0aLocation:%20https://{EVIL}",
    "/\r\nSet-Cookie: signin_session=evil",
    "/" + "x" * 3000,
    "/logout",
]


@pytest.mark.parametrize("vector", WHOLE_WAY, ids=lambda vector: repr(vector[:40]))
def test_no_next_leads_out_of_the_site(module_browser: Browser, vector: str) -> None:
    browser = module_browser
    url = with_query(f"{browser.app_url}/login", next=vector)
    browser.get(url, follow=False)
    assert urlsplit(browser.location).netloc == urlsplit(browser.tenant.url).netloc

    browser.follow()  # single sign-on brings the response at once
    browser.follow()

    assert browser.page.status_code == 303
    assert_leads_to_a_page_of_ours(browser.app_url, browser.location)
    assert "evil" not in browser.page.headers.get("Set-Cookie", "")


PARAMETERS = [
    "next", "redirect_uri", "post_logout_redirect_uri", "return_to", "url", "p", "policy", "iss", "prompt",
    "response_mode", "scope", "client_id", "state", "nonce",
]  # fmt: skip


@pytest.mark.parametrize(
    "path, site",
    [
        *((path, "cross-site") for path in ("/", "/call_downstream_api", "/token_details", "/logout")),
        *(
            (path, site)
            for path in ("/login", "/edit_profile", "/reset_password")
            for site in ("cross-site", "none")
        ),
    ],
)
def test_no_parameter_of_any_page_leads_out_of_the_site(
    module_browser: Browser, path: str, site: str
) -> None:
    query = "&".join(f"{name}=//{EVIL}/x" for name in PARAMETERS)
    answer = module_browser.get(f"{path}?{query}", follow=False, Sec_Fetch_Site=site)

    location = answer.headers.get("Location", "/")
    hosts = {urlsplit(module_browser.app_url).netloc, urlsplit(module_browser.tenant.url).netloc}
    assert as_a_browser_resolves(module_browser.app_url, location) in hosts
    assert EVIL not in location
    assert EVIL not in "".join(re.findall(r'(?:href|action|src)="([^"]*)"', answer.text))


@pytest.mark.parametrize("page", ["/edit_profile", "/reset_password"])
def test_no_next_of_another_user_flow_leads_out_of_the_site(browser: Browser, page: str) -> None:
    browser.sign_in()
    for vector in (f"//{EVIL}", f"/\\{EVIL}", f"/\t/{EVIL}", f"https://{EVIL}"):
        browser.get(with_query(browser.app_url + page, next=vector), follow=False)
        state = parameters(browser.location)["state"]
        browser.get(
            with_query(f"{browser.app_url}/getAToken", state=state, error="access_denied"), follow=False
        )

        assert browser.location == "/"


@pytest.mark.parametrize(
    "path", ["/token_details", "/token_details?a=b&c=%20d", "/x/y;z?q#f", "/~user/(1)!*'"]
)
def test_sign_in_returns_to_the_page_that_was_asked_for(module_browser: Browser, path: str) -> None:
    module_browser.get(with_query(f"{module_browser.app_url}/login", next=path), follow=False)
    module_browser.follow()
    module_browser.follow()

    assert module_browser.location == path
