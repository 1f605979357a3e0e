"""Requests that nobody meant to send, and what every answer says to the browser."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urljoin, urlsplit

import pytest
import requests

from tests.browser import Browser, Forms, parameters, with_query
from tests.conftest import Tenant

HTTPS_URI = "https://app.example/getAToken"


@pytest.fixture(scope="module")
def https_app(serve_app):
    """The app as it is behind a proxy that ends TLS."""
    return serve_app(REDIRECT_URI=HTTPS_URI)


@pytest.fixture
def visit(https_app):
    """A function that asks the https app for a path, as its proxy would."""
    with requests.Session() as http:
        http.trust_env = False

        def ask(path: str, method: str = "GET", **headers: str) -> requests.Response:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            given = {"Host": "app.example", "Accept": "text/html"} | given
            url = f"http://127.0.0.1:{https_app.port}{path}"
            return http.request(method, url, headers=given, allow_redirects=False, timeout=20)

        yield ask


def raw(port: int, *lines: str | bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these very lines; status, headers and body of the answer."""
    sent = [line.encode("latin-1") if isinstance(line, str) else line for line in lines]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"\r\n".join([*sent, b"Connection: close", b"", b""]))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.title(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split()[1]), headers, body


# --- Headers ------------------------------------------------------------------------------------------------

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
    pytest.param("GET", "/static/style.css", {}, 200, id="static file"),
    pytest.param("GET", "/getAToken?state=x&code=x", {}, 400, id="error page"),
    pytest.param("GET", "/login", {"Sec-Purpose": "prefetch"}, 503, id="prefetch"),
    pytest.param("GET", "/healthz", {}, 200, id="health"),
    pytest.param("GET", "/call_downstream_api", {"Sec-Fetch-Mode": "cors"}, 401, id="JSON"),
    pytest.param("POST", "/logout", {"Origin": "https://evil.example"}, 403, id="403"),
    pytest.param("GET", "/getAToken", {"Host": "evil.example"}, 421, id="421"),
    pytest.param("GET", "/", {"Host": "evil.example"}, 302, id="redirect to the right host"),
    pytest.param("GET", "//token_details", {}, None, id="two slashes"),
]


@pytest.mark.parametrize("method, path, headers, status", ANSWERS)
def test_every_answer_has_the_security_headers(visit, method, path, headers, status):
    answer = visit(path, method, **headers)

    assert status is None or answer.status_code == status
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
    if not (path.startswith("/static/") and status == 200):
        assert "no-store" in answer.headers["Cache-Control"]
    if answer.text:
        assert "charset" in answer.headers["Content-Type"] or answer.headers["Content-Type"] in (
            "application/json",
            "image/svg+xml",
        )


def test_a_crash_has_the_security_headers_and_no_detail(serve_app, tenant):
    app = serve_app()

    @app.module.app.get("/crash")
    def crash() -> None:
        raise ZeroDivisionError("a detail")

    answer = requests.get(f"{app.url}/crash", headers={"Accept": "text/html"}, timeout=10)

    assert answer.status_code == 500
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "a detail" not in answer.text
    assert "Traceback" not in answer.text
    assert Forms(answer.text).links


def test_signed_in_answers_are_never_stored(browser):
    browser.sign_in()
    for path in ("/", "/token_details", "/call_downstream_api", "/edit_profile", "/nowhere", "/login"):
        answer = browser.get(path, follow=False)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert "Cookie" in answer.headers.get("Vary", "") or answer.status_code == 302, path


def test_without_https_there_is_no_promise_of_https(browser):
    assert "Strict-Transport-Security" not in browser.get("/").headers


def test_a_foreign_origin_is_not_let_in(browser):
    answer = browser.sign_in().get(
        "/token_details", Origin="https://evil.example", Sec_Fetch_Site="cross-site"
    )

    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_no_page_loads_or_runs_anything_from_elsewhere(browser):
    browser.sign_in()
    for path in ("/", "/token_details", "/call_downstream_api", "/nowhere", "/getAToken?code=x&state=x"):
        text = browser.get(path).text
        loaded = re.findall(r'(?:src|href|action)="([^"]*)"', text)
        assert all(urlsplit(urljoin(browser.app_url, url)).netloc == urlsplit(browser.app_url).netloc
                   for url in loaded)  # fmt: skip
        assert not re.search(r"<script|<style|\son\w+=|\sstyle=|javascript:", text)


