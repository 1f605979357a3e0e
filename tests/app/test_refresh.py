"""Access tokens that have run out: refreshed once, or a way through sign-in."""

import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
import requests

from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, assert_page, parameters
from tests.helpers.engine import LEASE_SECONDS, wait_for_locks_at_most
from tests.helpers.outcomes import state_of
from tests.helpers.stores import Instances, User, visit
from tests.helpers.tenant import Fault, Held, Tenant


def test_an_access_token_is_refreshed_when_it_has_run_out(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    tenant.forget_requests()

    pages = [browser.get("/call_downstream_api").status_code for _ in range(3)]

    assert pages == [200, 200, 200]
    assert [token["form"]["grant_type"] for token in tenant.seen("token")] == [["refresh_token"]]


def test_a_refreshed_id_token_need_not_repeat_the_nonce(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.misbehave(id_token={"drop": ["nonce"]})

    assert browser.get("/call_downstream_api").status_code == 200


def test_a_refreshed_id_token_without_a_name_takes_none_away(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.misbehave(id_token={"set": {"name": "unknown"}})

    assert browser.get("/call_downstream_api").status_code == 200
    assert browser.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"set": {"sub": "somebody-else"}}, id="another sub"),
        pytest.param({"set": {"iss": "https://evil.example/"}}, id="another issuer"),
        pytest.param({"key": "other"}, id="bad signature"),
        pytest.param({"set": {"aud": "another"}}, id="another audience"),
        pytest.param({"raw": "garbage"}, id="garbage"),
    ],
)
def test_a_refreshed_id_token_is_checked_and_nothing_of_it_kept(
    browser: Browser, tenant: Tenant, fault: Fault
) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    before = state_of(browser)
    tenant.option(access_token_lifetime=3600)
    tenant.misbehave(id_token=fault | {"times": 1})

    refused = browser.get("/call_downstream_api").status_code
    calls = tenant.seen("api")
    after = state_of(browser)
    tenant.recover()
    accepted = browser.get("/call_downstream_api").status_code

    assert (refused, calls) in ((502, []), (503, []))
    assert after == before
    assert accepted == 200


