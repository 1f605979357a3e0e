"""Reads the file that sets up a tenant, and checks it. README.md describes its members."""

import codecs
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from ..authorities import DEFAULT_KIND, KINDS
from ..authorities.base import TASKS_SCOPE
from ..model.accounts import EMAIL, Account
from ..model.attributes import ATTRIBUTES, CLAIMS, CUSTOM_PREFIX
from ..model.configuration import TenantConfiguration
from ..model.registrations import (
    AppRegistration,
    Apps,
    UserFlow,
    WebApi,
    default_redirect_uris,
)
from ..model.steering import Options
from ..model.suggestions import did_you_mean
from .defaults import app_id, default_configuration, lasting_tenant_id, object_id, web_api
from .lines import Lines
from .lines import Path as Member
from .reader import Fault, Reader

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,26}")
DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
API_NAME = re.compile(r"[A-Za-z0-9._-]+")
USER_FLOW_NAME = re.compile(r"B2C_1A?_[A-Za-z0-9_.-]+", re.IGNORECASE)
CUSTOM_ATTRIBUTE = re.compile(rf"{CUSTOM_PREFIX}\w+")
LINE_IN_ERROR = re.compile(r"\(at line (\d+), column \d+\)$")  # of Python's parser
# Members of an account that only some kinds have.
ONLY_OF_ENTRA = ("tenant", "roles", "assigned", "federated", "consents")
ONLY_OF_B2C = ("claims",)
TOKEN_CLAIMS = {"iss", "aud", "exp", "nbf", "iat", "sub", "nonce"}
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what PowerShell's > writes

Table = dict[str, Any]


class ConfigurationError(Exception):
    """The file cannot be used. `faults` is everything that is wrong with it, in the order of the lines."""

    def __init__(self, path: Path, faults: Iterable[Fault]):
        self.faults = sorted(set(faults))
        places = [f"{path}:{fault.line}" if fault.line else str(path) for fault in self.faults]
        super().__init__(
            "\n".join(f"{place}: {fault.text}" for place, fault in zip(places, self.faults, strict=True))
        )


@dataclass
class Document:
    """The file as a whole."""

    kind: str = DEFAULT_KIND
    tenant: dict[str, object] = field(default_factory=dict)
    apps: object = ()
    user_flows: object = ()
    apis: object = ()
    users: object = ()
    options: dict[str, object] = field(default_factory=dict)


@dataclass
class TenantTable:
    """[tenant]"""

    name: str = ""
    domain: str = ""
    id: str = ""


@dataclass
class ApiTable:
    """Each [[apis]]"""

    name: str
    scopes: list[str]
    uri: str = ""
    client_id: str = ""
    admin_only: list[str] = field(default_factory=list)


# Members that the file cannot set, because they belong to a running tenant.
NOT_IN_FILE: dict[type, tuple[str, ...]] = {Account: ("tokens_valid_from", "password_hash")}


