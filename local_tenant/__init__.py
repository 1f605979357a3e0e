"""A stand-in for a Microsoft tenant and a protected web API, for development and tests only."""

TYPE_CHECKING = False  # importing it from typing would make the start slower to interrupt
if TYPE_CHECKING:
    from .tenant import LocalTenant

__all__ = ["LocalTenant"]


def __getattr__(name: str) -> object:
    # Imported late, so that `python -m local_tenant` can say in one line which package is missing.
    if name == "LocalTenant":
        from .tenant import LocalTenant

        return LocalTenant
    raise AttributeError(name)
