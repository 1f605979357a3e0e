"""Reads the members of TOML tables by the types of dataclasses, and collects all faults."""

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..model.suggestions import did_you_mean
from .lines import Lines, Path

LISTS = (list, tuple, frozenset)


@dataclass(frozen=True, order=True)
class Fault:
    """What is wrong at a line of the file, and what to write instead. Line 0: the file as a whole."""

    line: int
    text: str


class Reader:
    """Checks members against dataclasses. `faults` is what it has found so far."""

    def __init__(self, lines: Lines):
        self.faults: list[Fault] = []
        self._lines = lines

    def fault(self, path: Path, text: str, value: object = None) -> None:
        """Note a fault at a member. `value`: the item of its list that is wrong."""
        self.faults.append(Fault(self._lines.find(path, value), text))

    def read(
        self, cls: type, table: Mapping[str, Any], path: Path = (), *, without: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The members of `table` that have a right value, as `cls` wants them.

        Members that `cls` does not have, values of another type, and members that are missing or empty but
        required are faults. `without`: members of `cls` that the file cannot set.
        """
        hints = get_type_hints(cls)
        known = [field for field in fields(cls) if field.name not in without]
        names = [field.name for field in known]
        for name in table:
            if name not in names:
                self.fault((*path, name), f"There is no `{name}` here.{did_you_mean(name, names)}")
        for field in known:
            if field.default is not MISSING or field.default_factory is not MISSING:
                continue
            if field.name not in table:
                self.fault(path, f"`{field.name}` is missing. Add a line such as: {_example(field.name)}")
            elif table[field.name] in ("", []):
                text = f"`{field.name}` cannot be empty. Write, for example: {_example(field.name)}"
                self.fault((*path, field.name), text)
                names.remove(field.name)
        return {
            name: _converted(table[name], hints[name])
            for name in names
            if name in table and self._has_type((*path, name), table[name], hints[name])
        }

    def tables(self, document: Mapping[str, Any], name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The path and the members of each [[name]]."""
        found = document.get(name, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            self.fault((name,), f"Write [[{name}]] with two brackets in front of each of them.")
            return
        for number, table in enumerate(found):
            yield (name, number), table

    def _has_type(self, path: Path, value: object, hint: Any) -> bool:
        name = path[-1]
        if get_origin(hint) in (Union, types.UnionType):  # X | None
            [hint] = [option for option in get_args(hint) if option is not type(None)]
        origin = get_origin(hint) or hint
        if origin is object:
            return True
        if origin is Literal:
            return self.is_one_of(path, value, get_args(hint))
        if origin in LISTS:
            if isinstance(value, list):
                self._check_items(path, value)
                return True
            wanted = f'a list of texts, such as: {name} = ["...", "..."]'
        elif origin is dict:
            if isinstance(value, dict):
                return True
            is_whole_table = len(path) == 1
            example = f'a table, such as: {name} = {{ some_name = "some value" }}'
            wanted = f"[{name}] on a line of its own" if is_whole_table else example
        elif type(value) is origin:
            return True
        else:
            wanted = {bool: "true or false", int: "a whole number"}.get(origin, 'text in quotes: "..."')
        self.fault(path, f"`{name}` cannot be {_shown(value)}. Write {wanted}.")
        return False

    def _check_items(self, path: Path, items: list[Any]) -> None:
        """Note a fault for each item of a list that is no text, empty, or there before."""
        for number, item in enumerate(items):
            if not isinstance(item, str):
                text = f'`{path[-1]}` cannot have {_shown(item)}. Write texts in quotes: "..."'
                self.fault((*path, number), text)
            elif not item:
                self.fault((*path, number), f"`{path[-1]}` has an empty text.")
            elif item in items[:number]:
                self.fault((*path, number), f"`{path[-1]}` has {_shown(item)} twice. Remove one of them.")

    def is_one_of(self, path: Path, value: object, choices: Iterable[object], *, item: bool = False) -> bool:
        """Whether the value, or the `item` of a list, is one of the choices. Notes a fault if it is not."""
        choices = list(choices)
        if value in choices:
            return True
        does = "cannot have" if item else "cannot be"
        listed = ", ".join(_shown(choice) for choice in choices if choice != "")
        text = f"`{path[-1]}` {does} {_shown(value)}.{did_you_mean(value, choices)}"
        text += f" The choices are: {listed}." if listed else ""
        self.fault(path, text, value if item else None)
        return False


def _converted(value: Any, hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        [hint] = [option for option in get_args(hint) if option is not type(None)]
    origin = get_origin(hint)
    if origin in LISTS:  # faults of items are noted, and the others are checked further
        return origin(item for item in value if isinstance(item, str) and item)
    return value


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _example(name: str) -> str:
    return {
        "email": 'email = "ada@example.com"',
        "password": 'password = "Try-it-0ut"',
        "scopes": 'scopes = ["tasks.read", "tasks.write"]',
        "kind": 'kind = "sign_up_or_sign_in"',
        "type": 'type = "web"',
    }.get(name, f'{name} = "..."')
