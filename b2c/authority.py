"""A user flow's authority: its metadata and signing keys, over connections that are pooled and bounded."""

import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import jwt
import requests
import urllib3
from urllib3.util import Retry

from .problems import Problem, SetupFault, TenantUnavailable, TokenRefused, short

log = logging.getLogger(__name__)

TIMEOUT = (3.05, 5)  # seconds to connect, and between two bytes of an answer
DEADLINE = 8  # seconds for a whole answer
LARGEST_ANSWER = 1 << 20  # bytes
METADATA_LIFETIME = 24 * 3600  # seconds; Microsoft Learn, "Overview of tokens in Azure AD B2C"
KEY_REFETCHES = 5  # for unknown key ids, within KEY_REFETCH_WINDOW seconds
KEY_REFETCH_WINDOW = 300

BROWSER_ENDPOINTS = {"authorization_endpoint", "end_session_endpoint"}
ENDPOINTS = {"issuer", "token_endpoint", "jwks_uri"} | BROWSER_ENDPOINTS
# The two forms of the issuer, after its host (Microsoft Learn, "Overview of tokens in Azure AD B2C").
ISSUER = re.compile(r"(/tfp(?=/[^/]+/[^/]+/))?/(?P<tenant>[0-9a-fA-F-]{36})(?(1)/[^/?#]+)/v2\.0/")

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, read whole unless it was larger than LARGEST_ANSWER."""

    status_code: int
    headers: Mapping[str, str]
    text: str
    truncated: bool = False


class Server:
    """Pooled connections to one server. Every call is bounded in time and size and follows no redirect.

    It is requests' adapter without a session around it: a session would look through the environment and its
    cookies for each request, and an entry in ~/.netrc would replace the bearer token.
    """

    def __init__(self, url: str):
        environment = requests.Session().merge_environment_settings(url, {}, None, None, None)
        self._proxies, self._verify = environment["proxies"], environment["verify"]
        # One more try to connect, for an address that is gone; no other, and no sleeping on a Retry-After.
        retry = Retry(1, connect=1, read=False, status=0, other=0, respect_retry_after_header=False)
        self._adapter = requests.adapters.HTTPAdapter(pool_maxsize=32, max_retries=retry)

    def request(self, method: str, url: str, **kwargs: Any) -> Reply:
        """Send one request. Raises requests.RequestException when no whole answer came in time."""
        try:
            return self._request(method, url, **kwargs)
        except requests.RequestException:
            raise
        except OSError as error:  # what requests makes of a CA bundle that is not there
            raise requests.exceptions.SSLError(error) from error

    def _request(self, method: str, url: str, **kwargs: Any) -> Reply:
        deadline = time.monotonic() + DEADLINE
        prepared = requests.Request(method, url, **kwargs).prepare()
        with self._adapter.send(
            prepared, stream=True, timeout=TIMEOUT, verify=self._verify, proxies=self._proxies
        ) as response:
            body = bytearray()
            while len(body) <= LARGEST_ANSWER and (chunk := _next_bytes(response)):
                body += chunk
                if time.monotonic() > deadline:
                    raise requests.Timeout(f"the answer took longer than {DEADLINE} seconds")
            text = bytes(body[:LARGEST_ANSWER]).decode("utf-8", "replace")
            return Reply(response.status_code, response.headers, text, len(body) > LARGEST_ANSWER)


def _next_bytes(response: requests.Response) -> bytes:
    """Some bytes as soon as there are any: iter_content would wait until a whole chunk has dripped in."""
    try:
        return response.raw.read1(1 << 16, decode_content=True)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from error


class _Kept:
    """A fetched value, kept for METADATA_LIFETIME seconds, and longer while it cannot be fetched again."""

    def __init__(self, fetch: Callable[[], T]):
        self._fetch = fetch
        self._lock = threading.Lock()
        self._value: T | None = None
        self._fresh_until = 0.0
        self._failure: Problem | None = None
        self._failed_at = 0.0

    def get(self, *, newer_than: T | None = None) -> T:
        """The value; with `newer_than`, one fetched after that one. Raises what the fetch raises."""
        if self._is_good(newer_than):
            return self._value
        # A stale value will do while another thread fetches.
        stale = self._value if newer_than is None else None
        came = time.monotonic()
        if not self._lock.acquire(blocking=stale is None):
            return stale
        try:
            if self._is_good(newer_than):
                return self._value
            if self._failure and self._failed_at > came:
                # Who has waited for a vain attempt shall not wait for another.
                raise type(self._failure)(str(self._failure), retry_after=self._failure.retry_after)
            self._refresh(must=newer_than is not None)
            return self._value
        finally:
            self._lock.release()

    def _is_good(self, newer_than: T | None) -> bool:
        return time.monotonic() < self._fresh_until and self._value is not newer_than

    def _refresh(self, *, must: bool) -> None:
        try:
            self._value, lifetime = self._fetch(), METADATA_LIFETIME
        except Problem as failure:
            self._failure, self._failed_at = failure, time.monotonic()
            if must or self._value is None:
                raise
            log.warning("the former answer must do: %s", failure)
            lifetime = 60
        self._fresh_until = time.monotonic() + lifetime


class Authority:
    """One user flow's authority: its metadata and signing keys, checked, and fetched when first needed."""

    def __init__(self, url: str, user_flow: str, tenant_id: str | None, server: Server):
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        self.url = parts._replace(path=path).geturl()
        self.metadata_url = parts._replace(path=f"{path}/v2.0/.well-known/openid-configuration").geturl()
        self.user_flow = user_flow
        self._netloc = parts.netloc.lower()
        self._hostname = parts.hostname
        self._tenant_id = tenant_id
        self._server = server
        self._metadata = _Kept(self._fetch_metadata)
        self._keys = _Kept(self._fetch_keys)
        self._refetches: deque[float] = deque(maxlen=KEY_REFETCHES)

    @property
    def metadata(self) -> Mapping[str, str]:
        """The user flow's metadata (OpenID Connect Discovery section 3).

        Raises TenantUnavailable, or SetupFault when it is not there or not to be trusted.
        """
        return self._metadata.get()

    def signing_key(self, key_id: str | None) -> jwt.PyJWK:
        """The key named `key_id`, or the only key when a token names none.

        An unknown name fetches the keys once more, so that a rotation works at once; a few times in
        KEY_REFETCH_WINDOW only, so that garbage cannot make us hammer the tenant. Raises TokenRefused.
        """
        keys = self._keys.get()
        key = _pick(keys, key_id)
        if key is None and self._may_refetch():
            key = _pick(self._keys.get(newer_than=keys), key_id)
        if key is None:
            raise TokenRefused(f"no signing key for kid {key_id!r}")
        return key

    @property
    def signing_keys(self) -> list[jwt.PyJWK]:
        """All signing keys that the metadata's `jwks_uri` lists. Raises TenantUnavailable or SetupFault."""
        return self._keys.get()

    def date(self) -> str:
        """What time it is at the tenant, as its `Date` header says. Raises TenantUnavailable."""
        return self._call("GET", self.metadata_url).headers.get("Date", "")

    def post_to_token_endpoint(self, url: str, **kwargs: Any) -> Reply:
        """Send MSAL's token request. Raises TenantUnavailable unless it is answered with a JSON object whose
        access token, where there is one, can stand in a header (RFC 6750 section 2.1).
        """
        reply = self._call("POST", url, **kwargs)
        access_token = _json_object(reply, url).get("access_token", "none")
        if not isinstance(access_token, str) or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", access_token):
            raise TenantUnavailable(f"{url} answered with an access token that is no bearer token")
        return reply

    def _may_refetch(self) -> bool:
        now = time.monotonic()
        if len(self._refetches) == KEY_REFETCHES and now - self._refetches[0] < KEY_REFETCH_WINDOW:
            return False
        self._refetches.append(now)
        return True

    def _fetch_metadata(self) -> Mapping[str, str]:
        reply = self._call("GET", self.metadata_url)
        if reply.status_code != 200:
            raise SetupFault(
                f"{self.metadata_url} answered {reply.status_code}: is the tenant or the user flow misspelt?"
            )
        metadata = _json_object(reply, self.metadata_url)
        self._check_metadata(metadata)
        return metadata

    def _check_metadata(self, metadata: Mapping[str, Any]) -> None:
        """No secret goes to, and nothing is believed from, a host other than the configured authority's."""
        for name in ENDPOINTS:
            if not self._is_ours(metadata.get(name), may_be_local=name in BROWSER_ENDPOINTS):
                raise SetupFault(
                    f"{self.metadata_url}: {name} {metadata.get(name)!r} is not on {self._netloc}"
                )
        issuer = ISSUER.fullmatch(urlsplit(metadata["issuer"])._replace(scheme="", netloc="").geturl())
        if not issuer:
            raise SetupFault(f"{self.metadata_url}: {metadata['issuer']!r} is not an issuer of B2C's form")
        if self._tenant_id and issuer["tenant"].lower() != self._tenant_id.lower():
            raise SetupFault(f"the issuer {metadata['issuer']!r} is not of tenant B2C_TENANT_ID")

    def _is_ours(self, url: Any, *, may_be_local: bool) -> bool:
        """Whether `url` can lead to no other server, or, for the browser, to a tenant on this machine."""
        if not isinstance(url, str) or not re.fullmatch(r"[!-?A-\[\]-~]+", url):  # no backslash, no userinfo
            return False
        try:
            parts = urlsplit(url)
            local = (
                may_be_local and parts.scheme == "http" and parts.hostname == "127.0.0.1" == self._hostname
            )
        except ValueError:
            return False
        return local or (parts.scheme == "https" and parts.netloc.lower() == self._netloc)

    def _fetch_keys(self) -> list[jwt.PyJWK]:
        url = self.metadata["jwks_uri"]
        reply = self._call("GET", url)
        try:
            keys = jwt.PyJWKSet.from_dict(_json_object(reply, url)).keys
        except (jwt.PyJWTError, TypeError, AttributeError, ValueError) as error:
            raise TenantUnavailable(
                f"{url} answered {reply.status_code} without usable keys: {error!r}"
            ) from error
        return [key for key in keys if key.key_type == "RSA" and key.public_key_use in ("sig", None)]

    def _call(self, method: str, url: str, **kwargs: Any) -> Reply:
        try:
            reply = self._server.request(method, url, **kwargs)
        except requests.RequestException as error:
            raise TenantUnavailable(f"no answer from {url}: {short(error)}") from error
        if reply.status_code == 429 or reply.status_code >= 500:
            seconds = reply.headers.get("Retry-After", "")
            raise TenantUnavailable(
                f"{url} answered {reply.status_code}",
                retry_after=min(int(seconds), 3600) if re.fullmatch(r"[0-9]{1,9}", seconds) else 0,
            )
        return reply


def _pick(keys: list[jwt.PyJWK], key_id: str | None) -> jwt.PyJWK | None:
    named = [key for key in keys if key.key_id == key_id]
    if key_id is None and len(keys) == 1:
        return keys[0]
    return named[0] if len(named) == 1 else None


def _json_object(reply: Reply, url: str) -> dict[str, Any]:
    try:
        value = json.loads(reply.text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise TenantUnavailable(
            f"{url} answered {reply.status_code} with something that is not a JSON object"
        )
    return value
