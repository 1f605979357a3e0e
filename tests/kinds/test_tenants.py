"""Whose ID token signs in: a row for each kind of authority and each way in which a tenant can be wrong."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import requests

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp
from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Fault, Tenant
from tests.kinds.conftest import ENTRA_ID, EXTERNAL_ID, MANY_TENANTS, ServeKind

OTHER = "0aaaaaaa-1111-4111-8111-111111111111"  # another organization's tenant
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
SIGNED_IN, BLOCKED, REFUSED = 200, 403, 502  # the status of the page that ends the sign-in

MakeFault = Callable[[LocalTenant], Fault]


@dataclass(frozen=True)
class Row:
    """Settings of the app, the home tenant of the account, and what is wrong with its ID token."""

    kind: str
    status: int
    home: str = ""
    fault: MakeFault = lambda local: {}
    path: str = ""  # of AUTHORITY, if it is not the kind's own
    settings: dict[str, str] = field(default_factory=dict)


def issuer(local: LocalTenant, tenant_id: str) -> str:
    """The issuer of this tenant at this kind of authority."""
    if local.kind == EXTERNAL_ID:
        return f"https://{tenant_id}.ciamlogin.com/{tenant_id}/v2.0"
    return f"{local.tls_url}/{tenant_id}/v2.0"


def claims(**values: object) -> MakeFault:
    return lambda local: {"set": values}


def of_tenant(tenant_id: str) -> MakeFault:
    """A token that is consistent, and of another tenant."""
    return lambda local: {"set": {"tid": tenant_id, "iss": issuer(local, tenant_id)}}


def issuer_of(tenant_id: str) -> MakeFault:
    """A token with our `tid` and the issuer of another tenant."""
    return lambda local: {"set": {"iss": issuer(local, tenant_id)}}


def literal_template(local: LocalTenant) -> Fault:
    return {"set": {"iss": issuer(local, "{tenantid}")}}


def slash_too_many(local: LocalTenant) -> Fault:
    return {"set": {"iss": issuer(local, local.tenant_id) + "/"}}


def issuer_on_the_endpoints_host(local: LocalTenant) -> Fault:
    return {"set": {"iss": f"{local.tls_url}/{local.tenant_id}/v2.0"}}


def key_of_personal_accounts(local: LocalTenant) -> Fault:
    return {"key": "personal"}


def allowed(*tenants: str) -> dict[str, str]:
    return {"ALLOWED_TENANTS": " ".join(tenants)}


def row(name: str, *arguments: object, **more: object) -> object:
    return pytest.param(Row(*arguments, **more), id=name)  # type: ignore[arg-type]


ROWS = [
    row("one tenant: right", ENTRA_ID, SIGNED_IN),
    row("one tenant: wrong", ENTRA_ID, REFUSED, fault=of_tenant(OTHER)),
    row("one tenant: another tid", ENTRA_ID, REFUSED, fault=claims(tid=OTHER)),
    row("one tenant: another issuer", ENTRA_ID, REFUSED, fault=issuer_of(OTHER)),
    row("one tenant: no tid", ENTRA_ID, REFUSED, fault=lambda local: {"drop": ["tid"]}),
    row("one tenant: no oid", ENTRA_ID, REFUSED, fault=lambda local: {"drop": ["oid"]}),
    row("one tenant: a slash too many", ENTRA_ID, REFUSED, fault=slash_too_many),
    row("one tenant: personal account", ENTRA_ID, REFUSED, fault=of_tenant(PERSONAL)),
    row("one tenant by its domain", ENTRA_ID, SIGNED_IN, path="localtenant.example"),
    row(
        "one tenant by its domain: wrong",
        ENTRA_ID,
        REFUSED,
        path="localtenant.example",
        fault=of_tenant(OTHER),
    ),
    row("many: on the list", MANY_TENANTS, SIGNED_IN),
    row("many: not on the list", MANY_TENANTS, BLOCKED, OTHER),
    row("many: the other on the list", MANY_TENANTS, SIGNED_IN, OTHER, settings=allowed(OTHER)),
    row("many: two on the list", MANY_TENANTS, SIGNED_IN, OTHER, settings=allowed(str(uuid.uuid4()), OTHER)),
    row("many: any", MANY_TENANTS, SIGNED_IN, OTHER, settings=allowed("*")),
    row("many: template filled with another tid", MANY_TENANTS, REFUSED, fault=issuer_of(OTHER)),
    row(
        "many: template filled with another tid, any",
        MANY_TENANTS,
        REFUSED,
        fault=issuer_of(OTHER),
        settings=allowed("*"),
    ),
    row("many: another tid, any", MANY_TENANTS, REFUSED, fault=claims(tid=OTHER), settings=allowed("*")),
    row("many: literal template", MANY_TENANTS, REFUSED, fault=literal_template),
    row("many: key of personal accounts", MANY_TENANTS, REFUSED, fault=key_of_personal_accounts),
    row(
        "many: key of personal accounts, any",
        MANY_TENANTS,
        REFUSED,
        fault=key_of_personal_accounts,
        settings=allowed("*"),
    ),
    row("many: personal account", MANY_TENANTS, BLOCKED, PERSONAL, path="common"),
    row("many: personal account, any", MANY_TENANTS, BLOCKED, PERSONAL, path="common", settings=allowed("*")),
    row(
        "many: personal account on the list",
        MANY_TENANTS,
        SIGNED_IN,
        PERSONAL,
        path="common",
        settings=allowed(PERSONAL),
    ),
    row(
        "many: only personal accounts",
        MANY_TENANTS,
        SIGNED_IN,
        PERSONAL,
        path="consumers",
        settings=allowed(PERSONAL),
    ),
    row("external: right", EXTERNAL_ID, SIGNED_IN),
    row("external: wrong", EXTERNAL_ID, REFUSED, fault=of_tenant(OTHER)),
    row("external: another tid", EXTERNAL_ID, REFUSED, fault=claims(tid=OTHER)),
    row("external: another issuer", EXTERNAL_ID, REFUSED, fault=issuer_of(OTHER)),
    row("external: issuer on the endpoints' host", EXTERNAL_ID, REFUSED, fault=issuer_on_the_endpoints_host),
    row("external: a slash too many", EXTERNAL_ID, REFUSED, fault=slash_too_many),
]


@pytest.fixture
def kind(row: Row) -> str:
    return row.kind


@pytest.fixture
def app(row: Row, serve_kind: ServeKind, local: LocalTenant) -> RunningApp:
    authority = {"AUTHORITY": f"{local.tls_url}/{row.path}"} if row.path else {}
    return serve_kind(row.kind, **authority, **row.settings)


def add_account(tenant: Tenant, home: str) -> str:
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    attributes = {"email": email, "password": "Try-it-0ut", "display_name": "Ada Lovelace", "tenant": home}
    tenant.control("POST", "accounts", **attributes)
    return email


@pytest.mark.parametrize("row", ROWS)
def test_tenant(row: Row, browser: Browser, tenant: Tenant, local: LocalTenant) -> None:
    email = add_account(tenant, row.home)
    if fault := row.fault(local):
        tenant.misbehave(id_token=fault)
    browser.sign_in(email=email)
    assert browser.page.status_code == row.status, Document(browser.page.text).heading
    assert browser.signed_in_as() == ("Ada Lovelace" if row.status == SIGNED_IN else None)


@pytest.mark.parametrize(
    "row", [Row(ENTRA_ID, REFUSED), Row(MANY_TENANTS, REFUSED)], ids=lambda row: row.kind
)
def test_key_of_another_tenant(row: Row, serve_kind: ServeKind, local: LocalTenant, tenant: Tenant) -> None:
    """The key that signs is published as one of another tenant's."""
    metadata_url = f"{local.settings['AUTHORITY']}/v2.0/.well-known/openid-configuration"
    jwks_uri = get_json(local, metadata_url)["jwks_uri"]
    keys = [{**key, "issuer": issuer(local, OTHER)} for key in get_json(local, str(jwks_uri))["keys"]]
    tenant.misbehave(keys={"set": {"keys": keys}})
    new_app = serve_kind(row.kind, fresh=True)
    with Browser(new_app.url, tenant) as browser:
        browser.sign_in()
        assert browser.page.status_code == REFUSED
        assert browser.signed_in_as() is None


def get_json(local: LocalTenant, url: str) -> dict[str, list[dict[str, object]]]:
    with requests.Session() as http:
        http.trust_env = False
        document: dict[str, list[dict[str, object]]] = http.get(
            url, verify=local.ca_bundle, timeout=10
        ).json()
        return document


@pytest.mark.parametrize("row", [Row(MANY_TENANTS, BLOCKED, OTHER)], ids=["many"])
def test_operator_reads_which_setting_refuses_the_tenant(row: Row, browser: Browser, tenant: Tenant) -> None:
    browser.sign_in(email=add_account(tenant, row.home))
    assert "ALLOWED_TENANTS" in Document(browser.page.text).text


@pytest.mark.parametrize("row", [Row(MANY_TENANTS, BLOCKED, OTHER)], ids=["many"])
def test_refused_user_can_choose_another_account(row: Row, browser: Browser, tenant: Tenant) -> None:
    """The tenant's single sign-on would choose the refused account again."""
    browser.sign_in(email=add_account(tenant, row.home))
    browser.click("Sign in with another account")
    assert Document(browser.page.text).heading == "Pick an account"
    browser.click("otherAccount")
    browser.enter_password()
    assert browser.signed_in_as() == "Ada Lovelace"