# --- Cookies ------------------------------------------------------------------------------------------------


def cookies_of(answer: requests.Response) -> list[str]:
    return answer.raw.headers.getlist("Set-Cookie")


def session_cookie(answers: list[requests.Response]) -> str:
    return next(c for answer in answers for c in cookies_of(answer) if "b2c_session=" in c)


def test_cookies_without_https(browser):
    browser.sign_in()
    lines = [line for answer in browser.page.history for line in cookies_of(answer)]
    ours = [line for line in lines if line.startswith("b2c_")]

    assert {line.partition("=")[0].partition("flow_")[0] for line in ours} >= {"b2c_session", "b2c_"}
    for line in ours:
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
        assert "Path=/" in line
        assert "Domain" not in line
        assert "Secure" not in line


def sign_in_over_https(visit, tenant) -> list[requests.Response]:
    """Sign in by hand, for no client sends a Secure cookie over plain HTTP; the app's answers."""
    started = visit("/login")
    [flow] = cookies_of(started)
    with Browser(tenant.url, tenant) as person:
        person.get(started.headers["Location"])
        account = tenant.account
        person.submit("next", follow=False, email=account["email"], password=account["password"])
        back = urlsplit(person.page.headers["Location"])
    assert back.netloc == "app.example"
    return [started, visit(f"{back.path}?{back.query}", Cookie=flow.partition(";")[0])]


def test_cookies_with_https(visit, tenant):
    answers = sign_in_over_https(visit, tenant)
    lines = [line for answer in answers for line in cookies_of(answer)]
    session = session_cookie(answers).partition(";")[0]
    home = visit("/", Cookie=session)
    signed_out = visit("/logout", "POST", Cookie=session, Origin="https://app.example")
    lines += cookies_of(home) + cookies_of(signed_out)

    assert "Welcome, Ada Lovelace" in home.text
    assert len(lines) >= 5
    for line in lines:
        assert line.startswith("__Host-b2c_")
        assert "; Secure" in line
        assert "; HttpOnly" in line
        assert "; SameSite=Lax" in line
        assert "; Path=/" in line
        assert "Domain" not in line
        assert len(line.partition(";")[0]) <= 4096
    assert any(line.startswith("__Host-b2c_session=;") for line in cookies_of(signed_out))
    assert "Welcome, Ada" not in visit("/", Cookie=session).text


def test_the_ids_of_sessions_are_long_and_all_different(shared_app):
    records = shared_app.module.records
    ids = [records.start({"started": int(time.time()), "claims": {}}, "") for _ in range(1000)]
    for session_id in ids:
        records.end(session_id)

    assert len(set(ids)) == 1000
    assert min(map(len, ids)) >= 43
    shared = [sum(a == b for a, b in zip(ids[0], other, strict=True)) for other in ids[1:]]
    assert max(shared) < 20


def test_the_session_id_is_in_the_cookie_only(browser):
    browser.sign_in()
    session_id = browser.cookie("b2c_session")

    for path in ("/", "/token_details", "/call_downstream_api", "/edit_profile"):
        answer = browser.get(path, follow=False)
        assert session_id not in answer.text + answer.headers.get("Location", "")


JUNK = [
    pytest.param("", id="empty"),
    pytest.param("x", id="short"),
    pytest.param("a" * 43, id="made up"),
    pytest.param("../../etc/passwd", id="path"),
    pytest.param("x' OR '1'='1", id="SQL"),
    pytest.param("*", id="wildcard"),
    pytest.param("a" * 8000, id="8 kB"),
    pytest.param("%00%0d%0a", id="escapes"),
    pytest.param('"\\000\\012"', id="quoted octets"),
    pytest.param("\u00fc\u00e9", id="Latin-1"),
    pytest.param("\udcff\udc80".encode("utf-8", "surrogateescape").decode("latin-1"), id="no UTF-8"),
    pytest.param("eyJhbGciOiJub25lIn0.e30.", id="another framework's"),
    pytest.param("gAAAAABmf" + "A" * 300, id="sealed with a foreign key"),
]


