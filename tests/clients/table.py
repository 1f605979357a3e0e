"""The clients of this folder, and the table about them in the local tenant's README.

`python -m tests.clients` runs the tests and writes the table. A usual run compares it with what the clients did.
"""

import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import pytest

from tests.helpers import npm
from tests.helpers.processes import ROOT

FOLDER = Path(__file__).resolve().parent
DOCUMENT = ROOT / "local_tenant" / "README.md"
TABLE = re.compile(r"(?<=<!-- clients -->\n).*?(?=<!-- end of clients -->)", re.DOTALL)
COLLECTED = pytest.StashKey[list["Proof"]]()
HEAD = "| client | version | `--kind` | what it did |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Client:
    """A client that somebody else wrote. `part` is the class or the settings that the test uses."""

    package: str
    part: str
    kinds: tuple[str, ...] = ("b2c",)
    folder: str = ""  # in node_modules; "" for a package of Python

    @property
    def name(self) -> str:
        return f"`{self.package}`, {self.part}"

    @property
    def version(self) -> str:
        """The version that is installed."""
        return npm.installed_version(FOLDER, self.folder) if self.folder else metadata.version(self.package)


ALL_KINDS = ("b2c", "entra-id", "external-id")


def of_npm(package: str, part: str, kinds: tuple[str, ...] = ("b2c",), folder: str = "") -> Client:
    return Client(package, part, kinds, folder or package)


MSAL_NODE_WEB = of_npm("@azure/msal-node", "`ConfidentialClientApplication`", ALL_KINDS)
MSAL_NODE_NATIVE = of_npm("@azure/msal-node", "`PublicClientApplication`", ALL_KINDS)
MSAL_BROWSER = of_npm("@azure/msal-browser", "`PublicClientApplication` in Chromium", ALL_KINDS)
MSAL_BROWSER_4 = of_npm("@azure/msal-browser", "version 4, in Chromium", folder="@azure/msal-browser-4")
OPENID_CLIENT = of_npm("openid-client", "without its option for insecure requests")
PASSPORT_OIDC = of_npm("passport-azure-ad", "`OIDCStrategy`")
PASSPORT_BEARER = of_npm("passport-azure-ad", "`BearerStrategy`")
AUTHLIB = Client("Authlib", "the client for Flask")
IDENTITY = Client("identity", "`b2c_tenant_name` and its other settings for B2C")
MSAL_PYTHON_NATIVE = Client("msal", "`PublicClientApplication`", ALL_KINDS)

CLIENTS = (
    *(MSAL_NODE_WEB, MSAL_NODE_NATIVE, MSAL_BROWSER, MSAL_BROWSER_4, OPENID_CLIENT),
    *(PASSPORT_OIDC, PASSPORT_BEARER, AUTHLIB, IDENTITY, MSAL_PYTHON_NATIVE),
)


@dataclass
class Proof:
    """What a client has done in this run, at a tenant of this kind."""

    client: Client
    kind: str
    done: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        self.done.append(what)

    @property
    def row(self) -> tuple[str, str, str]:
        """Name, version, and what it did."""
        return self.client.name, self.client.version, "; ".join(self.done)


def written(proofs: list[Proof]) -> str:
    """The table about these proofs, in the order of CLIENTS. A row has all kinds at which the same was done."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for client in CLIENTS:
        for proof in sorted(
            (proof for proof in proofs if proof.client == client),
            key=lambda proof: client.kinds.index(proof.kind),
        ):
            kinds.setdefault(proof.row, []).append(proof.kind)
    return HEAD + "".join(
        f"| {name} | {version} | {', '.join(of_row)} | {done} |\n"
        for (name, version, done), of_row in kinds.items()
    )


def documented() -> dict[tuple[str, str], tuple[str, str, str]]:
    """The rows of the README's table, by name of the client and kind of tenant."""
    found = TABLE.search(DOCUMENT.read_text(encoding="utf-8"))
    assert found, f"{DOCUMENT} has no table of clients"
    rows = [line.strip("| ").split(" | ") for line in found[0].splitlines()[2:]]
    return {
        (name, kind): (name, version, done)
        for name, version, kinds, done in rows
        for kind in kinds.split(", ")
    }


def write(proofs: list[Proof]) -> None:
    """Write the table into the README."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert TABLE.search(text), f"{DOCUMENT} has no place for the table of clients"
    DOCUMENT.write_text(TABLE.sub(lambda _: written(proofs), text), encoding="utf-8")