def load(path: Path | str, redirect_uris: Iterable[str] = (), kind: str = "") -> TenantConfiguration:
    """The configuration in this file. Raises ConfigurationError.

    `redirect_uris` are for the first web app, if the file has none for it. `kind` is the one that was asked
    for besides the file, "" for none.
    """
    path = Path(path)
    text = _read(path)
    try:
        document, lines = tomllib.loads(text), Lines(text)
    except tomllib.TOMLDecodeError as error:
        place = LINE_IN_ERROR.search(str(error))
        line = int(place[1]) if place else text.count("\n") + 1  # or it is the end of the file
        raise ConfigurationError(path, [Fault(line, f"This is not valid TOML: {error}")]) from error
    except ValueError as error:  # Python converts no longer ones
        raise ConfigurationError(path, [Fault(0, "A number in it is too long.")]) from error
    except RecursionError as error:
        text = "Its lists or tables are nested too deeply."
        raise ConfigurationError(path, [Fault(0, text)]) from error
    checker = _Checker(document, lines, list(redirect_uris), kind)
    configuration = checker.configuration()
    if checker.reader.faults:
        raise ConfigurationError(path, checker.reader.faults)
    return configuration


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    except OSError as error:
        raise ConfigurationError(path, [Fault(0, f"The file cannot be read: {error.strerror}.")]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(path, [Fault(0, "The file is not in UTF-8. Save it as UTF-8.")]) from error


class _Checker:
    """Makes a configuration of a document. What it makes is right if `reader` then has no faults."""

    def __init__(self, document: Table, lines: Lines, redirect_uris: Sequence[str], kind: str):
        self.reader = Reader(lines)
        self._document, self._redirect_uris = document, redirect_uris
        self._members = self.reader.read(Document, document)
        self._kind = self._checked_kind(kind)
        self._is_b2c = self._kind == "b2c"
        tenant = self._checked_tenant()
        self._base = default_configuration(self._kind, redirect_uris, **tenant)

    def configuration(self) -> TenantConfiguration:
        base = self._base
        apis = self._apis() or list(base.apis)
        if not any(TASKS_SCOPE in api.scopes for api in apis):
            apis.append(base.apis[0])
        users, options = self._users() or list(base.accounts), self._options()
        apps = self._apps(apis) or list(base.apps)
        return TenantConfiguration(
            base.kind,
            base.name,
            base.domain,
            base.tenant_id,
            Apps(sorted(apps, key=lambda app: app.is_public)),  # `settings` are those of a web app
            self._user_flows(users) or base.user_flows,
            apis,
            users,
            options,
        )

    # --- [tenant]

    def _checked_kind(self, asked_for: str) -> str:
        kind = str(self._members.get("kind", asked_for or DEFAULT_KIND))
        if not self.reader.is_one_of(("kind",), kind, KINDS):
            return DEFAULT_KIND
        if asked_for not in ("", kind):
            text = f'`kind` is "{kind}" here, but --kind asks for "{asked_for}". Leave one of them out.'
            self.reader.fault(("kind",), text)
        return kind

    def _checked_tenant(self) -> dict[str, str]:
        path, authority = ("tenant",), KINDS[self._kind]
        tenant = self.reader.read(TenantTable, self._members.get("tenant", {}), path)
        name, domain = tenant.get("name", ""), tenant.get("domain", "").lower()
        self._match(
            (*path, "name"), name, TENANT_NAME, "Write lower case, digits and hyphens, as in contoso."
        )
        self._match((*path, "domain"), domain, DOMAIN, "Write a domain, as in contoso.onmicrosoft.com.")
        self._match_guid((*path, "id"), tenant.get("id", ""))
        if self._is_b2c and domain and domain != (f"{name}.onmicrosoft.com" if name else authority.DOMAIN):
            text = f'A B2C tenant of this domain has the name "{domain.partition(".")[0]}".'
            self.reader.fault((*path, "domain"), f"{text} Write `name`, and leave `domain` out.")
        if not TENANT_NAME.fullmatch(name):
            name = ""  # so that no example is made of it
        if not DOMAIN.fullmatch(domain):
            domain = f"{name}.onmicrosoft.com" if name else authority.DOMAIN
        tenant_id = tenant.get("id", "").lower() if GUID.fullmatch(tenant.get("id", "")) else ""
        return {
            "name": name,
            "domain": domain,
            "tenant_id": tenant_id or lasting_tenant_id(self._kind, domain),
        }

    # --- [[apps]]

    def _apps(self, apis: Sequence[WebApi]) -> list[AppRegistration]:
        apps, with_client_id = list[tuple[Member, Table]](), list[tuple[Member, Table]]()
        scopes = [f"{api.uri}/{scope}" for api in apis for scope in sorted(api.scopes)]
        for path, app in self._each("apps", AppRegistration):
            type, name = app.get("type", "web"), app.get("name", "")
            if "client_id" in app:
                with_client_id.append((path, app))
            client_id = app.setdefault("client_id", app_id(self._base.tenant_id, name))
            self._match_guid((*path, "client_id"), client_id)
            if type != "web" and app.get("client_secret"):
                text = (
                    f'An app of type "{type}" has no secret. Remove `client_secret`, or write type = "web".'
                )
                self.reader.fault((*path, "client_secret"), text)
            self._check_addresses(path, type, app)
            for scope in app.get("permissions") or ():
                if scope not in scopes:
                    text = f"No API has the scope {scope}.{did_you_mean(scope, scopes)}"
                    self.reader.fault((*path, "permissions"), text, scope)
            is_first_web_app = type == "web" and not any(other["type"] == "web" for _, other in apps)
            uris = list(self._redirect_uris) if is_first_web_app else default_redirect_uris(type, client_id)
            apps.append((path, {**app, "type": type, "redirect_uris": app.get("redirect_uris", uris)}))
        self._check_unique(apps, "name")
        self._check_unique(with_client_id, "client_id")  # the others follow from the names
        return [AppRegistration(**app) for _, app in apps if "name" in app]

    def _check_addresses(self, path: Member, type: str, app: Table) -> None:
        for uri in app.get("redirect_uris", ()):
            if fault := KINDS[self._kind].redirect_uri_fault(uri, type):
                self.reader.fault((*path, "redirect_uris"), f"{uri} cannot be a redirect URI. {fault}", uri)
        logout_url = app.get("logout_url")
        if logout_url and KINDS[self._kind].redirect_uri_fault(logout_url, "web"):
            text = "`logout_url` is an address with https, or with http on localhost."
            self.reader.fault((*path, "logout_url"), text)

    # --- [[user_flows]]

    def _user_flows(self, users: Sequence[Account]) -> list[UserFlow]:
        flows = list(self._each("user_flows", UserFlow))
        if flows and self._kind.startswith("entra-id"):
            self.reader.fault(("user_flows",), "Entra ID has no user flows. Remove [[user_flows]].")
        if self._kind == "external-id":
            self._check_flows_of_external_id(flows)
        claims = list(dict.fromkeys([*CLAIMS, *(name for user in users for name in user.claims)]))
        for path, flow in flows:
            name = flow.get("name", "")
            if self._is_b2c:
                text = "Names of user flows begin with B2C_1_, those of custom policies with B2C_1A_."
                self._match((*path, "name"), name, USER_FLOW_NAME, text)
            for member, known in (("collects", list(ATTRIBUTES)), ("returns", claims)):
                for item in flow.get(member) or ():
                    if not CUSTOM_ATTRIBUTE.fullmatch(item):
                        self._check_attribute((*path, member), item, known)
            if flow.get("resets_password") and flow.get("kind") not in ("sign_up_or_sign_in", "sign_in"):
                text = "`resets_password` is for user flows with a sign-in page. Remove it here."
                self.reader.fault((*path, "resets_password"), text)
        self._check_unique(flows, "name")
        return [UserFlow(**flow) for _, flow in flows if "name" in flow and "kind" in flow]

    def _check_flows_of_external_id(self, flows: Sequence[tuple[Member, Table]]) -> None:
        for path, flow in flows:
            if flow.get("kind", "sign_up_or_sign_in") != "sign_up_or_sign_in":
                text = 'At External ID, write kind = "sign_up_or_sign_in".'
                self.reader.fault((*path, "kind"), text)
            for member in (
                "returns",
                "resets_password",
                "single_sign_on",
                "require_id_token_hint",
                "userinfo",
            ):
                if member in flow:
                    text = f"`{member}` is for user flows of B2C. Remove it."
                    self.reader.fault((*path, member), text)
        for path, _ in flows[1:]:
            text = "An app of External ID has one user flow. Remove the others."
            self.reader.fault(path, text)

    def _check_attribute(self, path: Member, item: str, known: Sequence[str]) -> None:
        """Names of attributes and of claims differ, so take one for the other and suggest the right one."""
        same = {attribute.claim: name for name, attribute in ATTRIBUTES.items()}
        if path[-1] == "returns":
            same = {name: claim for claim, name in same.items()}
        if item in same and item not in known:
            self.reader.fault(path, f"Here, `{item}` is called `{same[item]}`.", item)
        else:
            self.reader.is_one_of(path, item, [*known, f"{CUSTOM_PREFIX}..."], item=True)

    # --- [[apis]]

    def _apis(self) -> list[WebApi]:
        apis = []
        for path, api in self._each("apis", ApiTable):
            self._match(
                (*path, "name"), api.get("name", ""), API_NAME, "Write it without spaces and slashes."
            )
            self._match_guid((*path, "client_id"), api.get("client_id", ""))
            if api.get("uri") and not urlsplit(api["uri"]).scheme:
                text = f"`uri` begins with a scheme, as in {self._example_uri(api.get('name', 'my-api'))}."
                self.reader.fault((*path, "uri"), text)
            for scope in api.get("scopes", ()):
                if "/" in scope or " " in scope:
                    text = f"A scope is a word, without the URI of the API: {scope.rpartition('/')[2]}"
                    self.reader.fault((*path, "scopes"), text, scope)
            for scope in api.get("admin_only", ()):
                self.reader.is_one_of((*path, "admin_only"), scope, api.get("scopes", ()), item=True)
            apis.append((path, api))
        self._check_unique(apis, "name")
        self._check_unique(apis, "uri")
        self._check_unique(apis, "client_id")
        base = self._base
        return [
            web_api(base.kind, base.tenant_id, base.domain, **api)
            for _, api in apis
            if "name" in api and "scopes" in api
        ]

    def _example_uri(self, name: str) -> str:
        example = name if API_NAME.fullmatch(name) else "my-api"
        return KINDS[self._kind].api_uri(self._base.domain, example, "the-client-id")

    # --- [[users]], [options]

    def _users(self) -> list[Account]:
        users, with_sub = [], []
        for path, user in self._each("users", Account):
            if "sub" in user:
                with_sub.append((path, user))
            for claim in TOKEN_CLAIMS & user.get("claims", {}).keys():
                text = f"Tokens have a claim `{claim}` of their own. Remove it here."
                self.reader.fault((*path, "claims", claim), text)
            self._match((*path, "email"), user.get("email", ""), EMAIL, "Write an e-mail address.")
            user.setdefault("sub", object_id(self._base.tenant_id, user.get("email", "")))
            for member in ("sub", "tenant"):
                self._match_guid((*path, member), user.get(member, ""))
            for member in ONLY_OF_ENTRA if self._is_b2c else ONLY_OF_B2C:
                if member in user:
                    others = "the kinds of Entra" if self._is_b2c else "B2C"
                    instead = " Write claims = { roles = [...] }." if member == "roles" else ""
                    self.reader.fault(
                        (*path, member), f"`{member}` is for {others}.{instead or ' Remove it.'}"
                    )
            users.append((path, user))
        self._check_unique(users, "email")
        self._check_unique(with_sub, "sub")  # the others follow from the addresses
        return [Account(**user) for _, user in users if "email" in user and "password" in user]

    def _options(self) -> dict[str, object]:
        options = self.reader.read(Options, self._members.get("options", {}), ("options",))
        for name, choices in Options.CHOICES.items():
            if name in options:
                self.reader.is_one_of(("options", name), options[name], choices)
        for name, value in options.items():
            if type(value) is int and value < 1:
                self.reader.fault(("options", name), f"`{name}` cannot be {value}. Write a number from 1 on.")
        return options

    # --- what several of them need

    def _each(self, name: str, cls: type) -> Iterable[tuple[Member, Table]]:
        for path, table in self.reader.tables(self._document, name):
            yield path, self.reader.read(cls, table, path, without=NOT_IN_FILE.get(cls, ()))

    def _match(self, path: Member, value: str, pattern: re.Pattern[str], text: str) -> None:
        if value and not pattern.fullmatch(value):
            self.reader.fault(path, f'`{path[-1]}` cannot be "{value}". {text}')

    def _match_guid(self, path: Member, value: str) -> None:
        self._match(path, value, GUID, "Write a GUID, as in 0b0b0b0b-2222-4222-8222-222222222222.")

    def _check_unique(self, tables: Sequence[tuple[Member, Table]], member: str) -> None:
        seen = dict[str, Member]()
        for path, table in tables:
            value = str(table.get(member, "")).lower()
            if value and seen.setdefault(value, path) != path:
                text = f'There are two {path[0]} with the {member} "{table[member]}". Give each its own.'
                self.reader.fault((*path, member), text)
