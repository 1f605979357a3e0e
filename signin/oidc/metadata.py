"""A provider's metadata and signing keys: fetched when first needed, checked, and kept.

Sources: OpenID Connect Discovery sections 3 and 4; Microsoft Learn, "Overview of tokens in Azure AD B2C" and
"Signing key rollover in the Microsoft identity platform".
"""

import copy
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import jwt

from .errors import (
    MetadataNotFound,
    NameNotResolved,
    OidcError,
    Overloaded,
    ProviderUnavailable,
    SetupFault,
    TokenRefused,
)
from .http_client import Bulkhead, HttpClient, HttpError, HttpNameNotResolved, HttpOverloaded, Response
from .providers import Provider

log = logging.getLogger(__name__)

LIFETIME = 24 * 3600  # seconds
STALE_LIFETIME = 60  # seconds until the next attempt, when a value cannot be fetched again
KEY_REFETCHES = 5  # for unknown key ids, within KEY_REFETCH_WINDOW seconds
KEY_REFETCH_WINDOW = 300

BROWSER_ENDPOINTS = ("authorization_endpoint", "end_session_endpoint")
REQUIRED_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
ENDPOINTS = (*REQUIRED_ENDPOINTS, "end_session_endpoint", "userinfo_endpoint")

T = TypeVar("T")


@dataclass(frozen=True)
class SigningKey:
    """An RSA key, for RS256. `issuer` is a member that Microsoft adds: who may sign with it."""

    key_id: str | None
    key: Any
    issuer: str | None


class Authority:
    """The metadata and signing keys of one user flow's authority."""

    def __init__(self, provider: Provider, user_flow: str, http: HttpClient):
        self.metadata_url = provider.metadata_url(user_flow)
        self._provider = provider
        self._http = http
        self._metadata = _Kept(self._fetch_metadata, http.bulkhead)
        self._keys = _Kept(self._fetch_keys, http.bulkhead)
        self._refetches: deque[float] = deque(maxlen=KEY_REFETCHES)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata. Raises ProviderUnavailable, or SetupFault if it fails a check."""
        return self._metadata.get()

    @property
    def signing_keys(self) -> list[SigningKey]:
        """All usable keys that the metadata's `jwks_uri` lists. Raises ProviderUnavailable or SetupFault."""
        return self._keys.get()

    def signing_key(self, key_id: object) -> SigningKey:
        """The key named `key_id`, or the only key when a token names none. Raises TokenRefused.

        An unknown name fetches the keys again, so that a rotation takes effect at once; only a few times in
        KEY_REFETCH_WINDOW, so that garbage cannot make us hammer the provider.
        """
        keys = self._keys.get()
        key = _pick(keys, key_id)
        if key is None and self._may_refetch():
            key = _pick(self._keys.get(newer_than=keys), key_id)
        if key is None:
            raise TokenRefused(f"no signing key for kid {key_id!r}", check="kid")
        return key

    def date(self) -> str:
        """What time it is at the provider, as its `Date` header says. Raises ProviderUnavailable."""
        return ask(self._http, "GET", self.metadata_url).headers.get("Date", "")

    def _may_refetch(self) -> bool:
        now = time.monotonic()
        if len(self._refetches) == KEY_REFETCHES and now - self._refetches[0] < KEY_REFETCH_WINDOW:
            return False
        self._refetches.append(now)
        return True

    def _fetch_metadata(self) -> Mapping[str, Any]:
        response = ask(self._http, "GET", self.metadata_url)
        if response.status != 200:
            raise self._refusal(response)
        metadata = json_object(response, self.metadata_url)
        self._check(metadata)
        return metadata

    def _refusal(self, response: Response) -> OidcError:
        refusal = self._provider.error_from(_lenient_json(response.text))
        is_missing = response.status == 404 or isinstance(refusal, MetadataNotFound)
        kind = MetadataNotFound if is_missing else SetupFault
        return kind(
            f"{self.metadata_url} answered {response.status}",
            error=refusal.error,
            code=refusal.code,
            correlation_id=refusal.correlation_id,
            url=self.metadata_url,
        )

    def _check(self, metadata: Mapping[str, Any]) -> None:
        """Refuse endpoints on hosts that this kind of provider does not use: secrets would go there."""
        issuer = metadata.get("issuer")
        if not isinstance(issuer, str) or not _is_plain(issuer):
            raise SetupFault(f"{self.metadata_url}: the issuer is {issuer!r}", url=self.metadata_url)
        try:
            self._provider.check_metadata_issuer(issuer)
        except SetupFault as fault:
            fault.url = self.metadata_url
            raise
        required = [*REQUIRED_ENDPOINTS]
        if self._provider.requires_end_session_endpoint:
            required.append("end_session_endpoint")
        for name in ENDPOINTS:
            if (name in required or metadata.get(name) is not None) and not self._is_trusted(name, metadata):
                raise SetupFault(
                    f"{self.metadata_url}: {name} {metadata.get(name)!r} is not on a host of this authority",
                    url=self.metadata_url,
                )

    def _is_trusted(self, name: str, metadata: Mapping[str, Any]) -> bool:
        url = metadata.get(name)
        if not isinstance(url, str) or not _is_plain(url):
            return False
        try:
            parts = urlsplit(url)
            origin = f"{parts.scheme}://{parts.netloc.lower()}"
        except ValueError:
            return False
        if name in BROWSER_ENDPOINTS and origin == self._provider.insecure_origin:
            return True
        if parts.scheme != "https" or not parts.hostname:
            return False
        # Userinfo may be on another host of the provider's, such as graph.microsoft.com. Only providers with
        # `has_userinfo` are asked there.
        hosts = self._provider.endpoint_hosts(metadata["issuer"])
        return hosts is None or name == "userinfo_endpoint" or parts.netloc.lower() in hosts

    def _fetch_keys(self) -> list[SigningKey]:
        url = self.metadata["jwks_uri"]
        response = ask(self._http, "GET", url)
        members = json_object(response, url).get("keys")
        keys = [_signing_key(member) for member in members] if isinstance(members, list) else []
        usable = [key for key in keys if key is not None]
        if not usable:
            raise ProviderUnavailable(f"{url} answered {response.status} without usable keys", url=url)
        return usable


