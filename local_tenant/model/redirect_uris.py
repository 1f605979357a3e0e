"""Which redirect URIs can be registered.

Source: Microsoft Learn, "Redirect URI (reply URL) best practices and limitations"; RFC 6749, section 3.1.2.
"""

from urllib.parse import SplitResult, urlsplit

LOOPBACK_HOSTS = ("localhost", "127.0.0.1")
WEB_SCHEMES = ("http", "https")
SCRIPT_SCHEMES = ("javascript", "data", "vbscript")  # a browser would run what follows
WRITE_WHOLE = "Write the whole address, as in http://localhost:5000/getAToken."


def split_address(address: str) -> SplitResult | None:
    """The parts of an address. None if its host or port cannot be one."""
    try:
        parts = urlsplit(address)
        (parts.hostname or "").encode("idna")
        has_valid_port = parts.port != 0
    except ValueError:
        return None
    return parts if has_valid_port else None


def redirect_uri_fault(uri: str, app_type: str, *, may_have_query: bool) -> str:
    """What is wrong with a redirect URI for an app of this type, "" for nothing."""
    parts = split_address(uri)
    if not parts:
        return "Its host or port is not valid."
    is_web_address = parts.scheme in WEB_SCHEMES
    has_place = bool(parts.hostname)
    if not is_web_address:  # "localhost" is no scheme, although localhost:3000 looks like one
        has_place = bool(parts.netloc) or parts.path.startswith("/") or parts.scheme == "urn"
    rules = [
        (not uri.isprintable() or " " in uri, "Remove blanks and line breaks."),
        (not parts.scheme, WRITE_WHOLE),
        ("#" in uri, "Remove the fragment, which begins with #."),
        ("*" in uri, "Write each address out, without *."),
        (bool(parts.query) and not may_have_query, "Azure AD B2C allows no query. Remove it from the ? on."),
        (parts.scheme in SCRIPT_SCHEMES, "A browser would run it as a script."),
        (
            not is_web_address and has_place and app_type != "native",
            'Write https. Other schemes need type = "native".',
        ),
        (not has_place, WRITE_WHOLE),
        (
            parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS,
            "Write https, or http with localhost.",
        ),
    ]
    return next((text for is_wrong, text in rules if is_wrong), "")


def without_loopback_port(uri: str) -> str | None:
    """An http address on this machine without its port (RFC 8252, section 7.3). None for all others."""
    parts = split_address(uri)
    if not parts or parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS or "@" in parts.netloc:
        return None
    return parts._replace(netloc=parts.hostname, path=parts.path or "/").geturl()
