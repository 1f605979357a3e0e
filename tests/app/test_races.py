"""Requests that are under way while the session ends or is replaced."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.helpers.app import RunningApp
from tests.helpers.browser import (
    Browser,
    greeted,
)
from tests.helpers.stores import Instances, User, home_with, session_records, visit
from tests.helpers.tenant import Held, Tenant

SendLate = Callable[[Browser, Tenant, RunningApp], Held]


def late_api_call(browser: Browser, tenant: Tenant, app: RunningApp) -> Held:
    """A call of the API that waits inside the app for the API's answer."""
    return Held(tenant, "api", lambda: visit(app, browser, "/call_downstream_api"))


def late_refresh(browser: Browser, tenant: Tenant, app: RunningApp) -> Held:
    """A call of the API that waits inside the app for a new access token."""
    return Held(tenant, "token", lambda: visit(app, browser, "/call_downstream_api"))


def late_profile_edit(browser: Browser, tenant: Tenant, app: RunningApp) -> Held:
    """The end of a profile edit, which waits inside the app for its tokens."""
    callback = browser.edited_profile_url("Ada King")
    return Held(tenant, "token", lambda: visit(app, browser, callback))


def late_sign_in(browser: Browser, tenant: Tenant, app: RunningApp) -> Held:
    """The end of a sign-in, which waits inside the app for its tokens."""
    callback = browser.callback_url()
    return Held(tenant, "token", lambda: visit(app, browser, callback))


LATE = pytest.mark.parametrize(
    "late",
    [late_api_call, late_refresh, late_profile_edit, late_sign_in],
    ids=["API call", "refresh", "profile edit", "sign-in"],
)


@LATE
def test_a_request_that_ends_after_sign_out_brings_nobody_back(
    instances: Instances, tenant: Tenant, elsewhere: RunningApp, late: SendLate
) -> None:
    records = session_records(instances.store)
    with Browser(instances.first.url, tenant) as browser:
        tenant.option(access_token_lifetime=300 if late is late_refresh else 3600)
        before = browser.sign_in().session_id
        request = late(browser, tenant, instances.first)
        visit(elsewhere, browser, "/logout", "post")
        answer = request.release()

        assert "signin_session" not in answer.headers.get("Set-Cookie", "")
        assert answer.status_code < 500
        assert browser.signed_in_as() is None
        assert greeted(home_with(instances.first, before)) is None
        assert session_records(instances.store) <= records


@LATE
def test_a_request_that_ends_after_the_next_sign_in_leaves_the_new_session_alone(
    instances: Instances, tenant: Tenant, late: SendLate
) -> None:
    bob = tenant.add_account("Bob")
    with Browser(instances.first.url, tenant) as browser:
        tenant.option(access_token_lifetime=300 if late is late_refresh else 3600)
        browser.sign_in()
        request = late(browser, tenant, instances.first)
        browser.post("/logout")
        browser.sign_in(email=bob["email"])
        mine = browser.session_id
        answer = request.release()

        assert "signin_session" not in answer.headers.get("Set-Cookie", "")
        assert browser.session_id == mine
        assert browser.signed_in_as() == "Bob"


def test_a_refresh_that_ends_after_sign_out_does_not_lead_back_into_a_sign_in(
    instances: Instances, tenant: Tenant
) -> None:
    """The tenant may still know the user at that moment, and would sign them in again unasked."""
    tenant.option(access_token_lifetime=300)
    with Browser(instances.first.url, tenant) as browser:
        browser.sign_in()
        request = late_refresh(browser, tenant, instances.first)
        visit(instances.second, browser, "/logout", "post")
        answer = request.release()

        assert "Location" not in answer.headers
        assert answer.status_code == 409


def test_two_tabs_of_a_signed_in_user_can_finish_a_sign_in_at_the_same_moment(
    instances: Instances, user: User, tenant: Tenant
) -> None:
    """As when a browser brings back tabs whose session needs a new sign-in."""
    callbacks = [user.callback_url(), user.callback_url()]
    request = Held(tenant, "token", lambda: visit(instances.first, user, callbacks[0]))
    answers = [user.get(callbacks[1], follow=False), request.release()]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert user.signed_in_as() == "Ada Lovelace"


def test_a_sign_in_never_adopts_the_session_of_another_user(instances: Instances, tenant: Tenant) -> None:
    """Two tabs, two users: the later answer must not come back with the other's session."""
    bob = tenant.add_account("Bob")
    with Browser(instances.first.url, tenant) as browser, Browser(instances.first.url, tenant) as clean:
        adas = browser.sign_in().callback_url()
        clean.get(browser.get("/login", follow=False).headers["Location"])
        clean.enter_password(follow=False, email=bob["email"])
        bobs = clean.location
        request = Held(tenant, "token", lambda: visit(instances.first, browser, adas))
        assert visit(instances.second, browser, bobs).status_code == 303
        answer = request.release()

        assert answer.status_code == 409
        assert "signin_session" not in answer.headers.get("Set-Cookie", "")
        assert browser.signed_in_as() == "Bob"


def send(
    app: RunningApp, instances: Instances, path: str, method: str, headers: dict[str, str]
) -> requests.Response:
    """A request to an instance with these headers, whatever the browser's cookies are by now."""
    host = instances.first.url.removeprefix("http://")
    url = app.url + path.removeprefix(instances.first.url)
    given = {"Host": host, "Sec-Fetch-Site": "same-origin"} | headers
    return requests.request(method, url, headers=given, allow_redirects=False, timeout=30)


def test_sign_out_ends_the_session_of_a_sign_in_whose_answer_is_still_on_its_way(
    instances: Instances, tenant: Tenant, elsewhere: RunningApp
) -> None:
    records = session_records(instances.store)
    with Browser(instances.first.url, tenant) as browser:
        callback = browser.sign_in().callback_url()
        before = browser.cookie_header
        signed_in = send(instances.first, instances, callback, "GET", before)
        new_id = signed_in.cookies["signin_session"]
        assert greeted(home_with(instances.first, new_id)) == "Ada Lovelace"
        signed_out = send(elsewhere, instances, "/logout", "POST", before)

    assert signed_out.status_code == 303
    assert greeted(home_with(instances.first, new_id)) is None
    assert session_records(instances.store) <= records


def test_sign_out_with_an_old_cookie_ends_the_newest_session(
    instances: Instances, tenant: Tenant, elsewhere: RunningApp
) -> None:
    with Browser(instances.first.url, tenant) as browser:
        first = browser.sign_in().cookie_header
        last = [browser.sign_in().session_id for _ in range(3)][-1]
        assert greeted(home_with(instances.first, last)) == "Ada Lovelace"
        send(elsewhere, instances, "/logout", "POST", first)

    assert greeted(home_with(instances.first, last)) is None


@pytest.mark.parametrize("attempt", range(3))  # to meet both orders
def test_a_sign_in_that_ends_at_the_moment_of_sign_out_signs_nobody_in(
    instances: Instances, tenant: Tenant, elsewhere: RunningApp, attempt: int
) -> None:
    with Browser(instances.first.url, tenant) as browser, ThreadPoolExecutor(1) as pool:
        callback = browser.sign_in().callback_url()
        before = browser.cookie_header
        sign_in = Held(tenant, "token", lambda: send(instances.first, instances, callback, "GET", before))
        sign_out = pool.submit(send, elsewhere, instances, "/logout", "POST", before)
        signed_in = sign_in.release()

        assert sign_out.result().status_code == 303
        assert signed_in.status_code in (303, 409)
        assert greeted(home_with(instances.first, signed_in.cookies.get("signin_session"))) is None