@pytest.mark.parametrize("value", JUNK)
@pytest.mark.parametrize("name", ["session", "flow_x", "flow_", "notice", "tries"])
@pytest.mark.parametrize("path", ["/", "/login", "/getAToken?state=x&code=x"])
def test_a_junk_cookie_is_no_cookie(shared_app, path, name, value):
    host = f"localhost:{shared_app.port}"
    status, headers, body = raw(
        shared_app.port, f"GET {path} HTTP/1.1", f"Host: {host}", "Accept: text/html",
        f"Cookie: b2c_{name}={value}",
    )  # fmt: skip

    assert status == {"/": 200, "/login": 302}.get(path, 400)
    assert b"Sign out" not in body
    if path != "/login":
        assert "b2c_session" not in headers.get("Set-Cookie", "")


@pytest.mark.parametrize(
    "name", ["\u00fc", "a b", "x" * 3000, "<x>", "a,b", '"', "a(b)"], ids=lambda name: repr(name[:9])
)
@pytest.mark.parametrize("count", [1, 9])
def test_a_flow_cookie_with_an_odd_name_is_no_flow(shared_app, name, count):
    cookies = "; ".join(f"b2c_flow_{name}{n or ''}=x" for n in range(count))
    statuses = [
        raw(
            shared_app.port, f"GET {path} HTTP/1.1", f"Host: localhost:{shared_app.port}",
            "Accept: text/html", "Cookie: " + cookies,
        )[0]
        for path in ("/login", f"/getAToken?code=x&state={quote(name)}")
    ]  # fmt: skip

    assert statuses == [302, 400]


def test_many_flow_cookies_of_junk_stop_no_sign_in(shared_app):
    cookies = "; ".join(f"b2c_flow_{n}=\u00fc" for n in range(9))
    host = f"Host: localhost:{shared_app.port}"

    assert raw(shared_app.port, "GET /login HTTP/1.1", host, "Cookie: " + cookies)[0] == 302


def test_a_flow_cookie_of_another_state_is_no_flow(browser):
    """The seal is for one name: a value moved to another cookie opens nothing."""
    url = browser.callback_url()
    [(name, value)] = [pair for pair in browser.cookies.items() if pair[0].startswith("b2c_flow_")]
    cookie = f"b2c_flow_other={value}; b2c_session={value}; {name}=x"

    moved = requests.get(with_query(url, state="other"), headers={"Cookie": cookie}, timeout=10)
    home = requests.get(browser.app_url, headers={"Cookie": cookie}, timeout=10)

    assert moved.status_code == 400
    assert "Sign out" not in home.text


@pytest.mark.parametrize("order", ["theirs first", "ours first"])
def test_a_tossed_session_cookie_shows_nobody_elses_session(browser, shared_app, tenant, order):
    """Of two session cookies one was planted; whose it is cannot be told."""
    mallory = tenant.add_account("Mallory")
    with Browser(shared_app.url, tenant) as attacker:
        attacker.sign_in(email=mallory["email"], password=mallory["password"])
        planted = f"b2c_session={attacker.cookie('b2c_session')}"
        own = f"b2c_session={browser.sign_in().cookie('b2c_session')}"
        cookies = [planted, own] if order == "theirs first" else [own, planted]

        home = requests.get(browser.app_url, headers={"Cookie": "; ".join(cookies)}, timeout=10)

    assert home.status_code == 200
    assert "Mallory" not in home.text


def test_a_planted_session_id_is_never_taken_over(browser):
    planted = "known-to-somebody-" + "0" * 25
    browser.http.cookies.set("b2c_session", planted, domain="localhost.local", path="/")
    assert planted in browser.get("/").request.headers["Cookie"]
    browser.sign_in()

    answer = requests.get(browser.app_url, headers={"Cookie": f"b2c_session={planted}"}, timeout=10)
    assert "Sign out" not in answer.text
    assert browser.signed_in_as() == "Ada Lovelace"


