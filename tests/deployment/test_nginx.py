"""Two instances of the app behind nginx with TLS, as tests/nginx.conf has it, with sessions in one Redis."""

import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.deployment.conftest import Site
from tests.helpers.browser import Browser, parameters, set_cookies
from tests.helpers.processes import Gunicorn
from tests.helpers.tenant import Tenant

SESSION = "__Host-signin_session"


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


@pytest.fixture
def browser(site: Site, tenant: Tenant) -> Iterator[Browser]:
    """A browser that trusts the site's certificate."""
    with Browser(site.url, tenant) as browser:
        browser.http.verify = site.authority
        yield browser


@pytest.fixture
def kill_one(site: Site) -> Iterator[Callable[[], None]]:
    """A function that kills the first instance; it is started again after the test."""
    yield lambda: kill(site.instances[0])
    if site.instances[0].process.poll() is not None:
        site.instances[0].start()


def kill(instance: Gunicorn) -> None:
    """Kill an instance with its workers, as systemd and containers do it."""
    for pid in (instance.process.pid, *instance.children()):
        os.kill(pid, signal.SIGKILL)
    instance.stop(signal.SIGKILL)


def test_sign_in_api_call_and_sign_out(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    assert "Welcome, Ada Lovelace" in browser.text
    assert browser.page.url == f"{browser.app_url}/"
    assert browser.get("/call_downstream_api").status_code == 200
    browser.post("/logout")

    assert "You are signed out" in browser.text
    assert browser.session_id is None
    [logout] = tenant.seen("logout")
    assert logout["query"]["post_logout_redirect_uri"] == [f"{browser.app_url}/"]


def test_both_instances_know_the_user(site: Site, browser: Browser) -> None:
    browser.sign_in()
    cookie = f"{SESSION}={browser.session_id}"
    headers = {"Cookie": cookie, "Host": f"localhost:{site.port}"}
    pages = [requests.get(instance.url, headers=headers, timeout=10).text for instance in site.instances]

    assert all("Welcome, Ada Lovelace" in page for page in pages)


def test_every_cookie_is_for_this_host_and_https_alone(site: Site, browser: Browser) -> None:
    steps = [browser.get("/login", follow=False)]
    browser.follow()
    browser.enter_password(follow=False)
    steps += [browser.get(browser.location, follow=False), browser.get("/")]
    steps += [browser.post("/logout", follow=False)]
    cookies = [cookie for step in steps for cookie in set_cookies(step)]

    assert {cookie.split("=")[0].split("_")[3] for cookie in cookies} >= {"flow", "session", "notice"}
    for cookie in cookies:
        name, *attributes = (part.strip() for part in cookie.split(";"))
        assert name.startswith("__Host-signin_")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
        assert not any(attribute.lower().startswith("domain") for attribute in attributes)


def test_plain_http_leads_to_https(site: Site) -> None:
    page = requests.get(
        f"http://127.0.0.1:{site.plain_port}/login?next=/",
        headers={"Host": "localhost"},
        timeout=10,
        allow_redirects=False,
    )

    assert page.status_code == 301
    assert page.headers["Location"] == "https://localhost/login?next=/"


def test_the_redirect_uri_is_the_configured_one(site: Site) -> None:
    location = site.get("/login", **{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"})

    assert parameters(location.headers["Location"])["redirect_uri"] == f"{site.url}/getAToken"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1"])
def test_another_host_is_refused(site: Site, host: str) -> None:
    page = site.get(Host=host)

    assert page.status_code == 421
    assert "evil" not in page.text


def test_a_port_that_is_not_the_sites_leads_to_the_right_one(site: Site) -> None:
    page = site.get("/login", Host="localhost:1")

    assert page.status_code == 421
    assert f'href="{site.url}/"' in page.text


def test_another_name_gets_no_certificate(site: Site) -> None:
    context = ssl.create_default_context(cafile=site.authority)
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    with connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection, server_hostname="evil.example")


def test_an_instance_that_is_killed_in_the_middle_of_a_sign_in_loses_nothing(
    site: Site, browser: Browser, kill_one: Callable[[], None]
) -> None:
    callback = browser.callback_url()
    kill_one()
    browser.get(callback)

    assert browser.page.status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"
    assert browser.get("/call_downstream_api").status_code == 200
    browser.post("/logout")
    assert "You are signed out" in browser.text


def test_requests_while_an_instance_is_killed_are_all_answered(
    site: Site, browser: Browser, kill_one: Callable[[], None]
) -> None:
    """Those inside a killed instance go to the other one: nginx asks again for what changes nothing."""
    browser.sign_in()
    cookie = f"{SESSION}={browser.session_id}"
    with ThreadPoolExecutor(4) as pool:
        pages = [pool.submit(site.get, "/", Cookie=cookie) for _ in range(60)]
        kill_one()
        pages += [pool.submit(site.get, "/", Cookie=cookie) for _ in range(20)]

    assert [page.result().status_code for page in pages] == [200] * 80
    assert all("Welcome, Ada Lovelace" in page.result().text for page in pages)


def test_a_rolling_restart_fails_no_request(site: Site, browser: Browser) -> None:
    browser.sign_in()
    cookie = f"{SESSION}={browser.session_id}"
    done = threading.Event()
    pages: list[requests.Response] = []

    def trickle() -> None:
        while not done.wait(0.05):
            pages.append(site.get("/", Cookie=cookie))

    with ThreadPoolExecutor(1) as pool:
        visitor = pool.submit(trickle)
        try:
            for instance in site.instances:
                instance.stop()
                instance.start()
        finally:
            done.set()
    visitor.result()

    assert len(pages) > 20
    assert {page.status_code for page in pages} == {200}
    assert all("Welcome, Ada Lovelace" in page.text for page in pages)


def test_a_long_code_and_many_pending_sign_ins_pass(site: Site, browser: Browser) -> None:
    for tab in range(9):
        browser.get(f"/login?next=/token_details?tab={tab}", follow=False)
        assert browser.page.status_code == 302
    page = browser.get(f"/getAToken?state=unknown&code={'A' * 7000}")

    assert page.status_code == 400
    assert "This sign-in cannot be completed" in browser.text


def test_the_log_of_nginx_holds_no_code(site: Site, browser: Browser) -> None:
    browser.sign_in()
    log = site.log.read_text()

    assert '"GET /getAToken"' in log
    assert "code=" not in log
    assert "state=" not in log
