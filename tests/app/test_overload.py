"""More requests than the sign-in service or the API can take: some wait, the others are told at once."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import urlsplit

import pytest
import requests
from flask.typing import ResponseReturnValue

from signin.web import SignInApp, call_api, page
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser
from tests.helpers.tenant import Fault, Tenant
from tests.helpers.waiting import wait_until

SLOTS = 12  # calls to the sign-in service, and as many to each API
OF_ALL_APIS = 16
OF_ALL_CALLS = 24
CALLS_OF_ONE_SESSION = 6  # to APIs
REFRESHES_OF_ONE_SESSION = 4  # one refreshes, three wait for it
SOON = 1.0  # seconds

Send = Callable[[], requests.Response]


def get(app: RunningApp, path: str, headers: dict[str, str] | None = None) -> requests.Response:
    url = path if path.startswith("http") else app.url + path
    given = {"Accept": "text/html"} | (headers or {})
    return requests.get(url, headers=given, allow_redirects=False, timeout=30)


class Crowd:
    """Requests sent at once while a leg of the tenant holds what reaches it."""

    def __init__(self, sends: list[Send], held: int):
        self._pool = ThreadPoolExecutor(len(sends))
        self._pending: list[Future[requests.Response]] = [self._pool.submit(send) for send in sends]
        refused = len(sends) - held
        wait_until(lambda: len(self.answered()) >= refused, "those without a slot are answered")

    def answered(self) -> list[requests.Response]:
        return [pending.result() for pending in self._pending if pending.done()]

    def all(self) -> Counter[int]:
        """The statuses of all, when everybody has been answered."""
        statuses = Counter(pending.result(20).status_code for pending in self._pending)
        self._pool.shutdown()
        return statuses


@contextmanager
def held(tenant: Tenant, leg: str, **fault: object) -> Iterator[None]:
    """Hold what reaches this leg while the block runs."""
    tenant.misbehave(**{leg: Fault(hold="crowd", **fault)})
    try:
        yield
    finally:
        tenant.recover()


def assert_told_at_once(refused: list[requests.Response], count: int) -> None:
    assert [page.status_code for page in refused] == [503] * count
    assert all(int(page.headers["Retry-After"]) > 0 for page in refused)


def assert_others_are_served(app: RunningApp, user: Browser) -> None:
    pages = [get(app, "/healthz"), get(app, "/"), get(app, "/", user.cookie_header)]
    pages.append(get(app, "/token_details", user.cookie_header))
    assert [page.status_code for page in pages] == [200] * 4
    assert max(page.elapsed.total_seconds() for page in pages) < SOON


def calls_of(
    app: RunningApp, users: list[Browser], of_each: int, path: str = "/call_downstream_api"
) -> list[Send]:
    """Requests for a page that calls an API, so many of each user."""
    return [partial(get, app, path, user.cookie_header) for user in users for _ in range(of_each)]


def junk_callbacks(app: RunningApp, tenant: Tenant, count: int) -> list[Send]:
    """Responses of a stranger who has begun to sign in, each with a made-up code."""
    with Browser(app.url, tenant) as stranger:
        stranger.get("/login", follow=False)
        [state] = [name.removeprefix("signin_flow_") for name in stranger.cookies if "flow" in name]
        cookies = stranger.cookie_header
    paths = [f"/getAToken?state={state}&code=junk{code}" for code in range(count)]
    return [partial(get, app, path, cookies) for path in paths]


@pytest.fixture
def app(serve_app: ServeApp) -> RunningApp:
    return serve_app()


@pytest.fixture
def users(app: RunningApp, tenant: Tenant) -> Iterator[Callable[[int], list[Browser]]]:
    """A function that signs so many users in."""
    with ExitStack() as stack:

        def sign_in(count: int) -> list[Browser]:
            return [stack.enter_context(Browser(app.url, tenant)).sign_in() for _ in range(count)]

        yield sign_in


def test_api_calls_beyond_the_slots_are_told_at_once(
    app: RunningApp, tenant: Tenant, users: Callable[[int], list[Browser]]
) -> None:
    several = users(3)
    with held(tenant, "api"):
        crowd = Crowd(calls_of(app, several, 5), SLOTS)
        assert_told_at_once(crowd.answered(), 3)
        assert_others_are_served(app, several[0])

    assert crowd.all() == {200: SLOTS, 503: 3}


def test_one_session_cannot_take_all_slots_of_an_api(
    app: RunningApp, tenant: Tenant, users: Callable[[int], list[Browser]]
) -> None:
    greedy, other = users(2)
    with held(tenant, "api"):
        crowd = Crowd(calls_of(app, [greedy], 16), CALLS_OF_ONE_SESSION)
        assert_told_at_once(crowd.answered(), 16 - CALLS_OF_ONE_SESSION)
        others = Crowd(calls_of(app, [other], CALLS_OF_ONE_SESSION), CALLS_OF_ONE_SESSION)

    assert crowd.all() == {200: CALLS_OF_ONE_SESSION, 503: 16 - CALLS_OF_ONE_SESSION}
    assert others.all() == {200: CALLS_OF_ONE_SESSION}


def test_two_apis_that_hang_leave_slots_for_sign_ins(
    app: RunningApp, tenant: Tenant, users: Callable[[int], list[Browser]]
) -> None:
    other_name = {"localhost": "127.0.0.1", "127.0.0.1": "localhost"}
    host = str(urlsplit(tenant.api_url).hostname)
    orders = tenant.api_url.replace(host, other_name[host])
    assert isinstance(app.flask, SignInApp)
    app.flask.allow_api(orders)

    @app.flask.get("/orders")
    def show_orders() -> ResponseReturnValue:
        answer = call_api(orders, tenant.settings["SCOPE"])
        return page("api.html", answer.page_status, answer=answer)

    several = users(4)
    callbacks = junk_callbacks(app, tenant, OF_ALL_CALLS - OF_ALL_APIS + 3)
    with held(tenant, "api"):
        Crowd(calls_of(app, several[:2], CALLS_OF_ONE_SESSION), SLOTS)
        wait_until(lambda: len(tenant.seen("api")) == SLOTS, "the first API has all its calls")
        second = Crowd(calls_of(app, several[2:], CALLS_OF_ONE_SESSION, "/orders"), OF_ALL_APIS - SLOTS)
        assert_told_at_once(second.answered(), 2 * CALLS_OF_ONE_SESSION - (OF_ALL_APIS - SLOTS))
        with held(tenant, "token"):
            sign_ins = Crowd(callbacks, OF_ALL_CALLS - OF_ALL_APIS)
            assert_told_at_once(sign_ins.answered(), 3)
            assert_others_are_served(app, several[0])


def test_refreshes_of_many_sessions_beyond_the_slots_are_told_at_once(
    app: RunningApp, tenant: Tenant, users: Callable[[int], list[Browser]]
) -> None:
    tenant.option(access_token_lifetime=300)
    several = users(SLOTS + 3)
    headers = [user.cookie_header for user in several]
    with held(tenant, "token"):
        crowd = Crowd([partial(get, app, "/call_downstream_api", cookies) for cookies in headers], SLOTS)
        assert_told_at_once(crowd.answered(), 3)
        assert_others_are_served(app, several[0])

    assert crowd.all() == {200: SLOTS, 503: 3}


def test_few_requests_wait_for_the_tokens_of_one_session_and_they_share_a_failure(
    app: RunningApp, tenant: Tenant, users: Callable[[int], list[Browser]]
) -> None:
    tenant.option(access_token_lifetime=300)
    [user] = users(1)
    cookies = user.cookie_header
    tenant.forget_requests()
    with held(tenant, "token", status=500):
        crowd = Crowd([lambda: get(app, "/call_downstream_api", cookies)] * 16, REFRESHES_OF_ONE_SESSION)
        assert_told_at_once(crowd.answered(), 16 - REFRESHES_OF_ONE_SESSION)
        wait_until(lambda: "crowd" in tenant.control("GET", "holds"), "the refresh reaches the tenant")

    assert crowd.all() == {503: 16}
    assert len(tenant.seen("token")) == 1


def test_api_calls_and_refreshes_together_leave_room_for_pages(
    app: RunningApp, tenant: Tenant, users: Callable[[int], list[Browser]]
) -> None:
    callers = users(2)
    tenant.option(access_token_lifetime=300)
    refreshing = [user.cookie_header for user in users(SLOTS + 2)]
    with held(tenant, "api"):
        calls = Crowd(calls_of(app, callers, CALLS_OF_ONE_SESSION + 1), SLOTS)
        with held(tenant, "token"):
            refreshes = Crowd(
                [partial(get, app, "/call_downstream_api", cookies) for cookies in refreshing],
                SLOTS,
            )
            assert_told_at_once([*calls.answered(), *refreshes.answered()], 4)
            assert_others_are_served(app, callers[0])


def test_junk_callbacks_beyond_the_slots_are_told_at_once(
    app: RunningApp, tenant: Tenant, users: Callable[[int], list[Browser]]
) -> None:
    [user] = users(1)
    callbacks = junk_callbacks(app, tenant, SLOTS + 3)
    with held(tenant, "token"):
        crowd = Crowd(callbacks, SLOTS)
        assert_told_at_once(crowd.answered(), 3)
        assert_others_are_served(app, user)

    statuses = crowd.all()
    assert statuses.pop(503) == 3
    assert sum(statuses.values()) == SLOTS
    assert max(statuses) < 500


def test_sign_ins_at_an_app_that_knows_no_metadata_yet_wait_in_the_slots(
    app: RunningApp, tenant: Tenant
) -> None:
    with held(tenant, "discovery"):
        crowd = Crowd([lambda: get(app, "/login")] * (SLOTS + 3), SLOTS)
        assert_told_at_once(crowd.answered(), 3)
        assert get(app, "/healthz").status_code == get(app, "/").status_code == 200

    assert crowd.all() == {302: SLOTS, 503: 3}
    assert len(tenant.seen("discovery")) == 1