def test_the_cookies_of_unfinished_sign_ins_fit_into_a_request(browser):
    """gunicorn takes 8190 bytes for one header and nginx 8 kB, by default."""
    for n in range(15):
        browser.get(
            f"/login?next=/token_details?{'x' * 450}{n}&login_hint={'a' * 200}@example.com", follow=False
        )

    assert browser.page.status_code == 302
    cookie = browser.page.request.headers["Cookie"]
    assert len(cookie) < 8000
    flows = [value for name, value in browser.cookies.items() if name.startswith("b2c_flow_")]
    assert max(map(len, flows)) < 4000
    browser.sign_in()
    assert browser.signed_in_as() == "Ada Lovelace"


def test_many_starts_leave_the_newest_able_to_finish(browser):
    urls = [browser.callback_url() for _ in range(12)]

    statuses = [browser.get(url).status_code for url in urls]

    assert statuses[-3:] == [200, 200, 200]
    assert set(statuses) == {400, 200}


# --- Host ---------------------------------------------------------------------------------------------------

HOSTS = ["evil.example", "localhost", "localhost:1", "evil.example:{port}", "localhost:{port}@evil.example",
         "evil.example@localhost:{port}", "localhost:{port}.evil.example", "", "local host", "[::1]:{port}",
         "localhost:{port}/x", "\u00fc", "localhost:{port}, evil.example"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host.replace("{port}", "PORT")))
@pytest.mark.parametrize("path", ["/", "/login?next=/token_details", "/nowhere", "/getAToken?code=x&state=x"])
def test_a_forged_host_reaches_no_url(shared_app, host, path):
    status, headers, body = raw(
        shared_app.port,
        f"GET {path} HTTP/1.1",
        f"Host: {host.format(port=shared_app.port)}",
        "Accept: text/html",
    )

    assert status in (302, 400, 421)
    assert status != 302 or headers["Location"] == shared_app.url + path
    assert b"evil" not in body
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/", "/login", "/token_details?a=b"])
def test_a_forwarded_host_beside_a_wrong_one_is_refused(shared_app, path):
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


@pytest.mark.parametrize("path", ["/", "/nowhere", "/healthz", "/login", "/static/style.css", "/getAToken"])
@pytest.mark.parametrize("host", MALFORMED_HOSTS.values(), ids=MALFORMED_HOSTS)
def test_a_malformed_host_breaks_nothing(shared_app, host, path):
    status, headers, _ = raw(shared_app.port, f"GET {path} HTTP/1.1", f"Host: {host}", "Accept: text/html")

    assert status in ((200,) if path == "/healthz" else (302, 400, 421))
    assert headers.get("Location", shared_app.url).startswith(shared_app.url)


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
def test_a_forged_forwarding_header_changes_nothing(browser, name):
    forged = {name.replace("-", "_"): FORWARDED[name]}
    home = browser.get("/", **forged)
    started = browser.get("/login", follow=False, **forged)

    assert home.status_code == 200
    assert "evil" not in home.text + str(home.headers)
    assert parameters(started.headers["Location"])["redirect_uri"] == f"{browser.app_url}/getAToken"
    browser.get("/")
    browser.sign_in()
    signed_out = browser.post("/logout", follow=False, **forged)
    back = parameters(signed_out.headers["Location"])["post_logout_redirect_uri"]
    assert back == f"{browser.app_url}/"


def test_an_absolute_request_line_counts_as_the_host(shared_app):
    port = shared_app.port
    foreign = raw(port, "GET http://evil.example/login HTTP/1.1", f"Host: localhost:{port}")
    own = raw(port, f"GET http://localhost:{port}/ HTTP/1.1", f"Host: localhost:{port}")

    assert foreign[0] in (302, 400, 421)
    assert "evil" not in foreign[1].get("Location", "")
    assert own[0] == 200


def test_the_newcomers_address_leads_to_the_right_one(shared_app):
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
def test_what_cannot_be_redirected_is_refused_at_the_wrong_host(shared_app, method, path):
    url = f"http://127.0.0.1:{shared_app.port}{path}"

    answer = requests.request(method, url, headers={"Accept": "text/html"}, allow_redirects=False, timeout=10)

    assert answer.status_code == 421
    assert "Location" not in answer.headers
    assert shared_app.url in answer.text


