"""The app and the local tenant as real servers, and a browser to drive them with."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Playwright, sync_playwright
from xdist.scheduler import LoadScopeScheduling

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp, ServeApp, serve
from tests.helpers.browser import Browser
from tests.helpers.processes import Redis
from tests.helpers.tenant import Tenant


class SharedServersTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Runs tests that share a server or a browser in one worker, so that it is started once.

    pytest-xdist 3.8 has marks for this, xdist_group. With pytest 9.2 they have no effect.
    As a rule the tests of a file share servers. The largest group comes first. Slow tests that share
    nothing come last, one by one, so that all workers end at about the same time.
    """

    GROUPS = (
        "tests/browser/",
        "tests/clients/",
        "tests/deployment/test_gunicorn",
        "tests/deployment/test_nginx",
        "tests/kinds/",
        "tests/oidc_provider/",
        "tests/registration/",
    )
    ALONE = (
        "tests/app/test_readme_samples.py",
        "tests/app/test_store_outages.py",
        "tests/app/test_store_that_hangs.py",
        "tests/deployment/test_own_servers.py",
        "tests/local_tenant/test_cli.py",
        "tests/signin/test_failover.py",
        "tests/signin/test_redis_store.py",
        "tests/signin/test_sqlite_store.py",
    )

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(self.ALONE):
            return nodeid
        file = nodeid.partition("::")[0]
        return next((group for group in self.GROUPS if nodeid.startswith(group)), file)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers for each processor, because the tests wait for servers about as long as they compute."""
    return 2 * (os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedServersTogether:
    return SharedServersTogether(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything must be there (REQUIRE_EVERYTHING), a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # None in pytest-xdist's workers
    if os.environ.get("REQUIRE_EVERYTHING") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the command line's tenants out of the user's state folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_TENANT_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_public_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the public certificate authorities out of the tenants' CA files.

    No test needs them, and each TLS context would take 20 ms to load them.
    """
    nobody = tmp_path_factory.mktemp("certificates") / "none.pem"
    nobody.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        patch.setenv("SSL_CERT_FILE", str(nobody))
        yield


@pytest.fixture(scope="session")
def running_tenant() -> Iterator[LocalTenant]:
    """One local tenant for the whole run; with pytest-xdist, one for each of its workers."""
    with LocalTenant(port=0, redirect_uris=["http://localhost:5000/getAToken"]) as running:
        yield running


@pytest.fixture
def tenant(running_tenant: LocalTenant) -> Iterator[Tenant]:
    """The local tenant, well-behaved, with nothing on record and one account of the test's own."""
    tenant = Tenant(running_tenant)
    tenant.forget_requests()
    yield tenant
    tenant.behave()


@pytest.fixture(scope="session")
def serve_app(running_tenant: LocalTenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeApp]:
    """A function that serves app.py with the settings of a tenant, and those given on top."""
    running: list[RunningApp] = []

    def serve_one(tenant: LocalTenant | None = None, /, **settings: str) -> RunningApp:
        running.append(serve(tenant or running_tenant, tmp_path_factory.mktemp("sessions"), settings))
        return running[-1]

    yield serve_one
    with ThreadPoolExecutor(16) as pool:  # each takes up to a tenth of a second to notice
        list(pool.map(RunningApp.stop, running))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives Chromium. A process can have one."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A redis-server for the whole run. Skips where there is none."""
    with Redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="session")
def shared_app(serve_app: ServeApp) -> RunningApp:
    """The app with its usual settings."""
    return serve_app()


@pytest.fixture
def browser(shared_app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    """A browser that has been nowhere yet."""
    with Browser(shared_app.url, tenant) as browser:
        yield browser
