"""The app's cookies: their attributes, their size, and cookies that somebody else has made."""

from urllib.parse import quote, urlsplit

import pytest
import requests

from tests.app.conftest import Visit
from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, greeted, send_lines, set_cookies, with_query
from tests.helpers.tenant import Tenant


def cookie_named(name: str, answer: requests.Response) -> str:
    """The cookie that the answer sets, as a browser sends it back."""
    return next(line for line in set_cookies(answer) if line.startswith(f"{name}=")).partition(";")[0]


def test_cookies_without_https_are_for_this_host_and_no_script(browser: Browser) -> None:
    browser.sign_in()
    lines = [line for answer in browser.page.history for line in set_cookies(answer)]
    ours = [line for line in lines if line.startswith("signin_")]

    assert {line.split("=")[0].split("_")[1] for line in ours} >= {"flow", "session", "notice"}
    for line in ours:
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))
        assert "Domain" not in line
        assert "Secure" not in line


def sign_in_over_https(visit_https: Visit, tenant: Tenant) -> list[requests.Response]:
    """Sign in by hand, for no client sends a Secure cookie over plain HTTP. Returns the app's two answers."""
    started = visit_https("/login")
    [flow] = set_cookies(started)
    with Browser(tenant.url, tenant) as person:
        person.get(started.headers["Location"])
        person.enter_password(follow=False)
        back = urlsplit(person.location)
    assert back.netloc == "app.example"
    return [started, visit_https(f"{back.path}?{back.query}", Cookie=flow.partition(";")[0])]


def test_cookies_with_https_are_for_this_host_and_https_alone(visit_https: Visit, tenant: Tenant) -> None:
    answers = sign_in_over_https(visit_https, tenant)
    session = cookie_named("__Host-signin_session", answers[1])
    answers.append(visit_https("/", Cookie=session))
    answers.append(visit_https("/logout", "POST", Cookie=session, Origin="https://app.example"))
    lines = [line for answer in answers for line in set_cookies(answer)]

    assert "Welcome, Ada Lovelace" in answers[2].text
    assert len(lines) >= 5
    for line in lines:
        assert line.startswith("__Host-signin_")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))
        assert "Domain" not in line
        assert len(line.partition(";")[0]) <= 4096
    assert cookie_named("__Host-signin_session", answers[3]) == "__Host-signin_session="
    assert "Welcome, Ada" not in visit_https("/", Cookie=session).text


def test_the_session_id_is_in_the_cookie_only(browser: Browser) -> None:
    browser.sign_in()
    session_id = browser.session_id
    assert session_id

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


def send_cookie(app: RunningApp, path: str, cookie: str) -> tuple[int, dict[str, str], bytes]:
    """Send a request with exactly this Cookie header."""
    host = f"Host: localhost:{app.port}"
    return send_lines(app.port, f"GET {path} HTTP/1.1", host, "Accept: text/html", f"Cookie: {cookie}")


@pytest.mark.parametrize("value", JUNK)
def test_a_junk_session_cookie_is_no_session(shared_app: RunningApp, value: str) -> None:
    status, headers, body = send_cookie(shared_app, "/", f"signin_session={value}")

    assert status == 200
    assert b"Sign out" not in body
    assert "signin_session" not in headers.get("Set-Cookie", "")


@pytest.mark.parametrize("value", JUNK)
def test_a_junk_flow_cookie_is_no_pending_sign_in(shared_app: RunningApp, value: str) -> None:
    status, headers, body = send_cookie(
        shared_app, "/getAToken?state=made-up-state&code=x", f"signin_flow_made-up-state={value}"
    )

    assert status == 400
    assert b"This sign-in cannot be completed" in body
    assert "signin_session" not in headers.get("Set-Cookie", "")


@pytest.mark.parametrize("value", JUNK)
def test_a_junk_flow_cookie_stops_no_new_sign_in(shared_app: RunningApp, value: str) -> None:
    assert send_cookie(shared_app, "/login", f"signin_flow_made-up-state={value}")[0] == 302


@pytest.mark.parametrize("name", ["notice", "tries", "interaction", "flow_", "unknown"])
def test_junk_in_any_other_cookie_breaks_no_page(shared_app: RunningApp, name: str) -> None:
    paths = {"/": 200, "/login": 302, "/call_downstream_api": 302, "/getAToken?state=x&code=x": 400}
    for value in ("", "99999999999", "\u00fc", "../../etc/passwd"):
        statuses = {path: send_cookie(shared_app, path, f"signin_{name}={value}")[0] for path in paths}
        assert statuses == paths, value


