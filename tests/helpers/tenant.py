"""The local tenant, and shorthands for its control endpoints."""

import json
import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from local_tenant import LocalTenant
from tests.helpers.connections import http_session
from tests.helpers.waiting import wait_until

Account = dict[str, Any]
Fault = dict[str, Any]
Seen = dict[str, Any]


class Tenant:
    """A running local tenant with an account of this test's own. `behave` undoes what a test has set."""

    def __init__(self, running: LocalTenant):
        self.url, self.tls_url, self.api_url = running.url, running.tls_url, running.api_url
        self.settings: dict[str, str] = running.settings
        self._http = http_session()
        self._options: dict[str, Any] | None = None
        self._has_faults = self._clock_moved = False
        self.account = self.add_account("Ada Lovelace")

    def control(self, method: str, path: str, **body: object) -> Any:
        """Call a control endpoint, and return its JSON."""
        headers, data = {"Content-Type": "application/json"}, json.dumps(body)  # requests' own: no infinity
        url = f"{self.url}/control/{path}"
        answer = self._http.request(method, url, data=data, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def add_account(self, display_name: str, password: str = "Try-it-0ut") -> Account:
        """Make an account."""
        email = f"{secrets.token_hex(4)}@example.com"
        account = self.control("POST", "accounts", email=email, password=password, display_name=display_name)
        return {**account, "password": password}

    def change_account(self, **attributes: object) -> None:
        """Change this test's account, such as `claims={"roles": ["admin"]}`."""
        self.control("PATCH", f"accounts/{self.account['email']}", **attributes)

    def revoke_tokens(self) -> None:
        """Revoke the refresh tokens of this test's account."""
        self.control("POST", f"accounts/{self.account['email']}/revoke")

    def option(self, **options: object) -> None:
        if self._options is None:
            self._options = self.control("GET", "options")
        self.control("PATCH", "options", **options)

    def misbehave(self, **faults: Fault) -> None:
        """Set what each leg does wrong from now on."""
        self._has_faults = True
        self.control("PATCH", "faults", **faults)

    def recover(self) -> None:
        """End all misbehaviour."""
        self.control("DELETE", "faults")

    def move_clock(self, seconds: float) -> None:
        self._clock_moved = True
        self.control("PUT", "clock", offset=seconds)

    def behave(self) -> None:
        """Undo what a test has set."""
        if self._has_faults:
            self.recover()
        if self._clock_moved:
            self.move_clock(0)
        if self._options is not None:
            self.control("PATCH", "options", **self._options)

    def last_mail(self, email: str) -> str:
        """The code in the last message to this address."""
        codes: list[str] = [mail["code"] for mail in self.control("GET", "mail") if mail["to"] == email]
        return codes[-1]

    def all_seen(self) -> list[Seen]:
        """Every request that the tenant and the API have seen."""
        seen: list[Seen] = self.control("GET", "requests")
        return seen

    def seen(self, *endpoints: str) -> list[Seen]:
        """The requests that these endpoints have seen."""
        return [seen for seen in self.all_seen() if seen["endpoint"] in endpoints]

    def forget_requests(self) -> None:
        self.control("DELETE", "requests")


def register_redirect_uri(running: LocalTenant, redirect_uri: str) -> None:
    """Register one more redirect URI for the app."""
    url = f"{running.url}/control/redirect-uris"
    http_session().post(url, json={"redirect_uri": redirect_uri}, timeout=10).raise_for_status()


class Held:
    """A request that is sent at once, and waits at a leg of the tenant until it is released."""

    def __init__(self, tenant: Tenant, leg: str, send: Callable[[], requests.Response]):
        self._tenant, self._name = tenant, uuid.uuid4().hex
        tenant.misbehave(**{leg: {"hold": self._name, "times": 1}})
        pool = ThreadPoolExecutor(1)
        self._answer = pool.submit(send)
        pool.shutdown(wait=False)
        wait_until(lambda: self.waits() or self._answer.done(), "the request waits at the tenant")
        assert self.waits(), f"it did not wait at the tenant: {self._answer.result()}"

    def waits(self) -> bool:
        """Whether the request waits at the tenant."""
        return self._name in self._tenant.control("GET", "holds")

    def release(self) -> requests.Response:
        """Let the request go on. Returns the app's answer."""
        self._tenant.control("POST", "release", hold=self._name)
        return self._answer.result(20)
