"""A Redis that hangs: few requests wait for it, so that the others find a thread."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser
from tests.helpers.processes import Redis
from tests.helpers.tenant import Tenant
from tests.helpers.waiting import wait_until

CROWD = 40
AT_ONCE = 1.6  # seconds; a request that waits for a Redis that hangs takes two
WAITED = "Redis: Timeout reading"  # in the log of a request that has waited for a Redis that hangs
READING, WRITING, DELETING = 12, 8, 4  # how many may wait for the store at once


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path) as server:
        yield server
        server.send(signal.SIGCONT)


@pytest.fixture
def app(serve_app: ServeApp, server: Redis) -> RunningApp:
    return serve_app(REDIS_URL=server.url)


@pytest.fixture
def user(app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        browser.get("/")
        yield browser


def crowd(user: Browser, method: str, path: str) -> list[requests.Response]:
    """The answers to the same request, sent many times at once."""
    headers = user.cookie_header | {"Origin": user.app_url}

    def send(_: int) -> requests.Response:
        return requests.request(
            method, user.app_url + path, headers=headers, allow_redirects=False, timeout=30
        )

    with ThreadPoolExecutor(CROWD) as pool:
        return list(pool.map(send, range(CROWD)))


def slow(answers: list[requests.Response]) -> int:
    return sum(answer.elapsed.total_seconds() > AT_ONCE for answer in answers)


def test_of_a_crowd_few_requests_wait_for_the_store(
    server: Redis, user: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    server.send(signal.SIGSTOP)

    answers = crowd(user, "GET", "/token_details")

    assert {answer.status_code for answer in answers} == {503}
    assert 0 < caplog.text.count(WAITED) <= READING


def test_when_the_store_is_known_to_hang_one_request_tries_it(
    server: Redis, user: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    server.send(signal.SIGSTOP)
    assert user.get("/token_details").status_code == 503

    caplog.clear()
    answers = crowd(user, "GET", "/token_details")

    assert {answer.status_code for answer in answers} == {503}
    assert caplog.text.count(WAITED) <= 1


def test_few_sign_outs_wait_for_the_store_and_all_take_the_cookies(server: Redis, user: Browser) -> None:
    server.send(signal.SIGSTOP)
    assert user.get("/token_details").status_code == 503

    answers = crowd(user, "POST", "/logout")

    assert {answer.status_code for answer in answers} == {303}
    assert all("signin_session=;" in answer.headers["Set-Cookie"] for answer in answers)
    assert slow(answers) <= DELETING + WRITING + 1  # and one that tries to read


def test_pages_that_need_no_store_are_answered_meanwhile(server: Redis, user: Browser) -> None:
    server.send(signal.SIGSTOP)

    pages = [user.get("/healthz"), requests.get(user.app_url, timeout=10)]
    pages.append(requests.get(f"{user.app_url}/login", allow_redirects=False, timeout=10))

    assert [page.status_code for page in pages] == [200, 200, 302]
    assert slow(pages) == 0


def test_everything_works_as_soon_as_the_store_answers(server: Redis, user: Browser) -> None:
    server.send(signal.SIGSTOP)
    crowd(user, "GET", "/token_details")
    server.send(signal.SIGCONT)

    wait_until(lambda: user.get("/token_details").status_code == 200, "the store is asked again", 3)
    answers = crowd(user, "GET", "/token_details")

    assert {answer.status_code for answer in answers} == {200}
