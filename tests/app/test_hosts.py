"""The one host that the app answers to, and addresses that are no addresses."""

import pytest
import requests

from tests.app.conftest import Visit
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, parameters, send_lines
from tests.helpers.tenant import Tenant

HOSTS = ["evil.example", "localhost", "localhost:1", "evil.example:{port}", "localhost:{port}@evil.example",
         "evil.example@localhost:{port}", "localhost:{port}.evil.example", "", "local host", "[::1]:{port}",
         "localhost:{port}/x", "\u00fc", "localhost:{port}, evil.example"]  # fmt: skip


def ask(app: RunningApp, host: str, path: str) -> tuple[int, dict[str, str], bytes]:
    """Ask for a path with exactly this Host header."""
    return send_lines(app.port, f"GET {path} HTTP/1.1", f"Host: {host}", "Accept: text/html")


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host.replace("{port}", "PORT")))
def test_a_forged_host_reaches_no_url(shared_app: RunningApp, host: str) -> None:
    path = "/login?next=/token_details"
    status, headers, body = ask(shared_app, host.format(port=shared_app.port), path)

    assert status in (302, 400, 421)
    assert headers.get("Location", shared_app.url + path) == shared_app.url + path
    assert b"evil" not in body
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize(
    "path, status",
    [("/", 302), ("/nowhere", 421), ("/getAToken?code=x&state=x", 421), ("/static/style.css", 421)],
)
def test_a_forged_host_reaches_no_page(shared_app: RunningApp, path: str, status: int) -> None:
    answered, headers, body = ask(shared_app, f"evil.example:{shared_app.port}", path)

    assert answered == status
    assert headers.get("Location", shared_app.url + path) == shared_app.url + path
    assert b"evil" not in body
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/", "/login", "/token_details?a=b"])
def test_a_forwarded_host_beside_a_wrong_one_is_refused(shared_app: RunningApp, path: str) -> None:
    """A proxy that does not pass the browser's Host on: a redirect would come back here, without end."""
    url = f"http://127.0.0.1:{shared_app.port}{path}"
    headers = {"X-Forwarded-Host": f"localhost:{shared_app.port}", "Accept": "text/html"}

    answer = requests.get(url, headers=headers, allow_redirects=False, timeout=10)

    assert answer.status_code == 421
    assert "Location" not in answer.headers
    assert "REDIRECT_URI" in answer.text


MALFORMED_HOSTS = {
    "two dots": "a..b",
    "a dot": ".",
    "64 characters": "a" * 64,
    "empty": "",
    "half an IPv6 address": "[::1",
    "no IPv6 address": "[x]:80",
    "no port": "localhost:x",
    "port beyond": "localhost:99999",
    "long": "a." * 2000,
    "NUL": "a\0b",
    "punycode": "xn--\u00fc.example",
    "percent": "%zz",
}


@pytest.mark.parametrize("host", MALFORMED_HOSTS.values(), ids=MALFORMED_HOSTS)
def test_a_malformed_host_breaks_nothing(shared_app: RunningApp, host: str) -> None:
    status, headers, _ = ask(shared_app, host, "/")

    assert status in (302, 400, 421)
    assert headers.get("Location", shared_app.url).startswith(shared_app.url)


@pytest.mark.parametrize(
    "path, statuses",
    [
        pytest.param("/healthz", {200}, id="health"),
        pytest.param("/nowhere", {400, 421}, id="no page"),
        pytest.param("/static/style.css", {400, 421}, id="static file"),
        pytest.param("/getAToken", {400, 421}, id="callback"),
    ],
)
def test_a_malformed_host_breaks_no_path(shared_app: RunningApp, path: str, statuses: set[int]) -> None:
    answered = {host: ask(shared_app, host, path)[0] for host in ("a..b", "[::1", "")}

    assert set(answered.values()) <= statuses, answered


FORWARDED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.example",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "X-HTTP-Method-Override": "POST",
    "X-Host": "evil.example",
    "Forwarded": "host=evil.example;proto=https",
    "Referer": "https://evil.example/",
}


@pytest.mark.parametrize("name", FORWARDED)
def test_a_forged_forwarding_header_changes_nothing(browser: Browser, name: str) -> None:
    forged = {name.replace("-", "_"): FORWARDED[name]}
    home = browser.get("/", follow=True, **forged)
    started = browser.get("/login", follow=False, **forged)

    assert home.status_code == 200
    assert "evil" not in home.text + str(home.headers)
    assert parameters(started.headers["Location"])["redirect_uri"] == f"{browser.app_url}/getAToken"
    browser.get("/")
    browser.sign_in()
    signed_out = browser.post("/logout", follow=False, **forged)
    back = parameters(signed_out.headers["Location"])["post_logout_redirect_uri"]
    assert back == f"{browser.app_url}/"


