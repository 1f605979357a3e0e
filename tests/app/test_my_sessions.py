"""My sessions: where the user is signed in, and ending that from somewhere else."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, assert_page, greeted
from tests.helpers.stores import Instances, User, home_with, visit
from tests.helpers.tenant import Held, Tenant
from tests.helpers.waiting import clock_at

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def other(instances: Instances, user: User, tenant: Tenant) -> Iterator[User]:
    """The same user in a second browser."""
    with User(instances, tenant) as other:
        yield other


@pytest.fixture
def second(browser: Browser, tenant: Tenant) -> Iterator[Browser]:
    """Somebody signed in with two browsers: this one, and `browser`."""
    browser.sign_in()
    with Browser(browser.app_url, tenant) as second:
        yield second.sign_in()


def end(browser: Browser, chosen: str, **headers: Any) -> None:
    """Press one of the buttons of the sessions page."""
    browser.post("/sessions", fields={"end": chosen}, **headers)


def handles(browser: Browser) -> list[str]:
    """The handles of the other sessions, as the sessions page has them."""
    return re.findall(r'name="end" value="([0-9a-f]{64})"', browser.get("/sessions").text)


def is_signed_in(app: RunningApp, browser: Browser) -> bool:
    return greeted(home_with(app, browser.session_id)) is not None


def test_the_page_lists_browsers_and_marks_this_one(instances: Instances, tenant: Tenant, user: User) -> None:
    with Browser(user.app_url, tenant) as other:
        other.http.headers["User-Agent"] = FIREFOX
        other.sign_in().get("/sessions")

        assert "Firefox on Windows this browser" in other.text
        assert len(handles(other)) >= 1
        assert len(re.findall(r"this browser", other.text)) == 1


def test_a_session_shows_since_when_it_is_there_and_when_it_was_last_used(browser: Browser) -> None:
    began = time.time()
    browser.sign_in()
    with Browser(browser.app_url, browser.tenant) as other, clock_at(began + 4 * 3600):
        browser.get("/")
        other.sign_in().get("/sessions")
        times = re.findall(r'<time data-local datetime="([^"]+)">', other.page.text)

    at = [time.strftime("%Y-%m-%dT%H", time.gmtime(began + hours * 3600)) for hours in (4, 0, 4)]
    assert [shown[:13] for shown in times] == at  # this one since; the other one since, and last used


def test_ending_one_session_works_at_once_on_every_instance(
    instances: Instances, user: User, other: User
) -> None:
    before = {browser.session_id for browser in (user, other)}
    [handle] = handles(user)
    end(user, handle)

    assert "That session has ended." in user.text
    for app in (instances.first, instances.second):
        assert not is_signed_in(app, other)
        assert is_signed_in(app, user)
    assert len(before) == 2


def test_a_session_can_be_ended_at_another_instance_than_where_it_began(
    instances: Instances, user: User, other: User
) -> None:
    visit(instances.second, other, "/")
    assert is_signed_in(instances.second, user)
    end(other, "others")

    assert "All your other sessions have ended." in other.text
    assert not is_signed_in(instances.second, user)
    assert is_signed_in(instances.second, other)


def test_signing_out_everywhere_ends_this_session_too_and_leads_to_the_tenant(
    instances: Instances, user: User, other: User, tenant: Tenant
) -> None:
    tenant.forget_requests()
    end(user, "all")

    assert "You are signed out." in user.text
    [signed_out] = tenant.seen("logout")
    assert "id_token_hint" in signed_out["query"]
    for app in (instances.first, instances.second):
        assert not is_signed_in(app, user)
        assert not is_signed_in(app, other)


def test_a_sign_in_that_is_under_way_does_not_survive(
    instances: Instances, user: User, tenant: Tenant
) -> None:
    with Browser(user.app_url, tenant) as newcomer:
        callback = newcomer.callback_url()
        request = Held(tenant, "token", lambda: newcomer.get(callback, follow=False))
        end(user, "all")
        answer = request.release()

        assert_page(answer, 409)
        assert newcomer.signed_in_as() is None


def signed_in_with_the_answer_on_its_way(browser: Browser) -> str:
    """Replace the session while the browser keeps its old cookie. Returns the new session's id."""
    callback = browser.callback_url()
    answer = requests.get(callback, headers=browser.cookie_header, allow_redirects=False, timeout=10)
    return answer.cookies["signin_session"]


def test_signing_out_everywhere_works_while_the_answer_of_a_sign_in_is_on_its_way(
    browser: Browser, second: Browser
) -> None:
    session_id = signed_in_with_the_answer_on_its_way(browser)
    answer = browser.post("/sessions", fields={"end": "all"}, follow=False)

    assert answer.status_code == 303
    assert "id_token_hint" in answer.headers["Location"]
    assert greeted(requests.get(browser.app_url, cookies={"signin_session": session_id}, timeout=10)) is None
    assert second.signed_in_as() is None


def test_a_sign_in_that_begins_afterwards_succeeds(user: User, other: User) -> None:
    end(user, "all")

    assert user.sign_in().signed_in_as() == "Ada Lovelace"
    assert other.signed_in_as() is None


def test_nobody_can_end_somebody_elses_session(instances: Instances, user: User, tenant: Tenant) -> None:
    mallory = tenant.add_account("Mallory")
    with User(instances, tenant) as second, User(instances, tenant, email=mallory["email"]) as attacker:
        [handle] = handles(user)
        assert handles(attacker) == []
        end(attacker, handle)

        assert "had ended already" in attacker.text
        assert is_signed_in(instances.first, user)
        assert is_signed_in(instances.first, second)


@pytest.mark.parametrize("chosen", ["others", "all"])
def test_another_site_cannot_end_sessions(browser: Browser, second: Browser, chosen: str) -> None:
    end(browser, chosen, Origin="https://evil.example", Sec_Fetch_Site="cross-site")

    assert browser.page.status_code in (401, 403)
    assert browser.signed_in_as() == second.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("chosen", ["", "0" * 64, "é", "a" * 5000])
def test_an_unknown_choice_ends_nothing(browser: Browser, second: Browser, chosen: str) -> None:
    end(browser, chosen)

    assert browser.page.status_code == 200
    assert browser.signed_in_as() == second.signed_in_as() == "Ada Lovelace"


def test_a_page_of_an_ended_session_leads_to_the_sign_in(user: User, other: User) -> None:
    end(user, "others")
    answer = other.get("/sessions", follow=False)

    assert answer.status_code == 302
    assert "authorize" in answer.headers["Location"]


def test_nobody_sees_sessions_signed_out(browser: Browser) -> None:
    answer = browser.get("/sessions", follow=False)

    assert answer.status_code == 302


def test_a_password_reset_offers_to_end_other_sessions(browser: Browser, tenant: Tenant) -> None:
    email = tenant.account["email"]
    browser.sign_in().get("/reset_password")
    browser.submit("sendCode", email=email)
    browser.submit("verifyCode", code=tenant.last_mail(email))
    browser.submit("continue", newPassword="Another-horse-8", reenterPassword="Another-horse-8")

    assert "Your password has been changed" in browser.text
    browser.click("End your other sessions")
    assert browser.page.url.endswith("/sessions")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/18.5 Safari/605.1.15", "Safari on Mac"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
         "Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "CriOS/140.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("curl/8.5.0", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_named_in_plain_words(
    shared_app: RunningApp, tenant: Tenant, user_agent: str, name: str
) -> None:
    with Browser(shared_app.url, tenant) as browser:
        browser.http.headers["User-Agent"] = user_agent
        browser.sign_in().get("/sessions")

        assert f"{name} this browser" in browser.text
