"""What several files of the app's tests need."""

import socket
from collections.abc import Callable, Iterator

import pytest
import requests

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser
from tests.helpers.stores import Instances, RedisKeys, SqliteFile, StoreInspector, User
from tests.helpers.tenant import Tenant

Visit = Callable[..., requests.Response]


@pytest.fixture
def other(shared_app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    """A second browser."""
    with Browser(shared_app.url, tenant) as other:
        yield other


@pytest.fixture(scope="session")
def warm_apps() -> set[str]:
    """The addresses of the apps that know their tenant's metadata and keys."""
    return set()


@pytest.fixture
def warm(browser: Browser, tenant: Tenant, warm_apps: set[str]) -> None:
    """Let the app get to know the tenant's metadata and keys."""
    if browser.app_url not in warm_apps:
        with Browser(browser.app_url, tenant) as first:
            first.sign_in()
        tenant.forget_requests()
        warm_apps.add(browser.app_url)


@pytest.fixture(scope="session")
def lone_tenant() -> Iterator[LocalTenant]:
    """A second tenant, which may lose its keys."""
    with LocalTenant(port=0) as running:
        yield running


@pytest.fixture
def fickle(lone_tenant: LocalTenant) -> Iterator[Tenant]:
    """That tenant, well-behaved, with one key."""
    tenant = Tenant(lone_tenant)
    tenant.control("POST", "rotate-keys", keep_old=False)
    tenant.forget_requests()
    yield tenant
    tenant.behave()


@pytest.fixture
def new_app(serve_app: ServeApp, lone_tenant: LocalTenant, fickle: Tenant) -> RunningApp:
    """An app that has not met its tenant yet."""
    return serve_app(lone_tenant)


@pytest.fixture
def newcomer(new_app: RunningApp, fickle: Tenant) -> Iterator[Browser]:
    """A browser at an app that has not met its tenant yet."""
    with Browser(new_app.url, fickle) as browser:
        yield browser


@pytest.fixture
def take_tenant_down(tenant: Tenant) -> Callable[[], None]:
    """A function that takes the tenant's back channel down."""
    return lambda: tenant.misbehave(discovery={"status": 503}, keys={"status": 503}, token={"status": 503})


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that nothing listens on, and that nothing else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="session")
def https_app(serve_app: ServeApp) -> RunningApp:
    """The app as it is behind a proxy that ends TLS."""
    return serve_app(REDIRECT_URI="https://app.example/getAToken")


@pytest.fixture
def visit_https(https_app: RunningApp) -> Iterator[Visit]:
    """A function that asks the https app for a path, as its proxy would."""
    with requests.Session() as http:
        http.trust_env = False

        def ask(path: str, method: str = "GET", **headers: str) -> requests.Response:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            given = {"Host": "app.example", "Accept": "text/html"} | given
            url = f"http://127.0.0.1:{https_app.port}{path}"
            return http.request(method, url, headers=given, allow_redirects=False, timeout=20)

        yield ask


@pytest.fixture(scope="session", params=["embedded", "redis"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StoreInspector:
    """Each of the two session stores."""
    if request.param == "redis":
        return RedisKeys(request.getfixturevalue("redis_server"))
    return SqliteFile(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def instances(serve_app: ServeApp, store: StoreInspector) -> Instances:
    """Two instances of the app on each store."""
    return Instances(serve_app, store)


@pytest.fixture
def user(instances: Instances, tenant: Tenant) -> Iterator[User]:
    """Somebody who has signed in at the first instance."""
    with User(instances, tenant) as user:
        yield user


@pytest.fixture
def elsewhere(instances: Instances) -> RunningApp:
    """Another instance, which takes a request while the first is busy with another one."""
    return instances.second