def test_a_load_balancer_may_ask_for_the_health_by_any_name(shared_app):
    answer = requests.get(f"http://127.0.0.1:{shared_app.port}/healthz", timeout=10)

    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_a_path_cannot_write_a_line_of_its_own_into_the_log(shared_app, caplog):
    for host in ("evil.example", f"localhost:{shared_app.port}"):
        for path in ("/x%0d%0aWARNING%20forged", "/getAToken%0aforged?state=x", "/static/%0aforged"):
            raw(shared_app.port, f"GET {path} HTTP/1.1", f"Host: {host}", "Accept: text/html")

    assert not [message for message in caplog.messages if "\n" in message or "\r" in message]


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
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_address_breaks_the_app(shared_app, host, target):
    status, headers, _ = raw(
        shared_app.port,
        b"GET " + target + b" HTTP/1.1",
        f"Host: {host}:{shared_app.port}",
        "Accept: text/html",
    )

    assert status < 500
    assert headers.get("Location", "http://").startswith(("http://", "/"))


def test_two_slashes_in_a_path_do_not_lead_away_from_https(visit):
    answer = visit("//token_details")

    assert "http://" not in answer.headers.get("Location", "")


# --- Open redirects -----------------------------------------------------------------------------------------

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
    "/\r\nSet-Cookie: b2c_session=evil",
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
def module_browser(shared_app, running_tenant):
    with Browser(shared_app.url, Tenant(running_tenant)) as browser:
        yield browser.sign_in()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: repr(vector[:40]))
def test_no_next_leads_out_of_the_site(module_browser, vector):
    browser = module_browser
    url = with_query(f"{browser.app_url}/login", next=vector)
    browser.get(url, follow=False)
    assert urlsplit(browser.page.headers["Location"]).netloc == urlsplit(browser.tenant.url).netloc

    browser.follow()  # single sign-on brings the response at once
    browser.follow()

    location = browser.page.headers["Location"]
    assert browser.page.status_code == 303
    assert as_a_browser_resolves(browser.app_url, location) == urlsplit(browser.app_url).netloc
    assert location.startswith("/")
    assert urlsplit(location).path not in ("/login", "/logout", "/getAToken")
    assert "\r" not in location
    assert "evil" not in browser.page.headers.get("Set-Cookie", "")


@pytest.mark.parametrize(
    "path",
    ["/login", "/edit_profile", "/reset_password", "/call_downstream_api", "/", "/logout", "/token_details"],
)
@pytest.mark.parametrize(
    "name", ["next", "redirect_uri", "post_logout_redirect_uri", "return_to", "url", "p", "policy", "iss",
             "prompt", "response_mode", "scope", "client_id", "state", "nonce"]
)  # fmt: skip
def test_no_parameter_of_any_page_leads_out_of_the_site(module_browser, path, name):
    answer = module_browser.get(f"{path}?{name}=//{EVIL}/x", follow=False, Sec_Fetch_Site="cross-site")

    hosts = {urlsplit(module_browser.app_url).netloc, urlsplit(module_browser.tenant.url).netloc}
    location = answer.headers.get("Location", "/")
    assert as_a_browser_resolves(module_browser.app_url, location) in hosts
    assert EVIL not in location
    assert EVIL not in "".join(re.findall(r'(?:href|action|src)="([^"]*)"', answer.text))


@pytest.mark.parametrize("page", ["/edit_profile", "/reset_password"])
def test_no_next_of_another_user_flow_leads_out_of_the_site(browser, page):
    browser.sign_in()
    for vector in (f"//{EVIL}", f"/\\{EVIL}", f"/\t/{EVIL}", f"https://{EVIL}"):
        browser.get(with_query(browser.app_url + page, next=vector), follow=False)
        state = parameters(browser.page.headers["Location"])["state"]
        browser.get(
            with_query(f"{browser.app_url}/getAToken", state=state, error="access_denied"), follow=False
        )

        assert browser.page.headers["Location"] == "/"


