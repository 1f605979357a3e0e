"""A person with a browser and an app, both reduced to plain HTTP."""

import html
import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from local_tenant import LocalTenant
from tests.helpers.connections import http_session

SIGN_IN, EDIT, RESET = "B2C_1_signupsignin1", "B2C_1_profileediting1", "B2C_1_passwordreset1"
DOMAIN = "localtenant.onmicrosoft.com"
SECONDS = 10
App = dict[str, Any]  # an app registration, as the control API shows it


class Visitor:
    """Keeps cookies. Follows redirects inside the tenant, but not those back to the app."""

    def __init__(self, tenant: LocalTenant):
        self.tenant = tenant
        # Not the environment's REQUESTS_CA_BUNDLE, which would win over this tenant's own.
        self.http = http_session()
        self.http.verify = tenant.ca_bundle

    def close(self) -> None:
        self.http.close()

    @property
    def api_scopes(self) -> str:
        """The scopes of reading and of writing."""
        return f"{self.tenant.settings['SCOPE']} {self.tenant.settings['WRITE_SCOPE']}".strip()

    # --- the person

    def authorize(self, user_flow: str = SIGN_IN, **changes: Any) -> requests.Response:
        """Arrive from the app. `changes` replaces parameters of the request, None leaves them out."""
        parameters = {
            "client_id": self.tenant.settings["CLIENT_ID"],
            "response_type": "code",
            "redirect_uri": self.tenant.settings["REDIRECT_URI"],
            "scope": f"openid offline_access {self.api_scopes}",
            "state": "some-state",
            "nonce": "some-nonce",
        } | changes
        return self.get(self.page_url("oauth2/v2.0/authorize", user_flow), **parameters)

    def sign_in(
        self, user_flow: str = SIGN_IN, email: str = "", password: str = "", **changes: Any
    ) -> requests.Response:
        account = self.tenant.account
        page = self.authorize(user_flow, **changes)
        return self.submit(
            page, email=email or account["email"], password=password or account["password"], next="1"
        )

    def submit(self, page: requests.Response, **fields: str) -> requests.Response:
        """Fill in the page's form and send it. One of `fields` is the button."""
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(.*?)">', page.text))
        answer = self.http.post(page.url, data=hidden | fields, allow_redirects=False, timeout=SECONDS)
        return self._stay(answer)

    def click(self, page: requests.Response, element_id: str) -> requests.Response:
        return self.get(urljoin(page.url, html.unescape(found(rf'id="{element_id}" href="(.*?)"', page))))

    def get(self, url: str, **parameters: str | None) -> requests.Response:
        return self._stay(self.http.get(url, params=parameters, allow_redirects=False, timeout=SECONDS))

    def _stay(self, answer: requests.Response) -> requests.Response:
        while answer.is_redirect and answer.headers["Location"].startswith(("/", self.tenant.url)):
            address = urljoin(answer.url, answer.headers["Location"])
            answer = self.http.get(address, allow_redirects=False, timeout=SECONDS)
        return answer

    # --- the app

    def page_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.url}/{DOMAIN}/{user_flow}/{path}"

    def back_channel_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.tls_url}/{DOMAIN}/{user_flow}/{path}"

    def keys(self, user_flow: str = SIGN_IN) -> requests.Response:
        return self.http.get(self.back_channel_url("discovery/v2.0/keys", user_flow), timeout=SECONDS)

    def code(self, user_flow: str = SIGN_IN, **changes: Any) -> str:
        return parameters(self.sign_in(user_flow, **{"prompt": "login", **changes}))["code"]

    def token(self, user_flow: str = SIGN_IN, **changes: Any) -> requests.Response:
        form = {
            "client_id": self.tenant.settings["CLIENT_ID"],
            "client_secret": self.tenant.settings["CLIENT_SECRET"],
            "client_info": "1",
        } | changes
        form = {name: value for name, value in form.items() if value is not None}
        url = self.back_channel_url("oauth2/v2.0/token", user_flow)
        return self.http.post(url, data=form, timeout=SECONDS)

    def redeem(self, code: str, user_flow: str = SIGN_IN, **changes: Any) -> requests.Response:
        redirect_uri = self.tenant.settings["REDIRECT_URI"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return self.token(user_flow, **(form | changes))

    def refresh(self, refresh_token: str, user_flow: str = SIGN_IN, **changes: Any) -> requests.Response:
        return self.token(user_flow, grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def tokens(self, user_flow: str = SIGN_IN, **changes: Any) -> dict[str, Any]:
        """Sign in, and redeem the code."""
        response: dict[str, Any] = self.redeem(self.code(user_flow, **changes), user_flow).json()
        return response

    def call_api(self, token: str = "", method: str = "GET", **body: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        json_body = body or None
        url = self.tenant.api_url
        return self.http.request(method, url, headers=headers, json=json_body, timeout=SECONDS)

    # --- the test

    def control(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.tenant.url}/control/{path}"
        answer = self.http.request(method, url, json=body, timeout=SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    def app(self, type: str) -> App:
        """The first app registration of this type: web, spa or native."""
        apps: list[App] = self.control("GET", "apps")
        return next(app for app in apps if app["type"] == type)

    def set_fault(self, **legs: dict[str, Any]) -> None:
        self.control("PATCH", "faults", legs)

    def set_option(self, **options: object) -> None:
        self.control("PATCH", "options", options)

    def move_clock(self, seconds: float) -> None:
        self.control("PUT", "clock", {"offset": seconds})

    def mailed_code(self, email: str) -> str:
        codes: list[str] = [mail["code"] for mail in self.control("GET", "mail") if mail["to"] == email]
        return codes[-1]


class EntraVisitor(Visitor):
    """Visits a kind of Entra, whose tenant is the first segment of the path."""

    def page_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.url}/{self.tenant.tenant_id}/{path}"

    def back_channel_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.tls_url}/{self.tenant.tenant_id}/{path}"


def found(pattern: str, page: requests.Response) -> str:
    """The first group of the pattern on the page."""
    match = re.search(pattern, page.text)
    assert match, f"{pattern} is not on the page"
    return match[1]


def parameters(answer: requests.Response) -> dict[str, str]:
    """The parameters on the redirect back to the app."""
    parts = urlsplit(answer.headers["Location"])
    return {name: values[0] for name, values in parse_qs(parts.query or parts.fragment).items()}


def error_code(answer: requests.Response) -> tuple[str, str]:
    """`error` and the code of the service, from a redirect or from the token endpoint's JSON."""
    members = parameters(answer) if answer.is_redirect else answer.json()
    return members["error"], members["error_description"].partition(":")[0]


def claims(token: str) -> dict[str, Any]:
    """The payload of a JWT, unchecked."""
    return decoded(token.split(".")[1])


def decoded(segment: str) -> dict[str, Any]:
    """The JSON object in a base64url segment."""
    members: dict[str, Any] = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return members


def field_error(page: requests.Response) -> tuple[str, str]:
    """The field that the page marks as wrong, and the text at that field."""
    field = found(r'<input id="(\w+)"[^>]*aria-invalid="true"', page)
    described_by = found(rf'<input id="{field}"[^>]*aria-describedby="([^"]*)"', page).split()
    text = found(rf'<p class="error" id="{described_by[0]}"[^>]*>(.*?)</p>', page)
    return field, html.unescape(text)


def wait_until(is_true: Callable[[], object]) -> None:
    """Wait for something that another thread or program does."""
    deadline = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
