"""MSAL.js in a single-page app, in Chromium."""

import html
import json
import re
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
import requests
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from tests.clients import table
from tests.clients.conftest import Prove, TenantOfKind
from tests.clients.programs import USER, Tenant
from tests.clients.table import FOLDER, Client, Proof
from tests.helpers.person import ARGUMENTS, chromium_path

SECONDS = 15
# When its refresh token has expired, a single-page app signs in in a hidden frame. There, the tenant's cookie
# is that of a third party, which Chromium blocks by default.
PREFERENCES = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}
# A process for each site takes longer to start than to show these small pages.
FEW_PROCESSES = ["--disable-site-isolation-trials", "--renderer-process-limit=1"]


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A Chromium that allows third-party cookies."""
    profile = tmp_path_factory.mktemp("chromium")
    (profile / "Default").mkdir()
    (profile / "Default" / "Preferences").write_text(json.dumps(PREFERENCES))
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=chromium_path(),
        args=[*ARGUMENTS, *FEW_PROCESSES],
        ignore_https_errors=True,
    )
    context.set_default_timeout(SECONDS * 1000)
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
def serve_app(folder: Path, client: Client, tenant: Tenant) -> Iterator[str]:
    """Serve the single-page app with this version of MSAL.js, and return its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFileHandler, directory=str(folder)))
    server.daemon_threads = True
    origin = f"http://localhost:{server.server_port}"
    library = FOLDER / "node_modules" / client.npm_folder / "lib"
    # Since version 5, a page with a script of MSAL.js takes the tenant's answers and passes them on.
    redirect_uri = f"{origin}/redirect.html" if (library / "redirect-bridge").exists() else f"{origin}/"
    for registered in {redirect_uri, f"{origin}/"}:
        tenant.register("spa", registered)
    settings = {
        "auth": {
            "clientId": tenant.apps["spa"]["client_id"],
            "authority": tenant.authority,
            "knownAuthorities": [urlsplit(tenant.authority).netloc],
            "redirectUri": redirect_uri,
            "postLogoutRedirectUri": f"{origin}/",
        },
        "scopes": tenant.running.tasks_scope.split(),
        "endpoint": tenant.running.api_url,
    }
    shutil.copytree(FOLDER / "msal_browser", folder, dirs_exist_ok=True)
    for bundle in library.rglob("*.min.js"):
        shutil.copy(bundle, folder)
    (folder / "settings.json").write_text(json.dumps(settings))
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield origin
    server.shutdown()
    server.server_close()


def expect_user(page: Page, name: str) -> None:
    """Wait until the app names who is signed in, after it has been to the tenant."""
    expect(page.locator("#user")).to_have_text(name, timeout=SECONDS * 1000)


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


def sign_in_and_out(page: Page, tenant: Tenant, shown: Proof) -> None:
    """Sign in by redirect, call the web API, refresh the tokens, sign out."""
    expect_user(page, "nobody")
    page.locator("#redirect").click()
    enter_password(page, tenant)
    expect_user(page, USER)
    shown.add(f"sign-in by redirect ({tenant.how_signed_in()})")
    assert answer(page, "tasks") == {"owner": USER, "fromCache": True}
    shown.add("web API")
    assert answer(page, "refresh") == {"owner": USER, "fromCache": False}
    assert tenant.grant_types == ["authorization_code", "refresh_token"]
    shown.add("refresh")
    page.locator("#sign-out").click()
    account, nobody = page.locator("#account"), page.get_by_text("nobody", exact=True)
    account.or_(nobody).wait_for()
    if account.is_visible():  # the tenant asks which account to sign out
        account.click()
    expect_user(page, "nobody")


def test_redirect_popup_and_frame(page: Page, tmp_path: Path, tenant: Tenant, prove: Prove) -> None:
    with prove(table.MSAL_BROWSER) as shown, serve_app(tmp_path, table.MSAL_BROWSER, tenant) as origin:
        page.goto(origin)
        sign_in_and_out(page, tenant, shown)
        with page.expect_popup() as popup:
            page.locator("#popup").click()
        enter_password(popup.value, tenant)  # which the tenant asks for, because its session has ended
        shown.add("sign-out")
        expect_user(page, USER)
        shown.add("sign-in in a popup")
        tenant.control.forget_requests()
        assert answer(page, "frame") == {"owner": USER, "fromCache": False}
        assert tenant.grant_types == ["authorization_code"]
        shown.add("sign-in in a hidden frame, with third-party cookies")


@pytest.mark.parametrize(
    ("client", "kind"),
    [
        (table.MSAL_BROWSER, "entra-id"),
        (table.MSAL_BROWSER, "external-id"),
        (table.MSAL_BROWSER_4, "b2c"),
    ],
    ids=["entra-id", "external-id", "version-4"],
)
def test_redirect(
    client: Client, kind: str, page: Page, tmp_path: Path, tenant_of_kind: TenantOfKind, prove: Prove
) -> None:
    tenant = tenant_of_kind(kind)
    with prove(client, kind) as shown, serve_app(tmp_path, client, tenant) as origin:
        page.goto(origin)
        sign_in_and_out(page, tenant, shown)
        page.locator("#redirect").click()
        expect(page.locator("#password")).to_be_visible()
        shown.add("sign-out")


def test_the_snippet_of_the_tenants_page_signs_in(page: Page, tmp_path: Path, tenant: Tenant) -> None:
    with serve_app(tmp_path, table.MSAL_BROWSER, tenant) as origin:
        desk = requests.get(tenant.running.url, verify=tenant.ca_bundle, timeout=SECONDS).text
        [snippet] = re.findall(r'data-copy="MSAL.js in the browser">(.*?)</code>', desk, re.DOTALL)
        snippet = html.unescape(snippet).replace("http://localhost:3000/", f"{origin}/snippet.html")
        tenant.register("spa", f"{origin}/snippet.html")
        (tmp_path / "snippet.html").write_text(
            '<script src="msal-browser.min.js"></script>'
            '<script type="importmap">{"imports": {"@azure/msal-browser": "./global.js"}}</script>'
            f'<script type="module">{snippet}</script>'
        )
        (tmp_path / "global.js").write_text("export const { PublicClientApplication } = msal;")
        page.goto(f"{origin}/snippet.html")
        with page.expect_console_message(lambda message: message.type == "log") as logged:
            enter_password(page, tenant)
    assert logged.value.args[0].json_value()["name"] == USER
