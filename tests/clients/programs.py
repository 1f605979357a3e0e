"""A tenant as clients see it, the programs of this folder as its clients, and somebody who uses them."""

import html
import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_tenant import LocalTenant
from local_tenant.control import Control
from tests.clients.table import FOLDER
from tests.helpers import npm
from tests.helpers.browser import Visitor
from tests.helpers.processes import Program, free_port, listens
from tests.helpers.waiting import wait_until

USER = "Ada Example"  # the name of the account that is there from the start
TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "NO_PROXY", "no_proxy")


class Tenant:
    """A running tenant, and what its clients have to know about it."""

    def __init__(self, running: LocalTenant):
        self.running, self.account, self.ca_bundle = running, running.account, running.ca_bundle
        self.control = Control(running.url, running.ca_bundle)
        self.apps: dict[str, dict[str, Any]] = {app["type"]: app for app in self.control.call("GET", "apps")}

    def register(self, app_type: str, redirect_uri: str) -> None:
        """Register a redirect URI with the app of this type: "web", "spa" or "native"."""
        self.control.add_redirect_uri(redirect_uri, self.apps[app_type]["client_id"])

    def change_app(self, app_type: str, **attributes: object) -> None:
        """Change the registration of the app of this type, such as `id_tokens=True`."""
        self.control.call("PATCH", f"apps/{self.apps[app_type]['client_id']}", attributes)

    @property
    def grant_types(self) -> list[str]:
        """What the token endpoint was asked to redeem, in order."""
        return [seen["form"]["grant_type"][0] for seen in self.control.requests("token")]

    def how_signed_in(self) -> str:
        """How the client signed somebody in, by the requests that the tenant has seen."""
        request = self.control.requests("authorize")[0]["query"]
        words = [f"`{request['response_type'][0]}`"]
        words += ["PKCE"] if "code_challenge" in request else []
        if redeemed := self.control.requests("token"):
            if "Authorization" in redeemed[0]["headers"]:
                words.append("`client_secret_basic`")
            else:
                words.append(
                    "`client_secret_post`" if "client_secret" in redeemed[0]["form"] else "no secret"
                )
        return ", ".join(words)

    @property
    def pages_port(self) -> int:
        return int(self.running.url.rpartition(":")[2])

    @property
    def authority(self) -> str:
        settings = self.running.settings
        if settings["AUTHORITY"]:
            return settings["AUTHORITY"]
        user_flow, tenant = settings["SIGNUPSIGNIN_USER_FLOW"], settings["B2C_TENANT_NAME"]
        return settings["AUTHORITY_TEMPLATE"].format(tenant=tenant, user_flow=user_flow)

    def environ(self, app_type: str) -> dict[str, str]:
        """The environment of a client: how to trust the tenant, and its settings for an app of this type."""
        settings, app = self.running.settings, self.apps[app_type]
        return {
            "PATH": os.environ["PATH"],
            **{name: settings[name] for name in TRUST},
            "AUTHORITY": self.authority,
            "CLIENT_ID": app["client_id"],
            "CLIENT_SECRET": app["client_secret"],
            "SCOPES": self.running.tasks_scope,
            "ENDPOINT": self.running.api_url,
        }


def _command(file: str) -> list[str]:
    """The command that runs a program of this folder."""
    interpreter = npm.node() if file.endswith(".js") else sys.executable
    return [interpreter, str(FOLDER / file)]


class WebApp(Program):
    """A web app of this folder, on a port of its own.

    All of them have these paths: / (who is signed in), /sign-in, /redirect, /tasks (calls the web API).
    """

    def __init__(self, file: str, tenant: Tenant, folder: Path, **environ: str):
        port = free_port()
        self.url, self.tenant = f"http://localhost:{port}", tenant
        for path in ("", "/", "/redirect"):
            tenant.register("web", self.url + path)
        settings = tenant.environ("web") | {"APP_URL": self.url} | environ
        super().__init__(_command(file), folder, settings, cwd=FOLDER)
        self.wait_until_ready(lambda: listens(port))


class NativeApp(Program):
    """A program of this folder that signs somebody in with the browser of the machine that it runs on."""

    def __init__(self, file: str, tenant: Tenant, folder: Path):
        super().__init__(_command(file), folder, tenant.environ("native"), cwd=FOLDER)

    def printed(self, name: str) -> str:
        """What the program prints after `name=`, once it does."""

        def find() -> str:
            lines = self.output().splitlines(keepends=True)
            return next((line for line in lines if line.startswith(f"{name}=") and line.endswith("\n")), "")

        wait_until(lambda: find() or self.process.poll() is not None, f"the program prints {name}=")
        assert find(), self.output()
        return find().strip().partition("=")[2]

    def result(self) -> dict[str, Any]:
        """What the program says that it has done, before it ends."""
        result: dict[str, Any] = json.loads(self.printed("result"))
        return result


class Person(Visitor):
    """Somebody with a browser that has been nowhere yet. Has the account that is there from the start."""

    def __init__(self, tenant: Tenant, app_url: str = ""):
        super().__init__(app_url)
        self.account = tenant.account
        self.http.verify = tenant.ca_bundle

    @property
    def is_asked_for_password(self) -> bool:
        return 'id="password"' in self.page.text

    def enter_password(self) -> None:
        """Fill in the tenant's sign-in page."""
        assert self.is_asked_for_password, f"{self.page.url}: {self.page.text}"
        self.submit("next", email=self.account["email"], password=self.account["password"])
        if 'id="answer"' in self.page.text:  # response_mode=form_post
            self.submit_form()  # as the page's script does

    def sign_in(self, start: str = "/sign-in") -> None:
        """Sign in from this path of the app, or at the tenant's own address."""
        self.get(start)
        self.enter_password()

    def choose_account(self) -> None:
        """Say which account to sign out, where the tenant asks for it."""
        if 'id="account"' in self.page.text:
            self.submit("account")

    def follow_refresh(self) -> None:
        """Go where the page leads to by itself, as a browser would."""
        address = re.search(r"http-equiv='refresh' content='0; URL=(.*?)'", self.page.text)
        assert address, self.page.text
        self.get(html.unescape(address[1]))

    def user(self) -> str | None:
        """Who is signed in, by the app's home page."""
        parts = urlsplit(self.page.url)
        at = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        assert at == self.app_url, f"{self.page.url}: {self.page.text}"
        user: str | None = self.page.json()["user"]
        return user

    def owner(self, path: str) -> str:
        """Whose tasks the app shows at this path, which calls the web API."""
        answer = self.get(path)
        assert answer.ok, answer.text
        return str(answer.json()["owner"])
