"""A browser without a screen: cookies, redirects, links and forms over real HTTP."""

import socket
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests

from tests.helpers.connections import http_session
from tests.helpers.tenant import Tenant

AnyVisitor = TypeVar("AnyVisitor", bound="Visitor")
AnyBrowser = TypeVar("AnyBrowser", bound="Browser")
Attributes = list[tuple[str, str | None]]

TIMEOUT_SECONDS = 40


@dataclass
class Form:
    """A form of a page, with what its fields and buttons send."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, str] = field(default_factory=dict)


class Document(HTMLParser):
    """A page's forms, links (by id and by text), main heading and text."""

    def __init__(self, html: str):
        super().__init__()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.text = ""
        self.heading = ""
        self._link = ""
        self._in_heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: Attributes) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag in ("input", "button") and self.forms and given.get("name"):
            is_button = tag == "button" or given.get("type") == "submit"
            values = self.forms[-1].buttons if is_button else self.forms[-1].fields
            values[given["name"]] = given.get("value", "")
        elif tag == "h1":
            self._in_heading = True
        elif tag == "a":
            self._link = given.get("href", "")
            if given.get("id"):
                self.links[given["id"]] = self._link

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = ""
        elif tag == "h1":
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        self.text += data
        self.heading += data if self._in_heading else ""
        if self._link and data.strip():
            self.links[data.strip()] = self._link


def with_query(url: str, **changes: str | list[str] | None) -> str:
    """`url` with parameters set, given several times (a list) or left out (None)."""
    parts = urlsplit(url)
    query: dict[str, Any] = parse_qs(parts.query, keep_blank_values=True) | changes
    kept = {name: values for name, values in query.items() if values is not None}
    return parts._replace(query=urlencode(kept, doseq=True)).geturl()


def parameters(url: str) -> dict[str, str]:
    """The query parameters of `url`, the first value of each."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def greeted(page: requests.Response) -> str | None:
    """The name that the home page greets, or None if nobody is signed in."""
    home = Document(page.text)
    return home.heading.strip().removeprefix("Welcome, ") if "Sign out" in home.text else None


def set_cookies(answer: requests.Response) -> list[str]:
    """The Set-Cookie headers of an answer, one by one."""
    lines: list[str] = answer.raw.headers.getlist("Set-Cookie")
    return lines


def assert_page(answer: requests.Response, *statuses: int) -> None:
    """The answer is a page to read, with a way on. Pass several statuses where each is right."""
    assert answer.status_code in statuses
    page = Document(answer.text)
    assert page.heading
    assert page.links


def send_lines(port: int, *lines: str | bytes) -> tuple[int, dict[str, str], bytes]:
    """Send exactly these lines to a server. Returns the answer's status, headers and body."""
    sent = [line.encode("latin-1") if isinstance(line, str) else line for line in lines]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"\r\n".join([*sent, b"Connection: close", b"", b""]))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.title(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split()[1]), headers, body


