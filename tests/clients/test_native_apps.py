"""Programs on somebody's own machine, without a client secret, on libraries that others wrote."""

from pathlib import Path

import pytest

from tests.clients import table
from tests.clients.conftest import Prove, TenantOfKind
from tests.clients.programs import USER, NativeApp, Person, Tenant
from tests.clients.table import Proof


def use(file: str, tenant: Tenant, folder: Path, shown: Proof) -> None:
    """Sign in at the address that the program opens, and let it call the web API and refresh its tokens."""
    with NativeApp(file, tenant, folder) as app, Person(tenant) as person:
        person.sign_in(app.printed("open"))
        result = app.result()
    assert result["user"] == USER
    shown.add(f"sign-in ({tenant.how_signed_in()})")
    assert result["owners"] == [USER, USER]
    shown.add("web API")
    assert tenant.grant_types == ["authorization_code", "refresh_token"]
    shown.add("refresh")


@pytest.mark.parametrize("kind", table.MSAL_NODE_NATIVE.kinds)
def test_msal_node(kind: str, tenant_of_kind: TenantOfKind, tmp_path: Path, prove: Prove) -> None:
    with prove(table.MSAL_NODE_NATIVE, kind) as shown:
        use("msal_node_native.js", tenant_of_kind(kind), tmp_path, shown)


def test_msal_python(tenant: Tenant, tmp_path: Path, prove: Prove) -> None:
    with prove(table.MSAL_PYTHON_NATIVE) as shown:
        use("msal_python_native.py", tenant, tmp_path, shown)
