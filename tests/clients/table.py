"""The clients of this folder, and the table about them in the local tenant's documentation.

`pytest tests/clients --write-client-table` writes the table. Without the option, the tests compare it with
what the clients did.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from tests.helpers import npm
from tests.helpers.processes import ROOT

FOLDER = Path(__file__).resolve().parent
DOCUMENT = ROOT / "local_tenant" / "docs" / "clients.md"
TABLE = re.compile(r"(?<=<!-- clients -->\n).*?(?=<!-- end of clients -->)", re.DOTALL)
HEAD = "| client | version | `--kind` | what the tests do with it |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Client:
    """A client that somebody else wrote, and the kinds of tenant that it is used with.

    `part` is the class or the settings in use. `npm_folder` is where node_modules has it; "" for a package of
    Python.
    """

    package: str
    part: str
    kinds: tuple[str, ...] = ("b2c",)
    npm_folder: str = ""

    @property
    def name(self) -> str:
        return f"`{self.package}`, {self.part}"

    @property
    def version(self) -> str:
        """The version that is installed."""
        if self.npm_folder:
            return npm.installed_version(FOLDER, self.npm_folder)
        return metadata.version(self.package)


def _of_npm(package: str, part: str, kinds: tuple[str, ...] = ("b2c",), folder: str = "") -> Client:
    return Client(package, part, kinds, folder or package)


ALL_KINDS = ("b2c", "entra-id", "external-id")
MSAL_NODE_WEB = _of_npm("@azure/msal-node", "`ConfidentialClientApplication`", ALL_KINDS)
MSAL_NODE_NATIVE = _of_npm("@azure/msal-node", "`PublicClientApplication`", ALL_KINDS)
MSAL_BROWSER = _of_npm("@azure/msal-browser", "`PublicClientApplication` in Chromium", ALL_KINDS)
MSAL_BROWSER_4 = _of_npm("@azure/msal-browser", "the same of version 4", folder="@azure/msal-browser-4")
OPENID_CLIENT = _of_npm("openid-client", "without its option for insecure requests")
PASSPORT_OIDC = _of_npm("passport-azure-ad", "`OIDCStrategy`")
PASSPORT_BEARER = _of_npm("passport-azure-ad", "`BearerStrategy`")
AUTHLIB = Client("Authlib", "the client for Flask")
IDENTITY = Client("identity", "`b2c_tenant_name` and its other settings for B2C")
MSAL_PYTHON_NATIVE = Client("msal", "`PublicClientApplication`")

CLIENTS = (
    MSAL_NODE_WEB,
    MSAL_NODE_NATIVE,
    MSAL_BROWSER,
    MSAL_BROWSER_4,
    OPENID_CLIENT,
    PASSPORT_OIDC,
    PASSPORT_BEARER,
    AUTHLIB,
    IDENTITY,
    MSAL_PYTHON_NATIVE,
)


class Row(NamedTuple):
    """What a client did at the tenant of one kind."""

    client: str
    version: str
    kind: str
    done: str


@dataclass
class Proof:
    """What a client has done so far at the tenant of this kind."""

    client: Client
    kind: str
    done: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        self.done.append(what)

    @property
    def row(self) -> Row:
        return Row(self.client.name, self.client.version, self.kind, "; ".join(self.done))


def documented() -> set[Row]:
    """The rows of the documented table, one for each kind."""
    found = TABLE.search(DOCUMENT.read_text(encoding="utf-8"))
    assert found, f"{DOCUMENT} has no table of clients"
    rows = [line.strip("| ").split(" | ") for line in found[0].splitlines()[2:]]
    return {
        Row(client, version, kind, done)
        for client, version, kinds, done in rows
        for kind in kinds.split(", ")
    }


def write(rows: Iterable[Row]) -> None:
    """Write the table into the document. Kinds at which a client did the same share a line."""
    written, kinds = set(rows), dict[tuple[str, str, str], list[str]]()
    for client in CLIENTS:
        for row in sorted((row for row in written if row.client == client.name), key=lambda row: row.kind):
            kinds.setdefault((row.client, row.version, row.done), []).append(row.kind)
    lines = [
        f"| {client} | {version} | {', '.join(of_line)} | {done} |\n"
        for (client, version, done), of_line in kinds.items()
    ]
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(TABLE.sub(lambda _: HEAD + "".join(lines), text), encoding="utf-8")
