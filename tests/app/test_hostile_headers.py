"""Headers made to keep the app busy, and headers that other sites of the domain have filled."""

import time

import pytest
import requests

from tests.app.test_cookies import send_cookie
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, Document, send_lines, set_cookies
from tests.helpers.processes import Redis

BRIEF = (
    0.2  # seconds of CPU for a request, with the test's own; 16 kB of blanks would take more than a second
)


def cpu_seconds_of(app: RunningApp, *headers: str) -> tuple[int, float]:
    """The status of the home page asked for with these headers, and what it cost this process."""
    began = time.process_time()
    status, _, _ = send_lines(app.port, "GET / HTTP/1.1", f"Host: localhost:{app.port}", *headers)
    return status, time.process_time() - began


@pytest.mark.parametrize("blank", [" ", "\t"])
@pytest.mark.parametrize(
    "length, status",
    [pytest.param(15_900, 200, id="all that is read"), pytest.param(60_000, 431, id="more than that")],
)
def test_blanks_in_a_cookie_cost_no_time(
    shared_app: RunningApp, length: int, status: int, blank: str
) -> None:
    answered, seconds = cpu_seconds_of(shared_app, "Cookie: a=" + blank * length + '"x;')

    assert answered == status
    assert seconds < BRIEF


@pytest.mark.parametrize("name", ["Accept", "Accept-Language", "Referer", "Content-Type", "X-Other"])
def test_a_header_of_60_kb_is_refused(shared_app: RunningApp, name: str) -> None:
    status, seconds = cpu_seconds_of(shared_app, f"{name}: {'a,' * 30_000}")

    assert status == 431
    assert seconds < BRIEF


def test_many_lines_of_one_header_count_as_one_header(shared_app: RunningApp) -> None:
    status, _ = cpu_seconds_of(shared_app, *["Accept: " + "a," * 500] * 20)

    assert status == 431


def test_a_sign_out_with_hundreds_of_session_cookies_asks_the_store_a_few_times(
    serve_app: ServeApp, redis_server: Redis
) -> None:
    app, client = serve_app(REDIS_URL=redis_server.url), redis_server.client
    cookies = "; ".join(f"signin_session={number:043}" for number in range(260))
    before = client.info("stats")["total_commands_processed"]

    answer = requests.post(
        f"{app.url}/logout",
        headers={"Cookie": cookies, "Origin": app.url},
        allow_redirects=False,
        timeout=10,
    )

    assert answer.status_code == 303
    assert client.info("stats")["total_commands_processed"] - before < 20


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_hundreds_of_flow_cookies_make_no_large_answer(shared_app: RunningApp, path: str) -> None:
    cookies = "; ".join(f"signin_flow_{number:08}=x" for number in range(600))
    headers = {"Cookie": cookies, "Origin": shared_app.url}
    method = "POST" if path == "/logout" else "GET"

    answer = requests.request(
        method, shared_app.url + path, headers=headers, allow_redirects=False, timeout=10
    )

    assert answer.status_code in (302, 303)
    assert sum(map(len, set_cookies(answer))) < 8_000


def test_too_many_cookies_end_on_a_page_that_removes_ours(browser: Browser) -> None:
    browser.sign_in().get("/login", follow=False)
    ours = set(browser.cookies)
    assert len(ours) >= 2
    browser.http.cookies.set("sibling", "x" * 15_800, domain="localhost.local", path="/")

    page = browser.get("/")

    assert page.status_code == 431
    assert Document(page.text).links["Home"] == "/"
    assert browser.cookies == {}
    assert "Clear-Site-Data" not in page.headers
    assert browser.get("/").status_code == 200


def test_cookies_that_are_too_many_without_ours_are_all_removed(shared_app: RunningApp) -> None:
    status, headers, _ = send_cookie(shared_app, "/", f"sibling={'x' * 20_000}; signin_session=x")

    assert status == 431
    assert headers["Clear-Site-Data"] == '"cookies"'


def test_a_cookie_of_ours_that_comes_thousands_of_times_is_removed_once(shared_app: RunningApp) -> None:
    status, headers, _ = send_cookie(shared_app, "/", "signin_notice=x; " * 3_000)

    assert status == 431
    assert headers["Set-Cookie"].startswith("signin_notice=;")


@pytest.mark.parametrize("path", ["/static/style.css", "/healthz"])
def test_what_needs_no_header_is_served_whatever_they_are(shared_app: RunningApp, path: str) -> None:
    status, _, _ = send_cookie(shared_app, path, "sibling=" + "x" * 20_000)

    assert status == 200