def test_an_absolute_request_line_counts_as_the_host(shared_app: RunningApp) -> None:
    port = shared_app.port
    foreign = send_lines(port, "GET http://evil.example/login HTTP/1.1", f"Host: localhost:{port}")
    own = send_lines(port, f"GET http://localhost:{port}/ HTTP/1.1", f"Host: localhost:{port}")

    assert foreign[0] in (302, 400, 421)
    assert "evil" not in foreign[1].get("Location", "")
    assert own[0] == 200


def test_the_newcomers_address_leads_to_the_right_one(shared_app: RunningApp) -> None:
    answer = requests.get(
        f"http://127.0.0.1:{shared_app.port}/token_details?a=b%20c&d=%C3%BC",
        allow_redirects=False,
        timeout=10,
    )

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{shared_app.url}/token_details?a=b%20c&d=%C3%BC"


@pytest.mark.parametrize(
    "method, path",
    [
        pytest.param("POST", "/logout", id="form"),
        pytest.param("GET", "/getAToken?code=secret&state=x", id="callback"),
        pytest.param("GET", "/static/style.css", id="static file"),
        pytest.param("GET", "/nowhere", id="no page"),
        pytest.param("PUT", "/", id="PUT"),
    ],
)
def test_what_cannot_be_redirected_is_refused_at_the_wrong_host(
    shared_app: RunningApp, method: str, path: str
) -> None:
    url = f"http://127.0.0.1:{shared_app.port}{path}"

    answer = requests.request(method, url, headers={"Accept": "text/html"}, allow_redirects=False, timeout=10)

    assert answer.status_code == 421
    assert "Location" not in answer.headers
    assert shared_app.url in answer.text


def test_a_load_balancer_may_ask_for_the_health_by_any_name(shared_app: RunningApp) -> None:
    answer = requests.get(f"http://127.0.0.1:{shared_app.port}/healthz", timeout=10)

    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize("port", ["443", ""], ids=["named", "left out"])
def test_the_default_port_may_be_named_in_the_redirect_uri(
    serve_app: ServeApp, tenant: Tenant, port: str
) -> None:
    """A browser leaves the default port out of Host; that must not lead round and round."""
    uri = f"https://app.example{':' + port if port else ''}/getAToken"
    app = serve_app(REDIRECT_URI=uri)

    answer = requests.get(
        f"http://127.0.0.1:{app.port}/", headers={"Host": "app.example"}, allow_redirects=False, timeout=10
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"/call_downstream_api?x=\xff", id="no UTF-8 in a query"),
        pytest.param(b"/login?next=/\xff", id="no UTF-8 in next"),
        pytest.param(b"/\xff", id="no UTF-8 in a path"),
        pytest.param(b"/%ff%fe?%ff=%fe", id="escaped"),
        pytest.param(b"/login?next=%ff", id="escaped in next"),
        pytest.param(b"/login?login_hint=%ff%00&ui_locales=%0d%0a", id="odd hints"),
        pytest.param(b"/getAToken?%00=%00&state=%00", id="NULs"),
        pytest.param(b"/token_details?" + b"a=b&" * 5000, id="5000 parameters"),
        pytest.param(b"/getAToken?" + b"state=x&" * 5000, id="5000 states"),
        pytest.param(b"/call_downstream_api?" + b"x" * 50_000, id="50 kB query"),
    ],
)
def test_no_address_breaks_the_app(shared_app: RunningApp, target: bytes) -> None:
    """Neither at the app's own host, nor where the address is redirected to it."""
    for host in ("localhost", "127.0.0.1"):
        status, headers, _ = send_lines(
            shared_app.port,
            b"GET " + target + b" HTTP/1.1",
            f"Host: {host}:{shared_app.port}",
            "Accept: text/html",
        )
        assert status < 500
        assert headers.get("Location", "http://").startswith(("http://", "/"))


def test_two_slashes_in_a_path_do_not_lead_away_from_https(visit_https: Visit) -> None:
    answer = visit_https("//token_details")

    assert answer.status_code < 500
    assert "http://" not in answer.headers.get("Location", "")
