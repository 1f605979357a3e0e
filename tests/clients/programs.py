"""A tenant as a client sees it, the programs of this folder as clients of it, and people who use them."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import requests

from local_tenant import LocalTenant
from tests.helpers import npm
from tests.helpers.browser import Visitor
from tests.helpers.processes import Program, free_port, listens
from tests.helpers.waiting import wait_until

FOLDER = Path(__file__).resolve().parent
SIGN_IN = "B2C_1_signupsignin1"


class ServedTenant:
    """A running tenant, and what a client has to know about it."""

    def __init__(self, running: LocalTenant):
        self.running = running

    @property
    def authority(self) -> str:
        settings = self.running.settings
        if settings["AUTHORITY"]:
            return settings["AUTHORITY"]
        return settings["AUTHORITY_TEMPLATE"].format(tenant=settings["B2C_TENANT_NAME"], user_flow=SIGN_IN)

    def register_redirect_uri(self, redirect_uri: str) -> None:
        requests.post(
            f"{self.running.url}/control/redirect-uris",
            json={"redirect_uri": redirect_uri},
            verify=self.running.ca_bundle,
            timeout=10,
        ).raise_for_status()

    def environ(self, type: str) -> dict[str, str]:
        """The environment of a client of this type: "web", "spa" or "native"."""
        settings = self.running.settings
        trust = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NO_PROXY", "no_proxy")
        return {
            **{name: settings[name] for name in trust},
            "NODE_EXTRA_CA_CERTS": self.running.ca_bundle,
            "PATH": os.environ["PATH"],
            "AUTHORITY": self.authority,
            "CLIENT_ID": settings["CLIENT_ID"],
            "CLIENT_SECRET": settings["CLIENT_SECRET"],
            "SCOPES": self.running.tasks_scope,
            "ENDPOINT": self.running.api_url,
        }


class Person(Visitor):
    """Somebody with a browser that has been nowhere yet, and the account that is there from the start."""

    def __init__(self, app_url: str, tenant: ServedTenant):
        super().__init__(app_url)
        self.account = tenant.running.account
        self.http.verify = tenant.running.ca_bundle

    def enter_password(self) -> None:
        self.submit("next", email=self.account["email"], password=self.account["password"])

    def sign_in(self, start: str = "/sign-in") -> None:
        """Sign in from this path of the app, on the tenant's sign-in page."""
        self.get(start)
        self.enter_password()

    def json(self, path: str) -> Any:
        """What the app answers at this path."""
        answer = self.get(path)
        assert answer.ok, answer.text
        return answer.json()


def command(file: str) -> list[str]:
    """The command that runs a program of this folder."""
    if file.endswith(".js"):
        return [npm.node(), str(FOLDER / file)]
    return [sys.executable, str(FOLDER / file)]


class WebApp(Program):
    """A web app of this folder on a port of its own, whose redirect URI is registered.

    Its paths: "/" names who is signed in. /sign-in, /redirect, /tasks (calls the web API), /refresh (does so
    with new tokens), /sign-out.
    """

    def __init__(self, file: str, tenant: ServedTenant, folder: Path, **environ: str):
        port = free_port()
        self.url, self.tenant = f"http://localhost:{port}", tenant
        settings = tenant.environ("web") | {"APP_URL": self.url} | environ
        super().__init__(command(file), folder, settings, cwd=FOLDER)
        self.wait_until_ready(lambda: listens(port))


class NativeApp(Program):
    """A program of this folder that signs somebody in with the browser of its machine."""

    def __init__(self, file: str, tenant: ServedTenant, folder: Path):
        super().__init__(command(file), folder, tenant.environ("native"), cwd=FOLDER)

    def wait_for(self, name: str) -> str:
        """The value that the program prints behind this name."""
        start = f"{name}="
        self.wait_until_ready(lambda: f"\n{start}" in f"\n{self.output()}" and self.output().endswith("\n"))
        lines = self.output().splitlines()
        return next(line.removeprefix(start) for line in lines if line.startswith(start))

    def result(self) -> Any:
        """What the program did."""
        self.process.wait(30)
        ...
