"""The users of the load run, as Locust's user class."""

import random
import time
from collections.abc import Callable
from typing import Any, NoReturn

import gevent  # type: ignore[import-untyped, unused-ignore]
import requests
from locust import HttpUser, between, task
from locust.exception import RescheduleTask
from requests import Response

from . import visitor
from .killer import Killer, last_port, noting_pool_manager
from .visitor import next_address, redirects, shows_api_answer, shows_signed_in

USERS = 200
EXPIRED_SHARE = 1 / 3  # of the rounds begin with an access token that has expired
INSIDE = "requests inside a killed worker"
REFRESH_LOST = "users who signed in again because a refresh was inside a killed worker"
EXCUSED = (INSIDE, REFRESH_LOST)
API = "/call_downstream_api"


class Person(HttpUser):
    """Signs in, browses, calls the API twice at once, signs out, and begins again.

    Locust's own statistics hold what went wrong: a failure's text is INSIDE, REFRESH_LOST or an error.
    """

    wait_time = between(0.2, 1.8)
    pool_manager = noting_pool_manager(2 * USERS)
    killer: Killer  # set by load.py
    rounds = 0  # of all users

    @task
    def one_round(self) -> None:
        self.client.cookies.clear()
        self.client.headers["Connection"] = "close"  # one connection a request: its port tells its fate
        self.sign_in()
        for path in ("/", "/token_details", "/"):
            self.see(path, shows_signed_in)
        self.call_api_twice()
        home = self.see("/", shows_signed_in)
        self.sign_out(home)
        Person.rounds += 1

    def sign_in(self) -> None:
        self.see("/", lambda page: page.status_code == 200)
        start = self.see("/login", redirects)
        expired = random.random() < EXPIRED_SHARE  # noqa: S311 - no secret
        wish = "&first_lifetime=1" if expired else ""
        # The stand-in is not what is tested, so this request is not in Locust's statistics.
        at_tenant = requests.get(next_address(start) + wish, allow_redirects=False, timeout=visitor.TIMEOUT)
        self.pause()
        if self.ask("callback", at_tenant.headers["Location"], redirects) is None:
            raise RescheduleTask  # the code may be spent: start again

    def call_api_twice(self) -> None:
        calls = [gevent.spawn(self.ask, "API call", API, any_answer) for _ in range(2)]
        gevent.joinall(calls)
        pages: list[Response | None] = [call.get() for call in calls]
        if None in pages:
            self.after_a_lost_call([page for page in pages if page is not None])
            return
        for page in pages:
            if page is not None and not shows_api_answer(page):
                self.record("API call", unexpected(page))

    def after_a_lost_call(self, others: list[Response]) -> None:
        """The tenant accepts a refresh token once. If the new one died with the worker, the user signs in."""
        pages = [*others, self.see(API, any_answer)]
        for page in pages:
            if shows_api_answer(page):
                continue
            self.record("API call", REFRESH_LOST if redirects(page) else unexpected(page))

    def sign_out(self, home: Response) -> None:
        before = dict(self.client.cookies)
        form = visitor.sign_out_form(home)
        if form is None:
            self.record("sign-out", "the home page has no sign-out form")
        path, fields = form
        headers = visitor.same_origin(self.client.base_url)
        if self.ask("sign-out", path, redirects, method="POST", data=fields, headers=headers) is None:
            raise RescheduleTask
        self.client.cookies.clear()
        self.client.cookies.update(before)
        self.see("/", lambda page: not shows_signed_in(page), name="/ with a signed-out cookie")

    def see(self, path: str, right: Callable[[Response], bool], name: str = "") -> Response:
        """Ask for a page as a person does, who reloads it when there is no answer."""
        self.pause()
        for _ in range(3):
            page = self.ask(name or path, path, right)
            if page is not None:
                return page
        raise RescheduleTask

    def ask(
        self, name: str, path: str, right: Callable[[Response], bool], method: str = "GET", **options: Any
    ) -> Response | None:
        """Return the answer; None if the request was inside a killed worker.

        Ends the round, by raising RescheduleTask, when the answer is missing for another reason or is wrong.
        """
        last_port.number, began = 0, time.monotonic()
        options |= {"allow_redirects": False, "timeout": visitor.TIMEOUT}
        with self.client.request(method, path, name=name, catch_response=True, **options) as page:
            if page.error:
                inside = self.killer.has_killed(last_port.number, began)
                failure = INSIDE if inside else f"no answer: {type(page.error).__name__}"
            else:
                failure = "" if right(page) else unexpected(page)
            if failure:
                page.failure(failure)
            else:
                page.success()
        if failure and failure != INSIDE:
            raise RescheduleTask
        return None if failure else page

    def record(self, name: str, failure: str) -> NoReturn:
        """Note a failure that shows only after the request, and end the round."""
        self.environment.stats.log_error("GET", name, failure)
        raise RescheduleTask

    def pause(self) -> None:
        time.sleep(self.wait_time())


def any_answer(page: Response) -> bool:
    return True


def unexpected(page: Response) -> str:
    return f"unexpected {page.status_code} {next_address(page).partition('?')[0]}".strip()
