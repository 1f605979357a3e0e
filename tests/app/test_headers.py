"""The security headers of every answer."""

import pytest
import requests

from tests.app.conftest import Visit
from tests.helpers.app import ServeApp
from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Tenant

ANSWERS = [
    pytest.param("GET", "/", {}, 200, id="page"),
    pytest.param("HEAD", "/", {}, 200, id="HEAD of a page"),
    pytest.param("GET", "/login", {}, 302, id="redirect to the tenant"),
    pytest.param("GET", "/call_downstream_api", {}, 302, id="redirect to sign in"),
    pytest.param("GET", "/token_details", {}, 401, id="401"),
    pytest.param("GET", "/nowhere", {}, 404, id="404"),
    pytest.param("GET", "/static/nowhere.css", {}, 404, id="404 of a static file"),
    pytest.param("DELETE", "/", {}, 405, id="405"),
    pytest.param("HEAD", "/login", {}, 405, id="405 without a body"),
    pytest.param("OPTIONS", "/", {}, 200, id="OPTIONS"),
    pytest.param("GET", "/getAToken?state=x&code=x", {}, 400, id="error page"),
    pytest.param("GET", "/login", {"Sec-Purpose": "prefetch"}, 503, id="prefetch"),
    pytest.param("GET", "/healthz", {}, 200, id="health"),
    pytest.param("GET", "/call_downstream_api", {"Sec-Fetch-Mode": "cors"}, 401, id="JSON"),
    pytest.param("POST", "/logout", {"Origin": "https://evil.example"}, 403, id="403"),
    pytest.param("GET", "/getAToken", {"Host": "evil.example"}, 421, id="421"),
    pytest.param("GET", "/", {"Host": "evil.example"}, 302, id="redirect to the right host"),
]


def assert_secure(answer: requests.Response) -> None:
    """The answer has the headers that every answer has."""
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy.replace("127.0.0.1:*", "")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin", "strict-origin")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("method, path, headers, status", ANSWERS)
def test_every_answer_has_the_security_headers(
    visit_https: Visit, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = visit_https(path, method, **headers)

    assert answer.status_code == status
    assert_secure(answer)
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_static_file_has_the_security_headers_and_may_be_kept(visit_https: Visit) -> None:
    answer = visit_https("/static/style.css")

    assert answer.status_code == 200
    assert_secure(answer)
    assert "no-store" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path, kind", [("/", "text/html"), ("/nowhere", "text/html"), ("/static/style.css", "text/css")]
)
def test_text_says_how_it_is_encoded(visit_https: Visit, path: str, kind: str) -> None:
    assert visit_https(path).headers["Content-Type"] == f"{kind}; charset=utf-8"


def test_a_crash_has_the_security_headers_and_no_detail(serve_app: ServeApp, tenant: Tenant) -> None:
    app = serve_app()

    @app.flask.get("/crash")
    def crash() -> str:
        raise ZeroDivisionError("a detail")

    answer = requests.get(f"{app.url}/crash", headers={"Accept": "text/html"}, timeout=10)

    assert answer.status_code == 500
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "a detail" not in answer.text
    assert "Traceback" not in answer.text
    assert Document(answer.text).links


def test_signed_in_answers_are_never_stored(browser: Browser) -> None:
    browser.sign_in()
    for path in ("/", "/token_details", "/call_downstream_api", "/edit_profile", "/nowhere", "/login"):
        answer = browser.get(path, follow=False)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert "Cookie" in answer.headers.get("Vary", "") or answer.status_code == 302, path


def test_without_https_there_is_no_promise_of_https(browser: Browser) -> None:
    assert "Strict-Transport-Security" not in browser.get("/").headers


def test_a_foreign_origin_is_not_let_in(browser: Browser) -> None:
    answer = browser.sign_in().get(
        "/token_details", Origin="https://evil.example", Sec_Fetch_Site="cross-site"
    )

    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