class _Kept(Generic[T]):
    """A fetched value, kept for LIFETIME seconds, and longer while it cannot be fetched again.

    One thread fetches; the others use the stale value if there is one, or wait and share the outcome.
    Fetching and waiting hold a slot of the bulkhead.
    """

    def __init__(self, fetch: Callable[[], T], bulkhead: Bulkhead):
        self._fetch = fetch
        self._bulkhead = bulkhead
        self._lock = threading.Lock()
        self._value: T | None = None
        self._fresh_until = 0.0
        self._failure: OidcError | None = None
        self._failed_at = 0.0

    def get(self, *, newer_than: T | None = None) -> T:
        """The value; with `newer_than`, one fetched after that one. Raises what the fetch raises."""
        value = self._value
        if value is not None and self._is_good(newer_than):
            return value
        try:
            with self._bulkhead:
                return self._fetch_or_wait(stale=value if newer_than is None else None, newer_than=newer_than)
        except HttpOverloaded as error:
            if value is not None and newer_than is None:
                return value
            raise _overloaded() from error

    def _fetch_or_wait(self, *, stale: T | None, newer_than: T | None) -> T:
        came = time.monotonic()
        if not self._lock.acquire(blocking=stale is None):
            assert stale is not None  # noqa: S101 - for the type checker: a blocking acquire succeeds
            return stale
        try:
            if self._value is not None and self._is_good(newer_than):
                return self._value
            if self._failure and self._failed_at > came:
                # Threads that waited for a failed fetch share its error instead of retrying.
                raise copy.copy(self._failure) from self._failure
            return self._refresh(must=newer_than is not None)
        finally:
            self._lock.release()

    def _is_good(self, newer_than: T | None) -> bool:
        return time.monotonic() < self._fresh_until and self._value is not newer_than

    def _refresh(self, *, must: bool) -> T:
        try:
            value, lifetime = self._fetch(), LIFETIME
        except OidcError as failure:
            self._failure, self._failed_at = failure, time.monotonic()
            if must or self._value is None:
                raise
            log.warning("keeping the former answer: %s", failure)
            value, lifetime = self._value, STALE_LIFETIME
        self._value = value
        self._fresh_until = time.monotonic() + lifetime
        return value


def ask(
    http: HttpClient,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send one request to the provider. Raises ProviderUnavailable, also when the provider is in trouble."""
    clean_url = urlsplit(url)._replace(query="", fragment="").geturl()
    try:
        response = http.request(method, url, body=body, headers=headers)
    except HttpOverloaded as error:
        raise _overloaded() from error
    except HttpNameNotResolved as error:
        raise NameNotResolved(f"no answer from {clean_url}: {error}", url=clean_url) from error
    except HttpError as error:
        raise ProviderUnavailable(f"no answer from {clean_url}: {error}", url=clean_url) from error
    if response.status == 429 or response.status >= 500:
        seconds = response.headers.get("Retry-After", "")
        raise ProviderUnavailable(
            f"{clean_url} answered {response.status}",
            retry_after=min(int(seconds), 3600) if re.fullmatch(r"[0-9]{1,9}", seconds) else 0,
            url=clean_url,
        )
    return response


def json_object(response: Response, url: str) -> dict[str, Any]:
    """The JSON object in an answer from `url`. Raises ProviderUnavailable."""
    try:
        value = json.loads(response.text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ProviderUnavailable(
            f"{url} answered {response.status} with something that is not a JSON object", url=url
        )
    return value


def _lenient_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _overloaded() -> Overloaded:
    return Overloaded("too many calls to the provider are under way", retry_after=5)


def _is_plain(url: str) -> bool:
    return re.fullmatch(r"[!-?A-\[\]-~]+", url) is not None  # no backslash, no userinfo, no control character


def _signing_key(member: object) -> SigningKey | None:
    """The key in a member of a JWK set. None for a malformed key, or one that does not sign with RS256."""
    if not isinstance(member, dict) or member.get("kty") != "RSA" or member.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(member, algorithm="RS256")
    except (jwt.PyJWTError, TypeError, AttributeError, ValueError):
        return None
    issuer = member.get("issuer")
    return SigningKey(key.key_id, key.key, issuer if isinstance(issuer, str) else None)


def _pick(keys: list[SigningKey], key_id: object) -> SigningKey | None:
    named = [key for key in keys if key.key_id == key_id]
    if key_id is None and len(keys) == 1:
        return keys[0]
    return named[0] if len(named) == 1 else None
