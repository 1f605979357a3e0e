"""The kinds of authority that the tenant can stand in for, a module for each: URLs, claims, errors."""

from .b2c import AzureADB2C
from .base import Authority
from .entra_id import EntraID, EntraIDManyTenants
from .external_id import ExternalID

# The names are those that the app has for its kinds of authority.
KINDS: dict[str, type[Authority]] = {
    "b2c": AzureADB2C,
    "entra-id": EntraID,
    "entra-id-many-tenants": EntraIDManyTenants,
    "external-id": ExternalID,
}
DEFAULT_KIND = "b2c"
