"""A person in front of a real browser, and what that browser complained of meanwhile."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.helpers.tenant import Tenant

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PASSWORD = "Correct-horse-7"


def chromium_path() -> str:
    """The path of the machine's own Chromium. Skips the test when there is none."""
    path = shutil.which("chromium")
    if not path:
        pytest.skip("there is no Chromium on this machine (Debian: apt-get install chromium)")
    return path


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """The machine's own Chromium. Skips the test when there is none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        browser.close()


class Person:
    """Somebody at a browser that has been nowhere yet. `page` is the tab they look at."""

    def __init__(self, context: BrowserContext, app_url: str, tenant: Tenant):
        self.context, self.app_url, self.tenant = context, app_url, tenant
        self.complaints: list[str] = []
        self._hosts = {urlsplit(url).netloc for url in (app_url, tenant.url)}
        self._visited: set[str] = set()
        context.set_default_timeout(10_000)
        context.on("request", self._note_request)
        context.on("console", self._note_console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page: Page = context.new_page()

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
        """Close the browser. Fails when it has complained of anything."""
        self.context.close()
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
