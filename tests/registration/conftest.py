"""The stand-in for Microsoft Graph, and shorthands for the registration as a library call."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme

from local_tenant.graph import Directory, LocalGraph
from signin.registration import (
    Graph,
    Plan,
    Wanted,
    carry_out,
    federated_credentials,
    look,
    plan_registration,
    plan_removal,
)

DOMAIN = "contoso.onmicrosoft.com"
TENANT_TYPES = {"b2c": "AAD B2C", "external-id": "CIAM", "entra-id": "AAD", "entra-id-many-tenants": "AAD"}
DEFAULTS: dict[str, Any] = {
    "kind": "entra-id",
    "tenant": DOMAIN,
    "redirect_uri": "http://localhost:5000/getAToken",
    "sign_out_uri": "http://localhost:5000/",
    "secret_name": "flask register on ada",
}
API_SCOPES = ("tasks.read", "tasks.write")


class Operator:
    """Somebody who registers the app from one machine. `secret` is what the machine's .env would hold."""

    def __init__(self, server: LocalGraph, **wanted: Any):
        self.server, self.wanted = server, Wanted(**{**DEFAULTS, **wanted})
        self.secret: str | None = None
        self.waits: list[float] = []

    @property
    def directory(self) -> Directory:
        return self.server.directory

    @property
    def app(self) -> dict[str, Any]:
        return self.directory.named("Flask web app")

    @property
    def api(self) -> dict[str, Any]:
        return self.directory.named("Flask web app API")

    def wants(self, **changes: Any) -> "Operator":
        self.wanted = dataclasses.replace(self.wanted, **changes)
        return self

    def graph(self) -> Graph:
        access_token = self.server.access_token(*self.wanted.graph_permissions)
        return Graph(access_token, self.server.url, sleep=self.waits.append)

    def plan(self) -> Plan:
        wanted = dataclasses.replace(self.wanted, secret=self.secret)
        return plan_registration(wanted, look(self.graph(), wanted))

    def register(self) -> Plan:
        plan = self.plan()
        carry_out(self.graph(), plan, save=self._save)
        return plan

    def unregister(self) -> Plan:
        found = look(self.graph(), self.wanted)
        found.federated_credentials = federated_credentials(self.graph(), found)
        plan = plan_removal(self.wanted, found)
        carry_out(self.graph(), plan)
        return plan

    def _save(self, facts: dict[str, Any], secret: str | None) -> None:
        self.secret = secret or self.secret

    def granted(self) -> dict[str, str]:
        """The scopes that are consented to for all users, by the name of the resource."""
        services = self.directory.service_principals
        own = next(one["id"] for one in services.values() if one["appId"] == self.app["appId"])
        return {
            services[grant["resourceId"]]["displayName"]: grant["scope"]
            for grant in self.directory.grants.values()
            if grant["clientId"] == own and grant["consentType"] == "AllPrincipals"
        }


def certificate_file(folder: Path, owner: str = "ada") -> Path:
    """A PEM file with a private key of this owner and its certificate."""
    path = folder / "client.pem"
    client_certificate(owner).private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


@cache
def client_certificate(owner: str) -> trustme.LeafCert:
    return trustme.CA().issue_cert(f"{owner}.example", key_type=trustme.KeyType.RSA)


AsOperator = Callable[..., Operator]


@pytest.fixture(scope="session")
def graph_server() -> Iterator[LocalGraph]:
    with LocalGraph() as running:
        yield running


@pytest.fixture
def server(graph_server: LocalGraph, monkeypatch: pytest.MonkeyPatch) -> LocalGraph:
    """The stand-in with an empty directory, which every client that is made from now on trusts."""
    graph_server.start_over(Directory(DOMAIN))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", graph_server.ca_bundle)
    return graph_server


@pytest.fixture
def operator(server: LocalGraph) -> AsOperator:
    """A function that makes an operator who wants this, in a tenant of the fitting type."""

    def make(**wanted: Any) -> Operator:
        server.directory.tenant_type = TENANT_TYPES[wanted.get("kind", DEFAULTS["kind"])]
        return Operator(server, **wanted)

    return make
