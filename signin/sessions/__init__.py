"""Who is signed in: sealed records in Redis or in one file. Knows neither Flask nor MSAL."""

from pathlib import Path

from .guarded_store import GuardedStore
from .names import handle_of, new_handle
from .records import SIGN_IN_LASTS, FoundSession, Records
from .sealing import Seal
from .store import LockTimeout, Store, StoreError, StoreUnusable
from .successors import SessionEnded

__all__ = [
    "SIGN_IN_LASTS",
    "FoundSession",
    "LockTimeout",
    "Records",
    "Seal",
    "SessionEnded",
    "Store",
    "StoreError",
    "StoreUnusable",
    "handle_of",
    "new_handle",
    "open_store",
]


def open_store(redis_url: str | None, folder: Path) -> Store:
    """Redis, or else the SQLite store in `folder`. Raises StoreUnusable. Redis may still be down."""
    if redis_url:
        from .redis_store import RedisStore  # its library is slow to import, and not needed for SQLite
        from .redis_url import client_maker

        return GuardedStore(RedisStore(client_maker(redis_url)))
    from .sqlite_store import SqliteStore

    return GuardedStore(SqliteStore(folder))