@pytest.mark.parametrize(
    "path", ["/token_details", "/token_details?a=b&c=%20d", "/x/y;z?q#f", "/~user/(1)!*'"]
)
def test_the_page_asked_for_is_where_the_user_comes_back_to(module_browser, path):
    module_browser.get(with_query(f"{module_browser.app_url}/login", next=path), follow=False)
    module_browser.follow()
    module_browser.follow()

    assert module_browser.page.headers["Location"] == path


# --- Scripts ------------------------------------------------------------------------------------------------

SCRIPTS = [
    pytest.param({"Sec-Fetch-Mode": "cors"}, id="fetch"),
    pytest.param({"Sec-Fetch-Mode": "same-origin"}, id="fetch, same-origin"),
    pytest.param({"X-Requested-With": "XMLHttpRequest"}, id="XMLHttpRequest"),
    pytest.param({"Accept": "application/json"}, id="asks for JSON"),
]


@pytest.mark.parametrize("headers", SCRIPTS)
@pytest.mark.parametrize("path", ["/call_downstream_api", "/token_details", "/edit_profile"])
def test_a_script_that_needs_a_sign_in_gets_its_address_in_json(browser, path, headers):
    answer = browser.get(path, follow=False, **headers)

    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["WWW-Authenticate"]
    sign_in = urlsplit(answer.json()["sign_in_uri"])
    assert f"{sign_in.scheme}://{sign_in.netloc}{sign_in.path}" == f"{browser.app_url}/login"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("headers", SCRIPTS)
def test_a_script_gets_errors_in_json(browser, headers):
    answer = browser.get("/nowhere", **headers)

    assert answer.status_code == 404
    assert answer.json()["error"]


# --- Sign-out and sign-in that nobody asked for -------------------------------------------------------------

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
    pytest.param("GET", {"Sec-Fetch-Site": "none"}, ENDED, id="typed"),
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


@pytest.mark.parametrize("method, headers, kept", SIGN_OUTS)
def test_only_the_user_signs_the_user_out(browser, method, headers, kept):
    browser.sign_in()
    given = {name: value.format(app=browser.app_url) for name, value in headers.items()}

    answer = browser.http.request(
        method, f"{browser.app_url}/logout", headers={"Accept": "text/html"} | given, allow_redirects=False
    )

    assert answer.status_code != 500
    assert (browser.signed_in_as() == "Ada Lovelace") is kept
    if not kept:
        assert answer.status_code == 303


def test_the_page_that_asks_before_signing_out_has_the_button(browser):
    browser.sign_in().get("/logout", Sec_Fetch_Site="cross-site")

    assert browser.page.status_code == 200
    form = next(form for form in Forms(browser.page.text).forms if form["action"] == "/logout")
    browser.post(form["action"])
    assert browser.signed_in_as() is None


@pytest.mark.parametrize("path", ["/login", "/call_downstream_api", "/edit_profile"])
@pytest.mark.parametrize("dest", ["document", "iframe"])
def test_another_site_starts_no_sign_in(browser, tenant, path, dest):
    answer = browser.get(
        path, follow=False, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=dest
    )

    assert answer.status_code in (200, 401)
    assert "Set-Cookie" not in answer.headers
    assert tenant.seen("authorize") == []
    assert Forms(answer.text).links["Sign in"].startswith("/login")


def test_a_sign_in_page_shown_for_another_site_keeps_the_way_back_on_this_site(browser):
    answer = browser.get("/login?next=//evil.example", follow=False, Sec_Fetch_Site="cross-site")

    assert "evil" not in answer.text


def test_signing_out_without_a_session_is_no_error(browser):
    answer = browser.post("/logout", follow=False)

    assert answer.status_code == 303


@pytest.mark.parametrize("order", [1, -1], ids=["ours first", "theirs first"])
def test_signing_out_with_two_session_cookies_ends_both(browser, shared_app, tenant, order):
    """One of them was planted, and the user wants out whichever it is."""
    with Browser(shared_app.url, tenant) as other:
        ids = [browser.sign_in().cookie("b2c_session"), other.sign_in().cookie("b2c_session")][::order]
        headers = {
            "Cookie": "; ".join(f"b2c_session={session_id}" for session_id in ids),
            "Origin": shared_app.url,
            "Sec-Fetch-Site": "same-origin",
        }

        answer = requests.post(f"{shared_app.url}/logout", headers=headers, allow_redirects=False, timeout=10)

        assert answer.status_code == 303
        assert browser.signed_in_as() is None
        assert other.signed_in_as() is None


