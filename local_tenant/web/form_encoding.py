"""Form encoding as the service's .NET writes it."""

import re
from collections.abc import Iterable
from urllib.parse import quote_plus


def form_encode(parameters: Iterable[tuple[str, str]]) -> str:
    """Form encoding with blanks as `+` and hexadecimal escapes in lower case."""
    return "&".join(f"{_escape(name)}={_escape(value)}" for name, value in parameters)


def _escape(text: str) -> str:
    escaped = quote_plus(text, safe="-_.!*()", errors="surrogatepass")
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), escaped)
