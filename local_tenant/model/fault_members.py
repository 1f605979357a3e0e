"""What a fault may have, so that a misspelt one is refused. docs/control.md says what each member does."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .suggestions import did_you_mean

LONGEST_DELAY = 3600
HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


@dataclass(frozen=True)
class Member:
    """A member of a fault. `wanted` says what a right value is."""

    wanted: str
    is_right: Callable[[Any], bool]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_header_text(value: object) -> bool:
    text = str(value)
    return (isinstance(value, str) or _is_number(value)) and text.isprintable() and text.isascii()


def _are_headers(value: object) -> bool:
    return isinstance(value, dict) and all(
        HEADER_NAME.fullmatch(name) and _is_header_text(text) for name, text in value.items()
    )


def _is_error(value: object) -> bool:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        return False
    return value.keys() == {"code"} or ("error" in value and "code" not in value)


def _one_of(*choices: str | None) -> Member:
    listed = ", ".join("null" if choice is None else f'"{choice}"' for choice in choices)
    return Member(f"one of {listed}", lambda value: value in choices)


_TEXT = Member("a text", lambda value: isinstance(value, str))
_NAME = Member("a text that is not empty", lambda value: isinstance(value, str) and value != "")
_FLAG = Member("true or false", lambda value: isinstance(value, bool))
_OBJECT = Member("an object", _is_object)
_ANYTHING = Member("a text, or JSON", lambda value: True)
_CHANGES: dict[str, Member] = {
    "times": Member("a whole number from 1 on", lambda value: type(value) is int and value >= 1),
    "set": _OBJECT,
    "drop": Member("a list of names", _is_list_of_texts),
}
_RESPONSE: dict[str, Member] = {
    **_CHANGES,
    "status": Member(
        "a whole number from 200 to 599", lambda value: type(value) is int and 200 <= value <= 599
    ),
    "body": _ANYTHING,
    "content_type": Member("a text", lambda value: isinstance(value, str) and _is_header_text(value)),
    "headers": Member('an object with texts, such as {"Retry-After": "2"}', _are_headers),
    "delay": Member(
        f"a number of seconds from 0 to {LONGEST_DELAY}",
        lambda value: _is_number(value) and 0 <= value <= LONGEST_DELAY,
    ),
    "hold": _NAME,
    "reset": _FLAG,
}
MEMBERS: dict[str, dict[str, Member]] = {
    "id_token": {
        **_CHANGES,
        "alg": _one_of("RS256", "HS256", "ES256", "none", "null", None),
        "hs256_key": _one_of("client_secret", "public_key"),
        "key": _one_of("good", "other", "personal"),
        "kid": _TEXT,
        "header": _OBJECT,
        "raw": _ANYTHING,
        "omit": _FLAG,
        "replay": _FLAG,
        "access_token": _FLAG,
    },
    "authorize": {
        **_CHANGES,
        "error": Member('{"code": ...} alone, or {"error": ..., "error_description": ...}', _is_error),
    },
    **dict.fromkeys(("token", "discovery", "keys", "api", "logout"), _RESPONSE),
}


def check_faults(wanted: Mapping[str, object]) -> None:
    """Raise ValueError unless each leg, and each member of its fault, is one that there is."""
    for leg, fault in wanted.items():
        if leg not in MEMBERS:
            legs = ", ".join(MEMBERS)
            raise ValueError(f"There is no leg `{leg}`.{did_you_mean(leg, MEMBERS)} The legs are {legs}.")
        if not isinstance(fault, dict):
            raise ValueError(f"The fault of `{leg}` is an object, such as {{}}.")
        for name, value in fault.items():
            _check_member(leg, name, value)


def _check_member(leg: str, name: str, value: object) -> None:
    members = MEMBERS[leg]
    if name not in members:
        suggestion = did_you_mean(name, members)
        raise ValueError(f"A fault of `{leg}` has no `{name}`.{suggestion} It can have {', '.join(members)}.")
    if not members[name].is_right(value):
        raise ValueError(f"`{name}` of `{leg}` cannot be {value!r}. It is {members[name].wanted}.")
