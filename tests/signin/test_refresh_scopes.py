"""Which scopes a refresh asks for (RFC 6749 section 6)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.signin import stand_in
from tests.signin.stand_in import StandIn
from tests.signin.test_providers import Kind, client_of, entra, generic, sign_in

READ, WRITE = "api://tasks/read", "api://tasks/write"


@pytest.fixture(scope="module")
def servers() -> Iterator[StandIn]:
    running = StandIn()
    yield running
    running.close()


@pytest.fixture
def provider(servers: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stand_in.Provider:
    return stand_in.serve_on(servers, tmp_path, monkeypatch)


def refreshed_scopes(kind: Kind, provider: stand_in.Provider, *, granted: str | None) -> set[str]:
    """What a refresh asks for after a sign-in that was granted these scopes. None: it does not say."""
    provider.token_answer = {"scope": granted, "expires_in": 60}
    client = client_of(kind, provider)
    result = sign_in(client, provider, (READ, WRITE))
    provider.token_answer = {"scope": READ}
    client.refresh_access_token(result.token_cache, result.account_id, result.user_id, (READ, WRITE))
    return set(provider.seen("/token")[-1]["scope"].split())


def test_a_refresh_asks_for_no_more_than_was_granted(provider: stand_in.Provider) -> None:
    assert refreshed_scopes(generic(), provider, granted=f"openid {READ}") == {"openid", READ}


def test_a_refresh_asks_for_everything_when_the_grant_was_not_listed(provider: stand_in.Provider) -> None:
    asked = {"openid", "profile", "offline_access", READ, WRITE}

    assert refreshed_scopes(generic(), provider, granted=None) == asked


def test_entra_id_is_asked_for_offline_access_although_it_lists_it_nowhere(
    provider: stand_in.Provider,
) -> None:
    asked = refreshed_scopes(entra(), provider, granted=f"openid profile {READ} {WRITE}")

    assert "offline_access" in asked
