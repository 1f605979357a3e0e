"""MSAL.js in a single-page app, in Chromium."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.clients import table
from tests.clients.conftest import Prove, TenantOfKind
from tests.clients.programs import FOLDER, USER, Tenant
from tests.clients.table import Client, Proof
from tests.helpers.person import ARGUMENTS, chromium_path


# Single-page apps sign in in a hidden frame when their refresh token has expired. The tenant's cookie is a third
# party's there, which Chromium blocks unless somebody has changed this setting.
PREFERENCES = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A Chromium that allows third-party cookies."""
    profile = tmp_path_factory.mktemp("chromium")
    (profile / "Default").mkdir()
    (profile / "Default" / "Preferences").write_text(json.dumps(PREFERENCES))
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium_path(), args=ARGUMENTS, ignore_https_errors=True
        )
        context.set_default_timeout(10_000)
        yield context
        context.close()


@pytest.fixture
def page(chromium: BrowserContext) -> Iterator[Page]:
    """A page of a browser that nobody is signed in with."""
    page = chromium.new_page()
    yield page
    page.close()
    chromium.clear_cookies()


class QuietFileHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve_app(
    folder: Path, client: Client, tenant: Tenant, *, main_page: str, other_page: str
) -> Iterator[str]:
    """Serve the single-page app with this version of MSAL.js, and return its origin.

    The tenant's answers go to `main_page` after a redirect, and to `other_page` in a popup or a hidden frame.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFileHandler, directory=str(folder)))
    server.daemon_threads = True
    origin = f"http://localhost:{server.server_port}"
    for path in {"/", main_page, other_page}:
        tenant.register("spa", origin + path)
    settings = {
        "auth": {
            "clientId": tenant.apps["spa"]["client_id"],
            "authority": tenant.authority,
            "knownAuthorities": [urlsplit(tenant.authority).netloc],
            "redirectUri": origin + main_page,
            "postLogoutRedirectUri": f"{origin}/",
        },
        "redirectUri": origin + other_page,
        "scopes": tenant.running.tasks_scope.split(),
        "endpoint": tenant.running.api_url,
    }
    shutil.copytree(FOLDER / "msal_browser", folder, dirs_exist_ok=True)
    for bundle in (FOLDER / "node_modules" / client.npm_folder / "lib").rglob("*.min.js"):
        shutil.copy(bundle, folder)
    (folder / "settings.json").write_text(json.dumps(settings))
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield origin
    server.shutdown()
    server.server_close()


def enter_password(page: Page, tenant: Tenant) -> None:
    page.locator("#email").fill(tenant.account["email"])
    page.locator("#password").fill(tenant.account["password"])
    page.locator("#next").click()


def answer(page: Page, button: str) -> Any:
    """What the app shows of the web API's answer after a click on this button."""
    output = page.locator("#answer")
    output.evaluate("element => { element.textContent = '' }")
    page.locator(f"#{button}").click()
    expect(output).not_to_be_empty()
    return json.loads(output.inner_text())


def use(page: Page, tenant: Tenant, shown: Proof) -> None:
    """Sign in by redirect, call the web API, get new tokens in both ways, sign out, sign in in a popup."""
    user = page.locator("#user")
    page.locator("#redirect").click()
    enter_password(page, tenant)
    expect(user).to_have_text(USER)
    shown.add(f"sign-in by redirect ({tenant.how_signed_in()})")
    assert answer(page, "tasks") == {"owner": USER, "fromCache": True}
    shown.add("web API")
    assert answer(page, "refresh") == {"owner": USER, "fromCache": False}
    assert tenant.grant_types == ["authorization_code", "refresh_token"]
    shown.add("refresh")
    assert answer(page, "frame") == {"owner": USER, "fromCache": False}
    assert tenant.grant_types == ["authorization_code", "refresh_token", "authorization_code"]
    shown.add("sign-in in a hidden frame, with third-party cookies")
    page.locator("#sign-out").click()
    ask = page.locator("#account")
    expect(user.or_(ask)).to_be_visible()
    if ask.is_visible():
        ask.click()
    expect(user).to_have_text("nobody")
    with page.expect_popup() as popup:
        page.locator("#popup").click()
    enter_password(popup.value, tenant)  # which the tenant asks for, because its session has ended
    expect(user).to_have_text(USER)
    shown.add("sign-out")
    shown.add("sign-in in a popup")


@pytest.mark.parametrize("kind", table.MSAL_BROWSER.kinds)
def test_msal_browser(
    kind: str, page: Page, tmp_path: Path, tenant_of_kind: TenantOfKind, prove: Prove
) -> None:
    client, tenant, bridge = table.MSAL_BROWSER, tenant_of_kind(kind), "/redirect.html"
    with serve_app(tmp_path, client, tenant, main_page=bridge, other_page=bridge) as origin:
        page.goto(origin)
        with prove(client, kind) as shown:
            use(page, tenant, shown)


def test_msal_browser_4(page: Page, tmp_path: Path, tenant: Tenant, prove: Prove) -> None:
    client = table.MSAL_BROWSER_4
    with serve_app(tmp_path, client, tenant, main_page="/", other_page="/blank.html") as origin:
        page.goto(origin)
        with prove(client) as shown:
            use(page, tenant, shown)
