"""Web apps with a client secret, on libraries that others wrote."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.clients import table
from tests.clients.conftest import Prove, TenantOfKind
from tests.clients.programs import USER, Person, Tenant, WebApp
from tests.clients.table import Proof
from tests.helpers.proxy import TunnelTo

PASSPORT_RESPONSE_TYPES = ("code", "id_token", "code-id_token")


class Serve(Protocol):
    """Runs a web app of this folder as a client of the tenant."""

    def __call__(self, file: str, tenant: Tenant, /, **environ: str) -> WebApp: ...


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A function that runs a web app of this folder until the test ends."""
    with ExitStack() as running:

        def serve_one(file: str, tenant: Tenant, /, **environ: str) -> WebApp:
            return running.enter_context(WebApp(file, tenant, tmp_path, **environ))

        yield serve_one


def use(app: WebApp, shown: Proof) -> None:
    """Sign in, call the web API, refresh the tokens, sign out."""
    tenant = app.tenant
    with Person(tenant, app.url) as person:
        person.sign_in()
        assert person.user() == USER
        shown.add(f"sign-in ({tenant.how_signed_in()})")
        assert person.owner("/tasks") == USER
        shown.add("web API")
        assert person.owner("/refresh") == USER
        assert tenant.grant_types == ["authorization_code", "refresh_token"]
        shown.add("refresh")
        person.get("/sign-out")
        person.choose_account()
        assert person.user() is None
        person.get("/sign-in")
        assert person.is_asked_for_password
        shown.add("sign-out")


@pytest.mark.parametrize("kind", table.MSAL_NODE_WEB.kinds)
def test_msal_node(kind: str, tenant_of_kind: TenantOfKind, serve: Serve, prove: Prove) -> None:
    with prove(table.MSAL_NODE_WEB, kind) as shown:
        use(serve("msal_node_web.js", tenant_of_kind(kind)), shown)


def test_openid_client(tenant: Tenant, serve: Serve, prove: Prove) -> None:
    with prove(table.OPENID_CLIENT) as shown:
        app = serve("openid_client.js", tenant)
        use(app, shown)
        tenant.control.forget_requests()
        with Person(tenant, app.url) as person:
            person.sign_in("/sign-in/basic")
            assert person.user() == USER
            shown.add(f"sign-in ({tenant.how_signed_in()})")


def test_authlib(tenant: Tenant, serve: Serve, prove: Prove) -> None:
    with prove(table.AUTHLIB) as shown:
        use(serve("authlib_flask.py", tenant), shown)


def test_identity(tenant: Tenant, serve: Serve, prove: Prove) -> None:
    settings = tenant.running.settings
    b2c = {name: settings[name] for name in ("B2C_TENANT_NAME", "SIGNUPSIGNIN_USER_FLOW")}
    with prove(table.IDENTITY) as shown, TunnelTo(tenant.pages_port) as tunnel:
        app = serve("identity_flask.py", tenant, **b2c, **tunnel.environ)
        with Person(tenant, app.url) as person:
            person.http.proxies = {f"https://{settings['B2C_TENANT_NAME']}.b2clogin.com": tunnel.url}
            person.get("/")
            person.follow_refresh()
            person.enter_password()
            assert person.user() == USER
            shown.add(f"sign-in ({tenant.how_signed_in()})")
            assert person.owner("/tasks") == USER
            assert tenant.grant_types == ["authorization_code", "refresh_token"]
            shown.add("web API, with a scope that sign-in did not ask for")


@pytest.fixture(scope="module")
def passport_app(tenant_of_kind: TenantOfKind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebApp]:
    """The app on passport-azure-ad, with a redirect URI for each response type."""
    tenant, folder = tenant_of_kind("b2c"), tmp_path_factory.mktemp("passport")
    tenant.change_app("web", id_tokens=True)
    with WebApp("passport_azure_ad.js", tenant, folder, API_CLIENT_ID=tenant.running.tasks_api_id) as app:
        for response_type in PASSPORT_RESPONSE_TYPES:
            tenant.register("web", f"{app.url}/redirect/{response_type}")
        yield app
    tenant.change_app("web", id_tokens=False)


def test_passport_azure_ad(passport_app: WebApp, prove: Prove) -> None:
    tenant = passport_app.tenant
    with prove(table.PASSPORT_OIDC) as shown:
        for response_type in PASSPORT_RESPONSE_TYPES:
            tenant.control.forget_requests()
            with Person(tenant, passport_app.url) as person:
                person.sign_in(f"/sign-in/{response_type}")
                assert person.user() == USER
            shown.add(f"sign-in ({tenant.how_signed_in()})")


def test_passport_azure_ad_in_a_web_api(passport_app: WebApp, prove: Prove) -> None:
    with prove(table.PASSPORT_BEARER) as shown, Person(passport_app.tenant, passport_app.url) as person:
        person.sign_in("/sign-in/code")
        token = person.get("/token").json()["accessToken"]
        assert person.get("/api", Authorization=f"Bearer {token}").json() == {"user": USER}
        shown.add("accepts an access token for its web API")
        assert person.get("/api", Authorization=f"Bearer {token[:-8]}AAAAAAAA").status_code == 401
        shown.add("refuses a forged one")
