"""From the text of a setting to its value. Each cast raises ValueError for a malformed text."""

import re
import string
from collections.abc import Callable, Container
from itertools import islice
from urllib.parse import SplitResult, urlsplit

from signin.authorities import GUID, PERSONAL_TENANT

RESERVED_SCOPES = {"openid", "profile", "offline_access"}
FEWEST_UNFORESEEN = 12  # characters of a key; of 32 random hexadecimal digits, about 27
PLACEHOLDER_KEY = re.compile(
    r"(?i)change.?me|change.?this|your.?key|secret|password|example|sample|replace|placeholder|insert|random"
)
KEYBOARD = "qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azerty"


def matching(pattern: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return cast


def parse_url(text: str, *schemes: str) -> SplitResult:
    """The parts of a URL with one of these schemes, a host and a possible port. Raises ValueError."""
    url = urlsplit(text)
    if (
        not re.fullmatch(r"[!-\[\]-~]+", text)
        or url.scheme not in schemes
        or not url.hostname
        or url.port == 0
    ):
        raise ValueError
    return url


def is_loopback(url: SplitResult) -> bool:
    return url.hostname in ("localhost", "127.0.0.1", "::1")


def redirect_uri(own_routes: Container[str]) -> Callable[[str], str]:
    """Microsoft Learn, "Redirect URI (reply URL) restrictions": https, or http for this machine; no query.

    Its path is none of `own_routes`, which serve other pages of the app.
    """

    def cast(text: str) -> str:
        uri = parse_url(text, "https", "http")
        if uri.scheme == "http" and uri.hostname not in ("localhost", "127.0.0.1"):
            raise ValueError
        if "@" in uri.netloc or uri.query or uri.fragment:
            raise ValueError
        if not uri.path.startswith("/") or uri.path in own_routes or uri.path.startswith("/static/"):
            raise ValueError
        return text

    return cast


def authority_template(text: str) -> str:
    placeholders = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    url = authority(text.format(tenant="t", user_flow="f"))
    if "user_flow" not in placeholders or not urlsplit(url).path.strip("/"):
        raise ValueError
    return text


def authority(text: str) -> str:
    """An https URL without user information, query or fragment: the addresses of the metadata build on it."""
    url = parse_url(text, "https")
    if "@" in text or url.query or url.fragment:
        raise ValueError
    return text


def endpoint(text: str) -> str:
    """Access tokens go there, so it is https, or http on this machine."""
    url = parse_url(text, "http", "https")
    if url.scheme == "http" and not is_loopback(url):
        raise ValueError
    return text


def insecure_sign_in_origin(text: str) -> str:
    url = parse_url(text, "http")
    if not is_loopback(url) or text != f"http://{url.netloc}" or "@" in url.netloc:
        raise ValueError
    return text


def redis_url(text: str) -> str:
    if not re.match(r"(redis|rediss|unix)(\+cluster|\+sentinel)?://", text):
        raise ValueError
    return text


def scopes(text: str) -> tuple[str, ...]:
    """RFC 6749 section 3.3. MSAL adds the reserved scopes itself."""
    scopes = tuple(text.split())
    if not all(re.fullmatch(r"[!#-\[\]-~]+", scope) for scope in scopes) or RESERVED_SCOPES & set(scopes):
        raise ValueError
    return scopes


def secret_key(text: str) -> str:
    """A key with no blanks in it, because SECRET_KEY_FALLBACKS are separated by blanks."""
    if not re.fullmatch(r"\S{32,}", text) or PLACEHOLDER_KEY.search(text):
        raise ValueError
    unforeseen = (index for index in range(len(text)) if not _is_foreseen(text, index))
    if len(list(islice(unforeseen, FEWEST_UNFORESEEN))) < FEWEST_UNFORESEEN:
        raise ValueError
    return text


def _is_foreseen(text: str, index: int) -> bool:
    """Whether the character follows from the one before, or ends a piece seen before.

    It follows if it repeats that character, counts up or down from it, or is next to it on a keyboard.
    """
    pair = text[index - 1 : index + 1].lower() if index >= 1 else ""
    repeats_or_counts = index >= 1 and abs(ord(text[index]) - ord(text[index - 1])) <= 1
    is_next_on_keyboard = bool(pair) and (pair in KEYBOARD or pair[::-1] in KEYBOARD)
    ends_a_piece_seen_before = index >= 3 and text[index - 2 : index + 1] in text[:index]
    return repeats_or_counts or is_next_on_keyboard or ends_a_piece_seen_before


def allowed_tenants(text: str) -> tuple[str, ...]:
    tenants = tuple(text.replace(",", " ").lower().split())
    listed = set(tenants) - {"*"}
    if not tenants or not all(re.fullmatch(GUID, tenant) for tenant in listed):
        raise ValueError
    if "*" in tenants and not listed <= {PERSONAL_TENANT}:
        raise ValueError
    return tenants


def secret_keys(text: str) -> tuple[str, ...]:
    return tuple(secret_key(key) for key in text.split())


def minutes(text: str) -> int:
    minutes = int(text)
    if minutes < 1:
        raise ValueError
    return minutes


def yes_or_no(text: str) -> bool:
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[text.lower()]


user_flow = matching(r"(?i)b2c_1a?_[\w.-]+")
