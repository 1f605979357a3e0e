"""Which scopes a request gets: one web API at most, and only what the app was granted."""

from .errors import B2CError
from .model import OIDC_SCOPES


def granted(tenant, scope, redirect_uri=None):
    """The granted ones of a scope string, in its order; raises B2CError as B2C would."""
    wanted = list(dict.fromkeys(scope.split()))
    resource = [name for name in wanted if name not in OIDC_SCOPES]
    owners = {_owner(tenant, name, redirect_uri) for name in resource}
    if len(owners) > 1:
        raise B2CError("AADB2C90146", scope, redirect_uri=redirect_uri)
    allowed = [name for name in resource if _allowed(tenant, name)]
    if resource and not allowed:
        raise B2CError("AADB2C90205", redirect_uri=redirect_uri)
    return tuple(name for name in wanted if name in OIDC_SCOPES or name in allowed)


def _owner(tenant, name, redirect_uri):
    if name == tenant.registration.client_id:
        return name
    for api in tenant.apis:
        if name in {f"{api.uri}/{short}" for short in api.scopes}:
            return api.client_id
    raise B2CError("AADB2C90117", name, redirect_uri=redirect_uri)


def _allowed(tenant, name):
    own = name == tenant.registration.client_id
    return own or any(name in {f"{api.uri}/{short}" for short in api.granted} for api in tenant.apis)


def resource_of(tenant, scopes):
    """The client id of the API the scopes belong to and their short names, or (None, []) without an API."""
    names = [name for name in scopes if name not in OIDC_SCOPES]
    if not names:
        return None, []
    if tenant.registration.client_id in names:
        return tenant.registration.client_id, []
    return _owner(tenant, names[0], None), [name.rpartition("/")[2] for name in names]
