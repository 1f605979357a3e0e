"""The tokens that a session keeps: MSAL's token cache as JSON, and which scopes were granted.

MSAL's format keeps members that it does not know, so this adds one: GRANTED maps the scopes that were asked
for to those that were granted, where that was fewer. Without it every call would ask the provider again,
because no cached token covers what is asked for.
"""

import json
import time
from collections.abc import Callable, Collection
from typing import Any

import msal

GRANTED = "GrantedScopes"
REFRESH_AHEAD = 300  # an access token is not used in its last 300 seconds, as in MSAL
OIDC_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})

Resource = Callable[[str], str]


class TokenCache(msal.SerializableTokenCache):  # type: ignore[misc]
    """MSAL's token cache, written without the indentation that doubles its size."""

    def __init__(self, serialized: str = "") -> None:
        super().__init__()
        self.deserialize(serialized)

    def serialize(self) -> str:
        with self._lock:
            self.has_state_changed = False
            return json.dumps(self._cache)

    def remember_granted(self, asked: Collection[str], granted: Collection[str]) -> None:
        """Keep what was granted when `asked` was asked for."""
        with self._lock:
            if api_scopes(asked) <= set(granted):
                self._cache.get(GRANTED, {}).pop(_joined(asked), None)
            else:
                self._cache.setdefault(GRANTED, {})[_joined(asked)] = _joined(granted)

    def refresh_token_scopes(self) -> set[str]:
        """The scopes that the refresh token was granted for."""
        tokens = self.search(self.CredentialType.REFRESH_TOKEN)
        return {scope for token in tokens for scope in token.get("target", "").split()}

    def secret(self, credential_type: str) -> str | None:
        """The first token of this type."""
        found: str | None = next((token["secret"] for token in self.search(credential_type)), None)
        return found


def access_token(
    serialized: str, client_id: str, account_id: str, scopes: Collection[str], resource: Resource
) -> str | None:
    """A cached access token that will do for `scopes`, read from the JSON without building MSAL's objects.

    It covers the scopes, or what was granted of them, and belongs to the same API: `resource` tells which API
    a scope belongs to.
    """
    cache = json.loads(serialized) if serialized else {}
    granted = cache.get(GRANTED, {}).get(_joined(scopes))
    wanted = api_scopes(scopes if granted is None else granted.split())
    resources = {resource(scope) for scope in api_scopes(scopes)}
    earliest_end = time.time() + REFRESH_AHEAD
    for token in cache.get("AccessToken", {}).values():
        held = api_scopes(token["target"].split())
        if (
            token["client_id"] == client_id
            and token["home_account_id"] == account_id
            and wanted <= held
            and {resource(scope) for scope in held} == resources
            and int(token["expires_on"]) > earliest_end
        ):
            secret: str = token["secret"]
            return secret
    return None


def api_scopes(scopes: Collection[str]) -> set[str]:
    """The scopes of an API among `scopes`."""
    return set(scopes) - OIDC_SCOPES


def known_scopes(serialized: str) -> set[str]:
    """The scopes that have been asked for or granted so far."""
    cache = json.loads(serialized) if serialized else {}
    lists = [token["target"] for token in cache.get("AccessToken", {}).values()] + list(
        cache.get(GRANTED, {})
    )
    return api_scopes(" ".join(lists).split())


def with_other_apis(serialized: str, earlier: str, resource: Resource) -> str:
    """A session's new tokens, and of its earlier access tokens those for other APIs."""
    cache, old = json.loads(serialized), json.loads(earlier) if earlier else {}
    tokens = cache.setdefault("AccessToken", {})
    renewed = {resource(scope) for scope in known_scopes(serialized)}
    for key, token in old.get("AccessToken", {}).items():
        if not {resource(scope) for scope in api_scopes(token["target"].split())} & renewed:
            tokens.setdefault(key, token)
    return json.dumps(cache)


def first_id_token(serialized: str) -> str | None:
    """The ID token in a serialized cache."""
    tokens: dict[str, Any] = (json.loads(serialized) if serialized else {}).get("IdToken", {})
    return next((token["secret"] for token in tokens.values()), None)


def _joined(scopes: Collection[str]) -> str:
    return " ".join(sorted(api_scopes(scopes)))
