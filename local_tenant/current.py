"""What belongs to the request at hand."""

from flask import current_app


def tenant():
    """The Tenant whose app is answering."""
    return current_app.extensions["tenant"]


def cookie_name():
    # Cookies do not know ports, so the name says which local tenant it belongs to.
    return f"local_tenant_sso_{tenant().url.rpartition(':')[2]}"
