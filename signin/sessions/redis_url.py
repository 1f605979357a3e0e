"""REDIS_URL: from the setting to a client of redis-py."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from .store import StoreUnusable

Client: TypeAlias = "redis.Redis | RedisCluster"

TIMEOUT = 1  # seconds for a connection, and for an answer
SCHEMES = "redis, rediss, unix, redis+cluster, rediss+cluster, redis+sentinel or rediss+sentinel"
OURS = {
    "decode_responses",
    "encoding",
    "encoding_errors",
    "retry_on_error",
    "retry_on_timeout",
}  # options that REDIS_URL may not set
SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}
SENTINEL_PORT = 26379


def client_maker(url: str) -> Callable[[], Client]:
    """Check `url`, and return the function that makes the client. Raises StoreUnusable.

    The forms are `redis://`, `rediss://` and `unix://` as in redis-py,
    `redis+cluster://[user:password@]host:port[,host:port...]`, and
    `redis+sentinel://[user:password@]host[:port][,host[:port]...]/MASTER_NAME[/DATABASE]`, each followed by
    redis-py's options. `rediss+...` uses TLS.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if (
        scheme not in ("redis", "rediss", "unix")
        or kind not in ("", "cluster", "sentinel")
        or (kind and scheme == "unix")
    ):
        raise _unusable(f"its scheme is not {SCHEMES}")
    if kind == "sentinel":
        return _sentinel(parts, scheme)
    if kind == "cluster":
        return _cluster(parts, scheme)
    if scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise _unusable("its path is not a database number")
    options = _options(url)
    pool = redis.ConnectionPool(**options)
    client = redis.Redis.from_pool(pool)
    return lambda: client


def _cluster(parts: SplitResult, scheme: str) -> Callable[[], Client]:
    if parts.path.strip("/") not in ("", "0"):
        raise _unusable("a cluster has no database but 0")
    userinfo, hosts = _hosts(parts, 6379)
    host, port = hosts[0]
    options = _options(f"{scheme}://{userinfo}{_bracketed(host)}:{port}?{parts.query}")
    for name in ("host", "port", "retry", "connection_class"):
        options.pop(name, None)

    def connect() -> RedisCluster:
        nodes = [ClusterNode(*host) for host in hosts]  # type: ignore[no-untyped-call]
        return RedisCluster(startup_nodes=nodes, retry=_retry(), ssl=scheme == "rediss", **options)

    return connect


def _sentinel(parts: SplitResult, scheme: str) -> Callable[[], Client]:
    path = re.fullmatch(r"/([^/]+)(?:/(\d*))?", parts.path)
    if not path:
        raise _unusable("its path is not /MASTER_NAME or /MASTER_NAME/DATABASE")
    userinfo, hosts = _hosts(parts, SENTINEL_PORT)
    query = [pair for pair in parts.query.split("&") if pair]
    of_sentinel = {}
    for pair in list(query):
        name, _, value = pair.partition("=")
        if name in SENTINEL_OPTIONS:
            of_sentinel[SENTINEL_OPTIONS[name]] = unquote(value)
            query.remove(pair)
    options = _options(f"{scheme}://{userinfo}host/{path[2] or 0}?{'&'.join(query)}")
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    shared = {name: value for name, value in options.items() if name not in ("db", "username", "password")}
    tls = {"ssl": True} if scheme == "rediss" else {}
    of_each = shared | tls | of_sentinel
    sentinel = Sentinel(hosts, sentinel_kwargs=of_each, **tls, **options)  # type: ignore[no-untyped-call]
    client: redis.Redis = sentinel.master_for(unquote(path[1]))  # type: ignore[no-untyped-call]
    return lambda: client


def _hosts(parts: SplitResult, default_port: int) -> tuple[str, list[tuple[str, int]]]:
    """The user information with its @, and hosts with ports."""
    userinfo, at, names = parts.netloc.rpartition("@")
    hosts = []
    for name in names.split(","):
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(\d+))?", name)
        if not match:
            raise _unusable("its hosts are not host:port, separated by commas")
        hosts.append((match[1].strip("[]"), int(match[2] or default_port)))
    return userinfo + at, hosts


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _options(url: str) -> dict[str, Any]:
    """What redis-py makes of `url`, on top of what we set ourselves."""
    try:
        given: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:  # its message may hold a part of the password
        raise _unusable("it is malformed. Percent-encode special characters of a password") from None
    if refused := OURS & set(given):
        raise _unusable(f"{', '.join(sorted(refused))} cannot be set")
    ours: dict[str, Any] = {
        "socket_connect_timeout": TIMEOUT,
        "socket_timeout": TIMEOUT,
        "retry": _retry(),
        # With version 3 redis-py does not look whether a pooled connection was closed before it is used
        # again.
        "protocol": 2,
    }
    options = ours | given
    try:
        redis.ConnectionPool(**options).make_connection()  # connects to nothing, but refuses unknown options
    except (TypeError, ValueError, redis.RedisError) as error:
        raise _unusable(str(error)) from None
    return options


def _retry() -> Retry:
    """Once more, on a new connection: a NAT or firewall may have dropped one that was idle."""
    return Retry(NoBackoff(), 1)


def _unusable(problem: str) -> StoreUnusable:
    return StoreUnusable("REDIS_URL", f"cannot be used: {problem}")
