"""The web API: what the app sends it, and what the user is shown of its answers."""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest

from tests.helpers.app import ServeApp, failures
from tests.helpers.browser import (
    Browser,
)
from tests.helpers.engine import wait_at_most
from tests.helpers.tenant import Tenant

JSON = "application/json"

MARKUP = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("status", "heading", "advice"),
    [
        (204, "The API answered", "The answer was empty."),
        (302, "The API points to another address", "would send the access token there"),
        (400, "The API refused the request", "The answer below may say why."),
        (401, "The API did not accept the access token", "expects another audience"),
        (403, "The API does not allow this", "Add the scope to SCOPE"),
        (404, "The API has nothing at this address", "The path in ENDPOINT"),
        (429, "Too many requests to the API", "Wait a while"),
        (500, "The API had an internal error", "Look at the API's own log"),
        (503, "The API had an internal error", "Look at the API's own log"),
    ],
)
def test_a_status_of_the_api_comes_with_its_usual_meaning(
    browser: Browser, tenant: Tenant, status: int, heading: str, advice: str
) -> None:
    browser.sign_in()
    tenant.misbehave(api={"status": status})
    browser.get("/call_downstream_api")

    assert heading in browser.text
    assert advice in browser.text
    assert f"Status {status}" in browser.text


@pytest.mark.parametrize("header", ["WWW-Authenticate", "Location", "Retry-After"])
def test_a_header_that_explains_a_refusal_is_shown(browser: Browser, tenant: Tenant, header: str) -> None:
    browser.sign_in()
    tenant.misbehave(api={"status": 401, "headers": {header: "explains-it"}})
    browser.get("/call_downstream_api")

    assert f"{header} explains-it" in browser.text


@pytest.mark.parametrize("status", [302, 401, 500])
def test_a_failed_call_shows_a_reference_that_is_in_the_log(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    browser.sign_in()
    tenant.misbehave(api={"status": status})
    browser.get("/call_downstream_api")

    [reference] = re.findall(r"Reference: ([0-9a-f-]{36})", browser.text)
    [line] = failures(caplog)
    assert f"reference={reference}" in line
    assert f"status={status}" in line
    assert "If you run this site" in browser.text


def test_a_call_that_worked_shows_no_reference(browser: Browser) -> None:
    browser.sign_in().get("/call_downstream_api")

    assert "Reference" not in browser.text
    assert "If you run this site" not in browser.text


def test_json_is_shown_indented(browser: Browser) -> None:
    browser.sign_in().get("/call_downstream_api")

    assert "\n  &#34;tasks&#34;: [\n    {\n" in browser.page.text


def test_an_answer_that_is_not_json_is_shown_as_text(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    tenant.misbehave(api={"body": MARKUP})
    browser.get("/call_downstream_api")

    assert f"The answer is not JSON. It is shown as plain text. {MARKUP}" in browser.text
    assert MARKUP not in browser.page.text


def test_the_request_is_shown_without_its_token(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    tenant.forget_requests()
    browser.get("/call_downstream_api")
    token = tenant.seen("api")[0]["headers"]["Authorization"].removeprefix("Bearer ")

    assert f"GET {tenant.settings['ENDPOINT']}" in browser.text
    assert len(token) > 100
    assert not any(part in browser.page.text for part in token.split("."))


def test_an_api_that_is_not_there_is_told_apart_from_one_that_refuses(
    serve_app: ServeApp, tenant: Tenant, dead_port: int
) -> None:
    gone = serve_app(ENDPOINT=f"http://127.0.0.1:{dead_port}/tasks")
    with Browser(gone.url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")

        assert "The API could not be reached" in browser.text
        assert "Check that the API is running" in browser.text


class OddApi(BaseHTTPRequestHandler):
    """An API whose answers are too long, or take too long."""

    closing = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.closing.wait(30)
            return
        self.send_response(200)
        if self.path == "/dripping":
            self.send_header("Content-Length", "5000")
        self.end_headers()
        if self.path == "/dripping":
            self.drip()
        else:
            self.wfile.write(b'["' + b"x" * (1 << 20) + b'"]')

    def drip(self) -> None:
        """Send one byte after the other, until the client has enough."""
        with suppress(OSError):
            while not self.closing.wait(0.05):
                self.wfile.write(b"x")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def odd_api() -> Iterator[str]:
    """The address of an OddApi."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OddApi) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        OddApi.closing.set()
        server.shutdown()
        thread.join()


def test_the_beginning_of_a_very_large_answer_is_shown(
    serve_app: ServeApp, tenant: Tenant, odd_api: str
) -> None:
    with Browser(serve_app(ENDPOINT=f"{odd_api}/large").url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")

        assert "The answer is very large. Only its beginning is shown." in browser.text


@pytest.mark.parametrize("path", ["/slow", "/dripping"])
def test_an_api_that_takes_too_long_is_reported_as_such(
    serve_app: ServeApp, tenant: Tenant, odd_api: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    wait_at_most(monkeypatch, 0.4)
    with Browser(serve_app(ENDPOINT=odd_api + path).url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")

        assert browser.page.status_code == 504
        assert "The API did not answer in time" in browser.text
        assert browser.page.elapsed.total_seconds() < 2


LARGE_JSON = {
    "deep and long": "[" * 300 + "1," * 300_000 + "1" + "]" * 300,
    "deep": "[" * 900 + "]" * 900,
    "deeper than Python goes": "[" * 100_000,
    "long": "[" + "1," * 400_000 + "1]",
}


@pytest.mark.parametrize("body", LARGE_JSON.values(), ids=LARGE_JSON)
def test_json_of_any_shape_makes_a_page_of_limited_size(browser: Browser, tenant: Tenant, body: str) -> None:
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
        pytest.param(r'"\udfff"', id="only a lone surrogate"),
        pytest.param(r'{"\ud800": ["\ud800x"]}', id="a lone surrogate for a name"),
        pytest.param(r'{"\u0000": 1e999}', id="NUL and infinity"),
        pytest.param('{"a": ' + "9" * 5000 + "}", id="a number of 5000 digits"),
        pytest.param("\ufeff{}", id="byte order mark"),
    ],
)
def test_odd_json_of_the_web_api_is_a_page(browser: Browser, tenant: Tenant, body: str) -> None:
    browser.sign_in()
    tenant.misbehave(api={"status": 200, "body": body, "content_type": JSON})

    assert browser.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("status", [429, 503])
def test_an_api_that_asks_to_retry_later_is_not_waited_for(
    browser: Browser, tenant: Tenant, status: int
) -> None:
    browser.sign_in()
    tenant.misbehave(api={"status": status, "headers": {"Retry-After": "3"}})

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 502
    assert browser.page.elapsed.total_seconds() < 2
    assert len(tenant.seen("api")) == 1


def test_an_access_token_goes_to_the_api_only_and_follows_no_redirect(
    browser: Browser, tenant: Tenant
) -> None:
    browser.sign_in()
    tenant.misbehave(api={"status": 302, "headers": {"Location": f"{tenant.url}/mailbox"}})

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 502
    tokens = [seen for seen in tenant.all_seen() if "Authorization" in seen["headers"]]
    assert {seen["endpoint"] for seen in tokens} == {"api"}
    assert jwt.decode(
        tokens[0]["headers"]["Authorization"].removeprefix("Bearer "), options={"verify_signature": False}
    )
