"""The kinds of provider. Whatever differs from kind to kind is in its class; the rest of the package has no
condition on the kind.
"""

from .b2c import AzureADB2C
from .base import EDIT_PROFILE, RESET_PASSWORD, SIGN_IN, SIGN_UP, Provider
from .entra_id import EntraID, EntraIDManyTenants
from .external_id import ExternalID
from .openid_connect import OpenIDConnect

__all__ = [
    "EDIT_PROFILE",
    "RESET_PASSWORD",
    "SIGN_IN",
    "SIGN_UP",
    "AzureADB2C",
    "EntraID",
    "EntraIDManyTenants",
    "ExternalID",
    "OpenIDConnect",
    "Provider",
]
