"""Checks JSON against Microsoft's published types.

schema.json comes from the npm package @microsoft/microsoft-graph-types 2.43.1 (MIT licence). make_schema.py
makes it.
"""

import json
from pathlib import Path
from typing import Any

from .refusal import bad_request

SCHEMA: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("schema.json").read_text())
PRIMITIVES: dict[str, type] = {"string": str, "boolean": bool, "number": int}


def members(type_name: str) -> dict[str, dict[str, Any]]:
    """The members of a type, inherited ones too."""
    entry = SCHEMA[type_name]
    inherited = members(entry["extends"]) if entry["extends"] in SCHEMA else {}
    own: dict[str, dict[str, Any]] = entry["members"]
    return inherited | own


def check_body(type_name: str, body: Any, allowed: frozenset[str] | None = None) -> dict[str, Any]:
    """Check that `body` is a writable object of this type. Raises Refusal.

    `allowed` names the members that the operation takes, if it takes fewer than the type has.
    """
    if not isinstance(body, dict):
        raise bad_request("A JSON object is expected in the request body.")
    known = members(type_name)
    for name, value in body.items():
        if name == "@odata.type":
            continue
        if name not in known or (allowed is not None and name not in allowed):
            raise bad_request(f"Invalid property '{name}'.")
        if known[name].get("read_only"):
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
        _check_value(name, value, known[name]["type"], known[name]["nullable"])
    return body


def _check_value(name: str, value: Any, type_name: str, nullable: bool) -> None:
    if value is None and nullable:
        return
    if type_name.endswith("[]"):
        if not isinstance(value, list):
            raise bad_request(f"Property '{name}' has to be a collection.")
        for one in value:
            _check_value(name, one, type_name[:-2], False)
    elif type_name in PRIMITIVES:
        if type(value) is not PRIMITIVES[type_name]:
            raise bad_request(f"Cannot convert the value of property '{name}' to {type_name}.")
    elif type_name in SCHEMA:
        check_stored(type_name, value)
    else:
        raise bad_request(f"The stand-in does not know the type {type_name} of property '{name}'.")


def check_stored(type_name: str, value: Any) -> None:
    """Check an object within a collection, which carries its read-only members when it is sent back."""
    if not isinstance(value, dict):
        raise bad_request(f"A JSON object of type {type_name} is expected.")
    known = members(type_name)
    for name, member in value.items():
        if name not in known:
            raise bad_request(f"Invalid property '{name}'.")
        _check_value(name, member, known[name]["type"], known[name]["nullable"])


def check_select(type_name: str, select: str | None) -> None:
    """Check the names of $select. Raises Refusal."""
    for name in (select or "").split(","):
        if name and name not in members(type_name):
            raise bad_request(
                f"Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'."
            )
