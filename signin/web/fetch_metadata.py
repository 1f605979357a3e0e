"""How a request came about, by the browser's headers (W3C, "Fetch Metadata Request Headers")."""

import hashlib

from flask import request

from .engine import engine


def is_script() -> bool:
    """Whether a script sent this request (fetch, XMLHttpRequest), and not a person who goes to a page."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode:
        return mode != "navigate"
    accepts = request.accept_mimetypes
    wants_json = accepts.accept_json and not accepts.accept_html
    return request.headers.get("X-Requested-With") == "XMLHttpRequest" or wants_json


def is_prefetch() -> bool:
    """Whether the browser loads the page ahead of a visit that may never come."""
    return "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))


def came_from_this_site() -> bool:
    """Whether a page of this site made the request. Browsers without Fetch Metadata send an Origin."""
    site = request.headers.get("Sec-Fetch-Site")
    if site:
        return site == "same-origin"
    return request.headers.get("Origin") == engine().settings.origin


def is_on_its_way() -> bool:
    """Whether the request before this one has sent the browser to this page, with a notice."""
    _, _, mark = request.cookies.get(engine().cookies.notice, "").partition(".")
    return mark == path_mark(request.path)


def path_mark(path: str) -> str:
    """What stands for a path in the notice's cookie."""
    return hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()[:16]


def came_from_elsewhere() -> bool:
    """Whether a page of another site, or of a sibling subdomain, made the request.

    That does not count for a browser that comes back from the sign-in service by way of the callback, and
    goes to the page that the callback has sent it to.
    """
    return not is_on_its_way() and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
