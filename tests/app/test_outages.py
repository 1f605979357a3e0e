"""A tenant that is down, from the start or later."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.helpers.app import RunningApp, ServeApp, failures
from tests.helpers.browser import Browser, assert_page
from tests.helpers.engine import wait_at_most
from tests.helpers.tenant import Fault, Tenant

DOWN = [
    pytest.param({"status": 500}, 503, id="500"),
    pytest.param({"status": 429, "headers": {"Retry-After": "3"}}, 503, id="429"),
    pytest.param({"reset": True}, 503, id="reset"),
    pytest.param({"status": 200, "body": "<html>"}, 503, id="HTML"),
    pytest.param({"status": 200, "body": ""}, 503, id="nothing"),
    pytest.param({"status": 200, "body": "[" * 200_000}, 503, id="deeply nested"),
    pytest.param({"status": 404, "body": "<html>"}, 502, id="404"),
    pytest.param({"status": 302, "headers": {"Location": "https://evil.example"}}, 502, id="redirect"),
]


@pytest.fixture(scope="module")
def unmet_app(serve_app: ServeApp) -> RunningApp:
    """An app that never gets the tenant's metadata."""
    return serve_app()


@pytest.mark.parametrize("fault, status", DOWN)
def test_a_tenant_that_is_down_from_the_start_is_a_page(
    unmet_app: RunningApp, tenant: Tenant, caplog: pytest.LogCaptureFixture, fault: Fault, status: int
) -> None:
    tenant.misbehave(discovery=fault)
    with Browser(unmet_app.url, tenant) as browser:
        browser.get("/login", follow=False)

        assert_page(browser.page, status)
        assert browser.page.elapsed.total_seconds() < 2
        assert len(failures(caplog)) == 1
        assert browser.get("/").status_code == 200
        assert browser.get("/logout").status_code == 200


def test_the_first_sign_in_after_an_outage_works_at_once(serve_app: ServeApp, tenant: Tenant) -> None:
    tenant.misbehave(discovery={"status": 503})
    app = serve_app()
    with Browser(app.url, tenant) as browser:
        assert browser.get("/login").status_code == 503
        tenant.recover()
        browser.sign_in()

        assert browser.signed_in_as() == "Ada Lovelace"


def test_requests_do_not_queue_for_a_tenant_that_hangs(
    serve_app: ServeApp, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that wait for the metadata together give up together, not one time limit after the other."""
    app = serve_app()
    wait_at_most(monkeypatch, 0.4)
    tenant.misbehave(discovery={"hold": "for too long"})

    def begin_sign_in(_: int) -> requests.Response:
        with Browser(app.url, tenant) as browser:
            return browser.get("/login", follow=False)

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(begin_sign_in, range(5)))

    assert [answer.status_code for answer in answers] == [503] * 5
    assert max(answer.elapsed.total_seconds() for answer in answers) < 1.6


def test_signed_in_pages_work_while_the_tenant_is_down(
    browser: Browser, tenant: Tenant, take_tenant_down: Callable[[], None]
) -> None:
    browser.sign_in()
    take_tenant_down()

    pages = [browser.get(path).status_code for path in ("/", "/token_details", "/call_downstream_api")]

    assert pages == [200, 200, 200]


def test_an_app_restarted_while_the_tenant_is_down_uses_the_tokens_it_holds(
    serve_app: ServeApp, tenant: Tenant, take_tenant_down: Callable[[], None]
) -> None:
    before = serve_app()
    with Browser(before.url, tenant) as browser:
        browser.sign_in()
        take_tenant_down()
        kept = {name: before.environ[name] for name in ("REDIRECT_URI", "SESSION_DIR")}
        after = serve_app(**kept)
        statuses = [
            browser.get(f"http://localhost:{after.port}{path}", Host=f"localhost:{before.port}").status_code
            for path in ("/", "/token_details", "/call_downstream_api")
        ]

    assert statuses == [200, 200, 200]


def test_an_expired_token_while_the_tenant_is_down_is_503_and_the_session_lives_on(
    browser: Browser, tenant: Tenant, take_tenant_down: Callable[[], None]
) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    take_tenant_down()

    assert_page(browser.get("/call_downstream_api"), 503)
    assert browser.page.headers["Retry-After"]
    assert browser.signed_in_as() == "Ada Lovelace"
    tenant.recover()
    assert browser.get("/call_downstream_api").status_code == 200


def test_sign_out_works_while_the_tenant_is_down(
    browser: Browser, take_tenant_down: Callable[[], None]
) -> None:
    browser.sign_in()
    take_tenant_down()

    browser.post("/logout", follow=False)

    assert browser.page.status_code == 303
    assert browser.signed_in_as() is None


def test_sign_out_works_at_an_app_that_never_met_the_tenant(
    serve_app: ServeApp, tenant: Tenant, take_tenant_down: Callable[[], None]
) -> None:
    before = serve_app()
    with Browser(before.url, tenant) as browser:
        browser.sign_in()
        take_tenant_down()
        after = serve_app(
            REDIRECT_URI=before.environ["REDIRECT_URI"], SESSION_DIR=before.environ["SESSION_DIR"]
        )
        browser.post(f"http://localhost:{after.port}/logout", follow=False, Host=f"localhost:{before.port}")

        assert browser.page.status_code == 303
        assert browser.location == "/"
        assert browser.signed_in_as() is None


def test_a_flow_begun_before_an_outage_is_a_page_and_can_be_begun_again(
    browser: Browser, tenant: Tenant, take_tenant_down: Callable[[], None], warm: None
) -> None:
    url = browser.callback_url()
    take_tenant_down()
    assert_page(browser.get(url, follow=False), 503)
    tenant.recover()

    browser.sign_in()

    assert browser.signed_in_as() == "Ada Lovelace"
