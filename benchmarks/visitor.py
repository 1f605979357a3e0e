"""What a visitor does: sign in, look at pages, call the API, sign out.

``client`` is a ``requests.Session`` or Locust's subclass of it, with a cookie jar of its own. Redirects are
not followed: every step is one request, so that it can be checked and measured.
"""

import re
from html import unescape
from urllib.parse import urljoin

import requests

from .stand_in.tenant import NAME, TASK

TIMEOUT = 30  # seconds

LOGOUT_FORM = re.compile(r'<form[^>]*action="([^"]*/logout)".*?</form>', re.DOTALL)
HIDDEN_FIELD = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')
META_REFRESH = re.compile(r"""http-equiv=['"]refresh['"][^>]*URL=([^'"]+)""")


class UnexpectedAnswer(Exception):
    """The app did not do what a visitor expects."""

    def __init__(self, what: str, response: requests.Response) -> None:
        super().__init__(f"{what}: {response.status_code} {next_address(response)}\n{response.text[:2000]}")


class Visitor:
    """One user's browser at one app, with kept connections unless ``keep_alive`` is False."""

    def __init__(self, app_url: str, *, keep_alive: bool = True) -> None:
        self.app_url, self.client = app_url, requests.Session()
        self.client.trust_env = False  # looking for proxies costs time on each request
        if not keep_alive:
            self.client.headers["Connection"] = "close"

    def get(self, path: str) -> requests.Response:
        """Return the answer to a GET."""
        return self.client.get(self.app_url + path, allow_redirects=False, timeout=TIMEOUT)

    def start_sign_in(self) -> str:
        """Go from the home page to the tenant as the app leads there; return the authorization request."""
        page = self.get("/")
        if "/authorize" not in next_address(page):
            page = self.get("/login")
        if "/authorize" not in next_address(page):
            raise UnexpectedAnswer("no redirect to the tenant", page)
        return next_address(page)

    def answer_of_tenant(self, authorization_request: str, first_lifetime: int = 0) -> str:
        """Sign in at the stand-in; return the address of the callback with the authorization response."""
        wish = f"&first_lifetime={first_lifetime}" if first_lifetime else ""
        page = requests.get(authorization_request + wish, allow_redirects=False, timeout=TIMEOUT)
        return page.headers["Location"]

    def sign_in(self, first_lifetime: int = 0) -> None:
        """Sign a new user in. ``first_lifetime`` is the lifetime of the first access token in seconds."""
        callback = self.answer_of_tenant(self.start_sign_in(), first_lifetime)
        page = self.client.get(callback, allow_redirects=False, timeout=TIMEOUT)
        if not redirects(page):
            raise UnexpectedAnswer("sign-in refused", page)

    def call_api(self) -> None:
        """Let the app call the API; raises UnexpectedAnswer if the API's answer is not on the page."""
        page = self.get("/call_downstream_api")
        if not shows_api_answer(page):
            raise UnexpectedAnswer("the API call failed", page)

    def sign_out(self, home: requests.Response) -> None:
        """Send the sign-out form of a home page; an app without a form has a link."""
        form = sign_out_form(home)
        if form:
            self.client.post(
                self.app_url + form[0],
                data=form[1],
                headers=same_origin(self.app_url),
                allow_redirects=False,
                timeout=TIMEOUT,
            )
        else:
            self.get("/logout")


def cookie_header(visitor: Visitor) -> str:
    """Return the Cookie header that the visitor's browser sends."""
    return "; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items())


def next_address(page: requests.Response) -> str:
    """Return where a browser goes from this answer without a click, or an empty string."""
    if page.is_redirect:
        return page.headers["Location"]
    found = META_REFRESH.search(page.text)
    return unescape(found[1]) if found else ""


def sign_out_form(home: requests.Response) -> tuple[str, dict[str, str]] | None:
    """Return the path and the hidden fields of the sign-out form of a home page."""
    form = LOGOUT_FORM.search(home.text)
    if not form:
        return None
    fields = {name: unescape(value) for name, value in HIDDEN_FIELD.findall(form[0])}
    return urljoin("/", unescape(form[1])), fields


def same_origin(app_url: str) -> dict[str, str]:
    """Return the headers of a form that was sent from one of the app's pages."""
    return {"Origin": app_url, "Sec-Fetch-Site": "same-origin"}


def redirects(page: requests.Response) -> bool:
    return page.status_code in (302, 303)


def shows_signed_in(page: requests.Response) -> bool:
    return page.status_code == 200 and NAME in page.text


def shows_api_answer(page: requests.Response) -> bool:
    return page.status_code == 200 and TASK in page.text