class Visitor:
    """What a person does with a browser at an app. `page` is the answer shown last."""

    def __init__(self, app_url: str):
        self.app_url = app_url
        self.http = http_session()
        self._page: requests.Response | None = None

    def __enter__(self: AnyVisitor) -> AnyVisitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    @property
    def page(self) -> requests.Response:
        assert self._page is not None, "this browser has been nowhere yet"
        return self._page

    @property
    def text(self) -> str:
        return " ".join(Document(self.page.text).text.split())

    @property
    def location(self) -> str:
        """Where the answer shown last leads, in its own words."""
        return self.page.headers["Location"]

    @property
    def cookies(self) -> dict[str, str]:
        """The app's cookies."""
        return {
            cookie.name: cookie.value or ""
            for cookie in self.http.cookies
            if cookie.name.removeprefix("__Host-").startswith("signin_")
        }

    @property
    def cookie_header(self) -> dict[str, str]:
        """Headers that send the app's cookies as they are now, whatever becomes of this browser."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": cookies, "Accept": "text/html"}

    @property
    def session_id(self) -> str | None:
        """What the session cookie holds."""
        return self.cookies.get("signin_session") or self.cookies.get("__Host-signin_session")

    def set_session_id(self, session_id: str) -> None:
        self.http.cookies.set("signin_session", session_id, domain="localhost.local", path="/")

    def forget_session_id(self) -> None:
        """Lose the session cookie, as a browser that does not keep cookies."""
        for cookie in [cookie for cookie in self.http.cookies if cookie.name == "signin_session"]:
            self.http.cookies.clear(cookie.domain, cookie.path, cookie.name)

    def get(self, path: str, *, follow: bool = True, **headers: str) -> requests.Response:
        """Go to a path of the app, or to a whole URL. Headers are written as `Sec_Fetch_Site`."""
        return self._go("GET", urljoin(self.app_url, path), follow, headers)

    def post(
        self, path: str, *, follow: bool = True, fields: Any = None, **headers: str
    ) -> requests.Response:
        """Submit a form of the app's own page."""
        given = {"Origin": self.app_url, "Sec_Fetch_Site": "same-origin"} | headers
        return self._go("POST", urljoin(self.app_url, path), follow, given, data=fields)

    def _go(
        self, method: str, url: str, follow: bool, headers: dict[str, str], **body: Any
    ) -> requests.Response:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers = {"Accept": "text/html,application/xhtml+xml"} | headers
        self._page = self.http.request(
            method, url, headers=headers, allow_redirects=follow, timeout=TIMEOUT_SECONDS, **body
        )
        return self._page

    def follow(self) -> requests.Response:
        """Follow one redirect."""
        return self.get(urljoin(self.page.url, self.location), follow=False)

    def click(self, link: str) -> requests.Response:
        """Follow the link with this id or text."""
        return self.get(urljoin(self.page.url, Document(self.page.text).links[link]))

    def submit(self, button: str, *, follow: bool = True, **fields: str) -> requests.Response:
        """Fill in the page's form that has this button, and press it."""
        form = next(form for form in Document(self.page.text).forms if button in form.buttons)
        data = form.fields | fields | {button: form.buttons[button]}
        return self._go("POST", urljoin(self.page.url, form.action), follow, {}, data=data)

    def submit_form(self, *, follow: bool = True, **fields: str) -> requests.Response:
        """Fill in the page's first form, and press a button that has no name."""
        form = Document(self.page.text).forms[0]
        return self._go("POST", urljoin(self.page.url, form.action), follow, {}, data=form.fields | fields)

    def signed_in_as(self) -> str | None:
        """The name that the app's home page greets."""
        return greeted(self.get("/"))


class Browser(Visitor):
    """A visitor of an app that signs users in at a local tenant."""

    def __init__(self, app_url: str, tenant: Tenant):
        super().__init__(app_url)
        self.tenant = tenant

    def leave_tenant(self) -> None:
        """Lose the tenant's cookies, and with them its single sign-on."""
        self.http.cookies.clear("127.0.0.1")

    def enter_password(
        self, *, email: str = "", password: str = "", follow: bool = True
    ) -> requests.Response:
        """Fill in the tenant's sign-in page, for the tenant's own account unless told otherwise."""
        account = self.tenant.account
        credentials = {"email": email or account["email"], "password": password or account["password"]}
        return self.submit("next", follow=follow, **credentials)

    def sign_in(
        self: AnyBrowser, *, email: str = "", password: str = "", start: str = "/login"
    ) -> AnyBrowser:
        """Sign in from `start`. The tenant's single sign-on may make its page unnecessary."""
        self.get(start)
        if urlsplit(self.page.url).netloc != urlsplit(self.app_url).netloc:
            self.enter_password(email=email, password=password)
        return self

    def callback_url(self, start: str = "/login") -> str:
        """Sign in at the tenant, and stop before the redirect URI. Returns where the tenant leads to."""
        self.get(start, follow=False)
        self.follow()
        if self.page.status_code == 200:
            self.enter_password(follow=False)
        return self.location

    def edited_profile_url(self, display_name: str) -> str:
        """Edit the profile at the tenant, and stop before the redirect URI. Returns where it leads to."""
        self.get("/edit_profile", follow=False)
        self.follow()
        self.submit("continue", follow=False, displayName=display_name)
        return self.location
