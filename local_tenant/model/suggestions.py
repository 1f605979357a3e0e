"""Suggests the right name for a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: object, names: Iterable[object]) -> str:
    """A question about the nearest of the names, with a space before it. "" if none is near."""
    spellings = {_plain(known): str(known) for known in names if known}
    near = get_close_matches(_plain(name), spellings, n=1)
    return f" Did you mean `{spellings[near[0]]}`?" if near else ""


def _plain(name: object) -> str:
    """A name without case and separators, so that `displayName` is near `display_name`."""
    return str(name).lower().replace("_", "").replace("-", "")