@pytest.mark.parametrize(
    "name", ["\u00fc", "a b", "x" * 3000, "<x>", "a,b", '"', "a(b)"], ids=lambda name: repr(name[:9])
)
def test_a_flow_cookie_with_an_odd_name_is_no_flow(shared_app: RunningApp, name: str) -> None:
    cookie = f"signin_flow_{name}=x"

    login, login_headers, _ = send_cookie(shared_app, "/login", cookie)
    callback, callback_headers, _ = send_cookie(shared_app, f"/getAToken?code=x&state={quote(name)}", cookie)

    assert (login, callback) == (302, 400)
    assert name not in login_headers["Set-Cookie"]
    assert "Set-Cookie" not in callback_headers


@pytest.mark.parametrize("name", ["", "\u00fc", "x" * 700], ids=["numbers", "not ASCII", "long"])
def test_many_flow_cookies_of_junk_stop_no_sign_in(shared_app: RunningApp, name: str) -> None:
    cookies = "; ".join(f"signin_flow_{name}{n}=\u00fc" for n in range(9))

    assert send_cookie(shared_app, "/login", cookies)[0] == 302


def test_a_flow_cookie_of_another_state_is_no_flow(browser: Browser) -> None:
    """The seal is for one name: a value moved to another cookie opens nothing."""
    url = browser.callback_url()
    [(name, value)] = [pair for pair in browser.cookies.items() if pair[0].startswith("signin_flow_")]
    cookie = f"signin_flow_other={value}; signin_session={value}; {name}=x"

    moved = requests.get(with_query(url, state="other"), headers={"Cookie": cookie}, timeout=10)
    home = requests.get(browser.app_url, headers={"Cookie": cookie}, timeout=10)

    assert moved.status_code == 400
    assert "Sign out" not in home.text


@pytest.mark.parametrize("order", ["theirs first", "ours first"])
def test_of_two_session_cookies_neither_is_trusted(
    browser: Browser, shared_app: RunningApp, tenant: Tenant, order: str
) -> None:
    """Two session cookies mean that one was injected. Trust neither."""
    mallory = tenant.add_account("Mallory")
    with Browser(shared_app.url, tenant) as attacker:
        attacker.sign_in(email=mallory["email"])
        planted = f"signin_session={attacker.session_id}"
        own = f"signin_session={browser.sign_in().session_id}"
        cookies = [planted, own] if order == "theirs first" else [own, planted]

        home = requests.get(browser.app_url, headers={"Cookie": "; ".join(cookies)}, timeout=10)

    assert (home.status_code, greeted(home)) == (200, None)


def test_an_id_of_a_sealed_record_is_no_session_of_another_kind(
    browser: Browser, shared_app: RunningApp
) -> None:
    """A cookie cannot name the record of tokens, or a lock, as if it were a session."""
    sid = browser.sign_in().session_id
    assert sid

    for name in (f"tokens:{sid}", f"session:{sid}", f"lock:{sid}", sid.upper(), sid + " ", sid[:-1]):
        page = requests.get(browser.app_url, headers={"Cookie": f'signin_session="{name}"'}, timeout=10)
        assert page.status_code == 200
        assert "Sign out" not in page.text


def test_the_cookies_of_unfinished_sign_ins_fit_into_a_request(browser: Browser) -> None:
    """gunicorn takes 8190 bytes for one header and nginx 8 kB, by default."""
    for n in range(15):
        browser.get(
            f"/login?next=/token_details?{'x' * 450}{n}&login_hint={'a' * 200}@example.com", follow=False
        )

    assert browser.page.status_code == 302
    cookie = browser.page.request.headers["Cookie"]
    assert len(cookie) < 8000
    flows = [value for name, value in browser.cookies.items() if name.startswith("signin_flow_")]
    assert max(map(len, flows)) < 4000
    browser.sign_in()
    assert browser.signed_in_as() == "Ada Lovelace"


def test_many_starts_leave_the_newest_able_to_finish(browser: Browser) -> None:
    urls = [browser.callback_url() for _ in range(12)]

    statuses = [browser.get(url).status_code for url in urls]

    assert statuses[-3:] == [200, 200, 200]
    assert set(statuses) == {400, 200}
