"""A stand-in for Microsoft Graph and for the sign-in of its operator, for development and tests only.

It holds app registrations, service principals, permission grants and user flows in memory. It checks each
request against Microsoft's published types (schema.json) and the rules of the Graph reference.
"""

from .directory import Directory
from .server import LocalGraph

__all__ = ["Directory", "LocalGraph"]
