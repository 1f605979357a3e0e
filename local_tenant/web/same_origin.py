"""The guard of all forms: they are taken from the tenant's own pages only."""

from flask import request


def is_from_own_page() -> bool:
    """Whether a form comes from a page of this origin. Browsers say where a form was."""
    own_origin = request.host_url.rstrip("/")
    return request.headers.get("Origin", own_origin) == own_origin
