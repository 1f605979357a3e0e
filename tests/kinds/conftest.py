"""A local tenant of each of Microsoft's kinds besides B2C, and the app with its settings."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp, serve
from tests.helpers.browser import Browser
from tests.helpers.tenant import Tenant, register_redirect_uri

ENTRA_ID, MANY_TENANTS, EXTERNAL_ID = KINDS = ("entra-id", "entra-id-many-tenants", "external-id")

StartTenant = Callable[[str], LocalTenant]
ServeKind = Callable[..., RunningApp]


@pytest.fixture(scope="session")
def start_tenant() -> Iterator[StartTenant]:
    """A function that gives the local tenant of a kind. It is started once, when first asked for."""
    with ExitStack() as stack:
        running: dict[str, LocalTenant] = {}

        def start(kind: str) -> LocalTenant:
            if kind not in running:
                running[kind] = stack.enter_context(LocalTenant(kind=kind))
            return running[kind]

        yield start


@pytest.fixture(scope="session")
def serve_kind(start_tenant: StartTenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeKind]:
    """A function that serves the app with the settings of a kind, and others on top. Equal apps are shared
    unless `fresh`.
    """
    with ExitStack() as stack:
        running: dict[object, RunningApp] = {}

        def serve_one(kind: str, *, fresh: bool = False, **settings: str) -> RunningApp:
            key = (kind, *sorted(settings.items()))
            if key in running and not fresh:
                return running[key]
            local = start_tenant(kind)
            app = serve(local, tmp_path_factory.mktemp("sessions"), settings)
            register_redirect_uri(local, f"{app.url}/")  # where sign-out leads back to
            stack.callback(app.stop)
            return running.setdefault(key, app) if not fresh else app

        yield serve_one


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind. A test that is about one kind sets it by @pytest.mark.parametrize."""
    return str(request.param)


@pytest.fixture
def local(kind: str, start_tenant: StartTenant) -> LocalTenant:
    """The local tenant of this kind."""
    return start_tenant(kind)


@pytest.fixture
def tenant(local: LocalTenant) -> Iterator[Tenant]:
    """The local tenant, well-behaved, with nothing on record and one account of the test's own."""
    tenant = Tenant(local)
    tenant.forget_requests()
    yield tenant
    tenant.behave()


@pytest.fixture
def app(kind: str, serve_kind: ServeKind) -> RunningApp:
    """The app with the usual settings of this kind."""
    return serve_kind(kind)


@pytest.fixture
def browser(app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    """A browser that has been nowhere yet."""
    with Browser(app.url, tenant) as browser:
        yield browser
