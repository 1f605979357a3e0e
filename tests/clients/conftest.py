"""Tenants with https pages, one of each kind, and the programs of this folder as clients of them."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests

from local_tenant import LocalTenant
from tests.clients.table import FOLDER, Client, Collected, Proof, documented
from tests.helpers import npm
from tests.helpers.browser import Visitor
from tests.helpers.processes import Program, free_port

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


class Tenants(Protocol):
    """Returns the tenant of this kind."""

    def __call__(self, kind: str) -> ServedTenant: ...


@pytest.fixture(scope="session")
def tenants() -> Iterator[Tenants]:
    served: dict[str, ServedTenant] = {}
    with ExitStack() as stack:

        def tenant_of(kind: str) -> ServedTenant:
            if kind not in served:
                running = stack.enter_context(LocalTenant(port=0, kind=kind, https=True))
                served[kind] = ServedTenant(running)
            return served[kind]

        yield tenant_of


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