@pytest.mark.parametrize("cookie", ["", "b2c_session=", "b2c_session=; b2c_session=", "b2c_session=x"])
def test_signing_out_with_a_worthless_cookie_is_no_error(shared_app, cookie):
    headers = {"Cookie": cookie, "Origin": shared_app.url, "Sec-Fetch-Site": "same-origin"}

    answer = requests.post(f"{shared_app.url}/logout", headers=headers, allow_redirects=False, timeout=10)

    assert answer.status_code == 303


def test_signing_out_ends_this_session_only(browser, shared_app, tenant):
    with Browser(shared_app.url, tenant) as elsewhere:
        elsewhere.sign_in()
        browser.sign_in().post("/logout")

        assert elsewhere.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("changes", [{"set": {"state": "x"}}, {"set": {"error": "x"}}, {"drop": ["state"]}])
def test_the_way_back_from_the_tenants_sign_out_takes_any_parameters(browser, tenant, changes):
    """oidcc-client-test-rp-init-logout, -other-state and -no-state."""
    tenant.misbehave(logout=changes)

    browser.sign_in().post("/logout")

    assert browser.page.status_code == 200
    assert "You are signed out" in browser.text


def test_a_signed_out_cookie_is_worthless_everywhere(browser):
    browser.sign_in()
    kept = {"Cookie": f"b2c_session={browser.cookie('b2c_session')}", "Accept": "text/html"}
    browser.post("/logout")

    pages = {
        path: requests.get(browser.app_url + path, headers=kept, allow_redirects=False, timeout=10)
        for path in ("/", "/token_details", "/call_downstream_api", "/edit_profile")
    }
    assert [page.status_code for page in pages.values()] == [200, 401, 302, 302]
    assert not any("Ada" in page.text for page in pages.values())
    assert not any("b2c_session" in page.headers.get("Set-Cookie", "") for page in pages.values())


def test_many_requests_at_once_with_a_session_never_mix_users_up(browser, shared_app, tenant):
    bob = tenant.add_account("Bob")
    with Browser(shared_app.url, tenant) as second:
        second.sign_in(email=bob["email"], password=bob["password"])
        browser.sign_in()
        cookies = {name: b.cookie("b2c_session") for name, b in (("Ada Lovelace", browser), ("Bob", second))}

        def ask(name: str) -> bool:
            headers = {"Cookie": f"b2c_session={cookies[name]}", "Accept": "text/html"}
            page = requests.get(f"{browser.app_url}/call_downstream_api", headers=headers, timeout=20)
            return page.status_code == 200 and f"&#34;{name}&#34;" in page.text

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(ask, ["Ada Lovelace", "Bob"] * 10))


def test_an_id_of_a_sealed_record_is_no_session_of_another_kind(browser, shared_app):
    """A cookie cannot name the record of tokens, or a lock, as if it were a session."""
    sid = browser.sign_in().cookie("b2c_session")

    for name in (f"tokens:{sid}", f"session:{sid}", f"lock:{sid}", sid.upper(), sid + " ", sid[:-1]):
        page = requests.get(browser.app_url, headers={"Cookie": f'b2c_session="{name}"'}, timeout=10)
        assert page.status_code == 200
        assert "Sign out" not in page.text


@pytest.mark.parametrize("port", ["443", ""], ids=["named", "left out"])
def test_the_default_port_may_be_named_in_the_redirect_uri(serve_app, tenant, port):
    """A browser leaves the default port out of Host; that must not lead round and round."""
    uri = f"https://app.example{':' + port if port else ''}/getAToken"
    app = serve_app(REDIRECT_URI=uri)

    answer = requests.get(
        f"http://127.0.0.1:{app.port}/", headers={"Host": "app.example"}, allow_redirects=False, timeout=10
    )

    assert answer.status_code == 200
