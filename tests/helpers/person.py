"""A person in front of a real browser, and what that browser complained of meanwhile."""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
)

from tests.helpers.browser import Browser as PlainBrowser
from tests.helpers.tenant import Tenant

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--in-process-gpu",  # a process less
    "--disable-gpu",
]
PASSWORD = "Correct-horse-7"


def chromium_path() -> str:
    """The path of the machine's own Chromium. Skips the test when there is none.

    Its headless shell, where it is installed, takes a third less CPU.
    """
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if not path:
        pytest.skip("there is no Chromium on this machine (Debian: apt-get install chromium)")
    return path


@contextmanager
def open_chromium(playwright: Playwright) -> Iterator[Browser]:
    """The machine's own Chromium. Skips the test when there is none."""
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
    yield browser
    browser.close()


MEDIA = {"color_scheme": "light", "reduced_motion": "no-preference", "forced_colors": "none"}
VIEWPORT = {"width": 1280, "height": 720}


class Windows:
    """The windows of one Chromium, lent to one person after another. Each is as good as new.

    Opening one takes half a second of CPU, and its first page as much again.
    """

    def __init__(self, chromium: Browser):
        self._chromium = chromium
        self._free: defaultdict[str, list[Page]] = defaultdict(list)

    def lend(self, **options: Any) -> tuple[Page, Callable[[], None]]:
        """A window with these options of Playwright's `new_context`, and what hands it back."""
        media = {name: options.pop(name, usual) for name, usual in MEDIA.items()}
        viewport = options.pop("viewport", VIEWPORT)
        permissions = options.pop("permissions", [])
        free = self._free[json.dumps(options)]
        page = free.pop() if free else self._chromium.new_context(**options).new_page()
        page.emulate_media(**media)
        page.set_viewport_size(viewport)
        if permissions:
            page.context.grant_permissions(permissions)

        def hand_back() -> None:
            forget_everything(page)
            free.append(page)

        return page, hand_back


def forget_everything(page: Page) -> None:
    """Close the other tabs of this window, and remove what the sites have left in its browser."""
    for tab in page.context.pages:
        if tab is not page:
            tab.close()
    page.unroute_all()
    page.context.clear_cookies()
    page.context.clear_permissions()
    page.wait_for_load_state()
    try:
        page.evaluate("sessionStorage.clear(), localStorage.clear()")
    except Error as error:
        if page.url.startswith("http"):
            raise AssertionError(f"nothing could be removed at {page.url}") from error
    page.goto("about:blank")


class Person:
    """Somebody at a browser that has been nowhere yet. `page` is the tab they look at."""

    def __init__(
        self,
        place: BrowserContext | Page,
        app_url: str,
        tenant: Tenant,
        leave: Callable[[], None] | None = None,
    ):
        """`place` is a browser of their own, closed when they leave, or a window that `leave` hands back."""
        self.page: Page = place if isinstance(place, Page) else place.new_page()
        self.context, self.app_url, self.tenant = self.page.context, app_url, tenant
        self.complaints: list[str] = []
        self._visited: set[str] = set()
        self._leave = leave or self.context.close
        self.context.set_default_timeout(10_000)
        self._listeners: dict[str, Callable[[Any], None]] = {
            "request": self._note_request,
            "console": self._note_console,
            "weberror": lambda error: self.complaints.append(str(error.error)),
        }
        for event, listener in self._listeners.items():
            self.context.on(event, listener)  # type: ignore[call-overload]

    def _note_request(self, request: Request) -> None:
        if request.is_navigation_request():
            self._visited.add(request.url)
        if urlsplit(request.url).netloc not in {
            urlsplit(url).netloc for url in (self.app_url, self.tenant.url)
        }:
            self.complaints.append(f"request to another host: {request.url}")

    def _note_console(self, message: ConsoleMessage) -> None:
        # Chromium reports the status of an error page itself; that of its style sheet would be a fault.
        is_error_page = "status of" in message.text and message.location["url"] in self._visited
        if message.type in ("error", "warning") and not is_error_page:
            self.complaints.append(f"{message.type}: {message.text}")

    def leave(self) -> None:
        """Leave the browser. Fails when it has complained of anything."""
        for event, listener in self._listeners.items():
            self.context.remove_listener(event, listener)
        self._leave()
        assert not self.complaints, self.complaints

    def go(self, path: str) -> "Person":
        """Go to a path of the app, or to a whole URL."""
        self.page.goto(urljoin(self.app_url, path))
        return self

    def click(self, text: str) -> "Person":
        """Click on the link or button with this name, in the page's content before anywhere else."""
        content = self.page.locator("main")
        for place in (content, self.page.locator("header")):
            for role in ("button", "link"):
                found = place.get_by_role(role, name=text, exact=True)
                if found.count():
                    with self.page.expect_navigation():
                        found.first.click()
                    return self
        raise AssertionError(f"nothing to click on says {text!r}: {self.text}")

    def fill(self, **fields: str) -> "Person":
        """Type into the fields with these ids."""
        for name, value in fields.items():
            self.page.locator(f"#{name}").fill(value)
        return self

    def press(self, button: str) -> "Person":
        """Press the tenant's button with this id."""
        with self.page.expect_navigation():
            self.page.locator(f"#{button}").click()
        return self

    def sign_in(self, email: str, password: str = PASSWORD) -> "Person":
        """Sign in from the home page."""
        return self.go("/").click("Sign in or sign up").fill(email=email, password=password).press("next")

    def be_signed_in(self, email: str = "", password: str = PASSWORD) -> "Person":
        """Go on as somebody who has signed in with this browser, at the app and at the tenant.

        The sign-in itself takes place over plain HTTP, and the browser gets the cookies.
        """
        account = self.tenant.account
        with PlainBrowser(self.app_url, self.tenant) as plain:
            plain.http.headers["User-Agent"] = str(self.page.evaluate("navigator.userAgent"))
            plain.sign_in(
                email=email or account["email"], password=password if email else account["password"]
            )
            urls = {"127.0.0.1": self.tenant.url, "localhost.local": self.app_url}
            for cookie in plain.http.cookies:
                self.context.add_cookies(
                    [
                        {
                            "name": cookie.name,
                            "value": cookie.value or "",
                            "url": urls[cookie.domain],
                            "httpOnly": True,
                            "sameSite": "Lax",
                        }
                    ]
                )
        return self

    def code(self, email: str) -> str:
        """The verification code on the tenant's mailbox page, read in a tab of its own."""
        mailbox = self.context.new_page()
        mailbox.goto(f"{self.tenant.url}/mailbox")
        message = mailbox.locator(".messages li").filter(has_text=email).first
        code = message.locator(".code").inner_text()
        mailbox.close()
        return code

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    @property
    def text(self) -> str:
        return " ".join(self.page.locator("body").inner_text().split())

    @property
    def notice(self) -> str:
        return self.page.get_by_role("status").inner_text()


def focused(person: Person) -> str:
    """What has the focus: its text, or else its id."""
    return str(person.page.evaluate("document.activeElement.innerText || document.activeElement.id"))


def tab_to(person: Person, text: str) -> None:
    """Press Tab until the element that says this has the focus."""
    for _ in range(30):
        person.page.keyboard.press("Tab")
        if focused(person) == text:
            return
    raise AssertionError(f"the Tab key does not get to {text!r}")
