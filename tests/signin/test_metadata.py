"""Metadata and keys are fetched once for all, and never while nobody needs them."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signin.oidc import (
    SIGN_IN,
    Client,
    ClientSecret,
    EntraID,
    OidcError,
    Overloaded,
    ProviderUnavailable,
    TokenRefused,
)
from signin.oidc import metadata as metadata_module
from tests.signin.stand_in import Provider, StandIn, serve_on
from tests.signin.test_providers import client_of, entra, sign_in


@pytest.fixture(scope="module")
def servers() -> Iterator[StandIn]:
    running = StandIn()
    yield running
    running.close()


@pytest.fixture
def provider(servers: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    return serve_on(servers, tmp_path, monkeypatch)


def fetches(provider: Provider) -> int:
    return len(provider.seen("/openid-configuration"))


def side_by_side(count: int, call: Callable[[], object]) -> list[object]:
    """What `call` gives or raises in so many threads."""
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(call())
        except OidcError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_nothing_is_fetched_before_it_is_needed(provider: Provider) -> None:
    client_of(entra(), provider)
    assert fetches(provider) == 0


def test_threads_share_one_fetch(provider: Provider) -> None:
    client = client_of(entra(), provider)
    provider.delay = 0.2
    outcomes = side_by_side(8, lambda: client.metadata(SIGN_IN)["issuer"])
    assert len(set(map(str, outcomes))) == 1
    assert fetches(provider) == 1


def test_threads_share_one_failure(provider: Provider) -> None:
    client = client_of(entra(), provider)
    provider.metadata = {entra().metadata_url: (500, {})}
    provider.delay = 0.2
    outcomes = side_by_side(8, lambda: client.metadata(SIGN_IN))
    assert all(type(outcome) is ProviderUnavailable for outcome in outcomes)
    assert {getattr(outcome, "url", "") for outcome in outcomes} == {entra().metadata_url}
    assert fetches(provider) == 1


def occupy(client: Client, provider: Provider) -> list[threading.Thread]:
    """Take every slot, with calls that the provider holds."""
    provider.released.clear()
    before = fetches(provider)
    threads = [threading.Thread(target=client.date, args=(SIGN_IN,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    while fetches(provider) < before + 12:
        time.sleep(0.01)
    return threads


def test_calls_beyond_the_bulkhead_are_refused_at_once(provider: Provider) -> None:
    client = client_of(entra(), provider)
    threads = occupy(client, provider)
    with pytest.raises(Overloaded) as caught:
        client.metadata(SIGN_IN)
    assert caught.value.retry_after
    provider.released.set()
    for thread in threads:
        thread.join()
    assert client.metadata(SIGN_IN)["issuer"]


def test_fresh_metadata_needs_no_slot(provider: Provider) -> None:
    client = client_of(entra(), provider)
    client.warm_up()
    threads = occupy(client, provider)
    assert client.begin(SIGN_IN)["auth_uri"]
    provider.released.set()
    for thread in threads:
        thread.join()


def test_stale_metadata_is_used_while_the_provider_is_down(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata_module, "LIFETIME", 0)
    client = client_of(entra(), provider)
    issuer = client.metadata(SIGN_IN)["issuer"]
    provider.metadata = {entra().metadata_url: (500, {})}
    assert client.metadata(SIGN_IN)["issuer"] == issuer
    assert fetches(provider) == 2
    assert client.metadata(SIGN_IN)["issuer"] == issuer  # and the provider is left alone for a minute
    assert fetches(provider) == 2


def test_unknown_keys_cause_a_few_fetches_only(provider: Provider) -> None:
    client = client_of(entra(), provider)
    provider.key_id = "unknown"
    for _ in range(8):
        with pytest.raises(TokenRefused):
            sign_in(client, provider)
        del provider.claims["nonce"]
    assert len(provider.seen("/keys")) == 1 + metadata_module.KEY_REFETCHES


def test_client_is_made_without_asking_anybody() -> None:
    Client(
        EntraID("https://nowhere.invalid/contoso.com"), "some-client", ClientSecret("s"), "https://a.example/"
    )
