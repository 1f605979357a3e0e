"""Stores to keep sessions in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from signin.sessions import Store, open_store
from tests.signin import redis_servers


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_servers.server(tmp_path_factory.mktemp("redis")) as running:
        yield running.url


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    return open_store(url, tmp_path / "sessions")
