"""A stand-in Azure AD B2C tenant and protected web API on this machine, for development and tests only."""

__all__ = ["LocalTenant"]


def __getattr__(name):
    # Imported late, so that `python -m local_tenant` can say in one line what is missing.
    if name == "LocalTenant":
        from .tenant import LocalTenant

        return LocalTenant
    raise AttributeError(name)
