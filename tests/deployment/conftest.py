"""Two instances of the app behind nginx with TLS, as tests/nginx.conf has it, with sessions in one Redis."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
import trustme

from local_tenant import LocalTenant
from tests.helpers.processes import Gunicorn, Redis, free_port, nginx
from tests.helpers.tenant import register_redirect_uri

SITE = Path(__file__).resolve().parents[1] / "nginx.conf"


class Site:
    """The site as its visitors know it, and the two instances behind it."""

    def __init__(self, port: int, plain_port: int, authority: Path, instances: list[Gunicorn], log: Path):
        self.port, self.plain_port, self.authority = port, plain_port, str(authority)
        self.url, self.instances, self.log = f"https://localhost:{port}", instances, log

    def get(self, path: str = "/", **headers: str) -> requests.Response:
        url = self.url + path
        return requests.get(url, headers=headers, verify=self.authority, timeout=30, allow_redirects=False)


def site_here(changes: dict[str, str]) -> str:
    """tests/nginx.conf with its names changed, as its reader would change them."""
    text = SITE.read_text()
    for name, here in changes.items():
        assert re.search(name, text), name
        text = re.sub(name, here, text)
    return text


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the site's certificate and key, `site.pem`, and the CA file that trusts it."""
    folder = tmp_path_factory.mktemp("certificate")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "site.pem"))
    return folder


@contextmanager
def serve_site(
    folder: Path, certificate: Path, port: int, plain_port: int, app_ports: list[int]
) -> Iterator[None]:
    """nginx as tests/nginx.conf has it, on these ports, in front of these ports of the app."""
    text = site_here(
        {
            r"/etc/ssl/certs/app\.example\.com\.pem": str(certificate / "site.pem"),
            r"/etc/ssl/private/app\.example\.com\.key": str(certificate / "site.pem"),
            r"/var/log/nginx/app\.example\.com\.log": str(folder / "site.log"),
            r"app\.example\.com": "localhost",
            r"127\.0\.0\.1:8001": f"127.0.0.1:{app_ports[0]}",
            r"127\.0\.0\.1:8002": f"127.0.0.1:{app_ports[1]}",
            r"listen 443": f"listen 127.0.0.1:{port}",
            r"listen 80": f"listen 127.0.0.1:{plain_port}",
        }
    )
    with nginx(folder, text, port):
        yield


@pytest.fixture(scope="session")
def site(
    running_tenant: LocalTenant,
    redis_server: Redis,
    certificate: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nginx")
    port, plain_port, *ports = (free_port() for _ in range(4))
    redirect_uri = f"https://localhost:{port}/getAToken"
    register_redirect_uri(running_tenant, redirect_uri)
    settings = running_tenant.settings | {
        "REDIRECT_URI": redirect_uri,
        "REDIS_URL": redis_server.url,
        "COOKIE_PREFIX": "signin",
    }
    with ExitStack() as running:
        with ThreadPoolExecutor(2) as pool:
            instances = list(pool.map(lambda port: Gunicorn(folder, settings, port), ports))
        for instance in instances:
            running.enter_context(instance)
        running.enter_context(serve_site(folder, certificate, port, plain_port, ports))
        yield Site(port, plain_port, certificate / "authority.pem", instances, folder / "site.log")


@pytest.fixture
def site_without_instances(certificate: Path, tmp_path: Path) -> Iterator[Site]:
    """nginx in front of an app of which no instance runs."""
    port, plain_port, *ports = (free_port() for _ in range(4))
    with serve_site(tmp_path, certificate, port, plain_port, ports):
        yield Site(port, plain_port, certificate / "authority.pem", [], tmp_path / "site.log")
