"""How a tenant is set up: what is there by default, and the file that says otherwise."""

from .defaults import default_configuration, lasting_tenant_id
from .example import example
from .file import ConfigurationError, load

__all__ = ["ConfigurationError", "default_configuration", "example", "lasting_tenant_id", "load"]