def test_a_revoked_refresh_token_leads_through_sign_in_and_back(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    tenant.revoke_tokens()
    before = browser.session_id

    browser.get("/call_downstream_api")

    assert browser.page.status_code == 200
    assert browser.page.url == f"{browser.app_url}/call_downstream_api"
    assert browser.session_id != before


def test_a_revoked_refresh_token_sends_a_script_a_sign_in_address(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.revoke_tokens()

    page = f"{browser.app_url}/token_details"
    answer = browser.get("/call_downstream_api", follow=False, Sec_Fetch_Mode="cors", Referer=page)

    assert answer.status_code == 401
    uri = answer.json()["sign_in_uri"]
    assert uri.startswith(f"{browser.app_url}/login?")
    assert parameters(uri)["next"] == "/token_details"


def test_refresh_tokens_that_are_always_refused_end_on_a_page(browser: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300, refresh_token_lifetime=-1)
    browser.sign_in()
    tenant.forget_requests()

    browser.get("/call_downstream_api")

    assert_page(browser.page, 400)
    assert "several times" in browser.text
    assert len(tenant.seen("authorize")) <= 6
    assert browser.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize(
    "fault, status",
    [
        pytest.param({"status": 429, "headers": {"Retry-After": "60"}}, 503, id="429"),
        pytest.param({"status": 500}, 503, id="500"),
        pytest.param({"status": 200, "body": "<html>"}, 503, id="HTML"),
        pytest.param({"status": 200, "body": "[" * 200_000}, 503, id="deeply nested"),
        pytest.param({"set": {"expires_in": "x"}}, 503, id="expires_in is a word"),
        pytest.param({"set": {"expires_in": float("inf")}}, 503, id="expires_in is infinite"),
        pytest.param({"set": {"refresh_in": float("inf")}}, 503, id="refresh_in is infinite"),
        pytest.param({"drop": ["access_token"]}, 502, id="no access token"),
        pytest.param(
            {"status": 400, "body": {"error": "invalid_client"}, "content_type": "application/json"},
            502,
            id="secret",
        ),
    ],
)
def test_a_refresh_that_fails_for_a_while_loses_no_session(
    browser: Browser, tenant: Tenant, fault: Fault, status: int
) -> None:
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    tenant.option(access_token_lifetime=3600)
    tenant.misbehave(token=fault | {"times": 1})

    failed = browser.get("/call_downstream_api").status_code
    worked = browser.get("/call_downstream_api").status_code

    assert (failed, worked) == (status, 200)
    assert browser.signed_in_as() == "Ada Lovelace"


def test_a_sign_in_that_never_sticks_ends_on_a_page(browser: Browser, tenant: Tenant) -> None:
    """A browser that keeps the flow's cookies and loses the session's."""
    tenant.option(access_token_lifetime=300)
    browser.sign_in()
    statuses = []
    for _ in range(8):
        browser.forget_session_id()
        statuses.append(browser.get("/call_downstream_api", follow=False).status_code)

    assert statuses == [302] * 5 + [400] * 3
    assert_page(browser.page, 400)
    assert "keeps cookies" in browser.text


# --- Parallel requests --------------------------------------------------------------------------------------


def call_api(app: RunningApp, host: str, session_id: str | None) -> requests.Response:
    headers = {"Host": host, "Cookie": f"signin_session={session_id}", "Accept": "text/html"}
    url = f"{app.url}/call_downstream_api"
    return requests.get(url, headers=headers, timeout=30, allow_redirects=False)


def test_parallel_requests_with_an_expired_token_cause_one_refresh(
    instances: Instances, tenant: Tenant
) -> None:
    tenant.option(access_token_lifetime=300, refresh_token_reuse=False)
    with Browser(instances.first.url, tenant) as browser:
        session_id = browser.sign_in().session_id
        tenant.option(access_token_lifetime=3600)
        tenant.forget_requests()
        host = browser.app_url.removeprefix("http://")
        refreshing = Held(tenant, "token", lambda: call_api(instances.first, host, session_id))
        with ThreadPoolExecutor(7) as pool:
            apps = [instances.second, instances.first] * 4
            others = [pool.submit(call_api, app, host, session_id) for app in apps[:7]]
            first = refreshing.release()
            statuses = [first.status_code, *(other.result().status_code for other in others)]

        assert statuses == [200] * 8
        assert len(tenant.seen("token")) == 1
        assert browser.signed_in_as() == "Ada Lovelace"


def test_the_newest_refresh_token_is_the_one_that_is_kept(instances: Instances, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300, refresh_token_reuse=False)
    with Browser(instances.first.url, tenant) as browser:
        session_id = browser.sign_in().session_id
        host = browser.app_url.removeprefix("http://")
        tenant.forget_requests()
        for _ in range(2):
            with ThreadPoolExecutor(4) as pool:
                apps = [instances.first, instances.second] * 2
                statuses = list(pool.map(lambda app: call_api(app, host, session_id).status_code, apps))
            assert statuses == [200] * 4

        used = [seen["form"]["refresh_token"][0] for seen in tenant.seen("token")]
        # Every token was close to its end, so each call refreshed or shared the refresh of its instance.
        assert 4 <= len(used) <= 8
        assert len(set(used)) == len(used)
        assert browser.signed_in_as() == "Ada Lovelace"


def test_a_refresh_whose_process_died_delays_others_until_its_lease_ends(
    instances: Instances, tenant: Tenant
) -> None:
    tenant.option(access_token_lifetime=300)
    with User(instances, tenant) as browser:
        before = instances.store.names()
        dying = Held(tenant, "token", lambda: visit(instances.first, browser, "/call_downstream_api"))
        [lease] = instances.store.names() - before
        assert instances.store.seconds_left(lease) <= LEASE_SECONDS
        instances.store.expire(lease, 0.7)
        began = time.monotonic()
        page = visit(instances.second, browser, "/call_downstream_api")
        took = time.monotonic() - began
        dying.release()

        assert page.status_code == 200
        assert 0.5 < took < 3


def test_more_requests_than_may_wait_for_a_refresh_are_asked_to_come_back(
    shared_app: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    tenant.option(access_token_lifetime=300)
    session_id = browser.sign_in().session_id
    tenant.option(access_token_lifetime=3600)
    tenant.forget_requests()
    host = f"localhost:{shared_app.port}"
    refreshing = Held(tenant, "token", lambda: call_api(shared_app, host, session_id))
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(call_api, shared_app, host, session_id) for _ in range(4)]
        refused = next(as_completed(others)).result()
        first = refreshing.release()
        statuses = sorted([first.status_code, *(other.result().status_code for other in others)])

    assert_page(refused, 503)
    assert "Too many requests at once" in refused.text
    assert refused.headers["Retry-After"]
    assert statuses == [200] * 4 + [503]
    assert len(tenant.seen("token")) == 1


def test_a_refresh_elsewhere_that_takes_too_long_is_not_blamed_on_anybody(
    instances: Instances, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_locks_at_most(monkeypatch, 0.3)
    tenant.option(access_token_lifetime=300)
    with User(instances, tenant) as browser:
        hanging = Held(tenant, "token", lambda: visit(instances.first, browser, "/call_downstream_api"))
        page = visit(instances.second, browser, "/call_downstream_api")
        hanging.release()

        assert page.status_code == 503
        assert "Too many requests at once" in page.text
        assert page.headers["Retry-After"]
        assert browser.signed_in_as() == "Ada Lovelace"
