"""Finds the line of a member in a TOML file, which Python's parser does not tell."""

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# "apps", 1, "client_id": the member client_id of the second [[apps]].
Path = tuple[str | int, ...]

_NAME = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER = re.compile(rf"\s*(\[{{1,2}})\s*({_NAMES})\s*\]{{1,2}}\s*(?:#.*)?")
_MEMBER = re.compile(rf"\s*({_NAMES})\s*=")


class Lines:
    """Where the headers and members of a valid TOML file are. What is in an inline table has no line."""

    def __init__(self, text: str):
        self._text = text.splitlines()
        self._starts: dict[Path, int] = {}
        tables = dict[Path, int]()  # how many [[...]] of this name there are so far
        table: Path = ()
        for number, line in enumerate(self._text, start=1):
            if header := _HEADER.fullmatch(line):
                *parents, name = _names(header[2])
                table = (*self._in_last_tables(parents, tables), name)
                if header[1] == "[[":
                    tables[table] = tables.get(table, -1) + 1
                    self._starts.setdefault(table, number)
                    table += (tables[table],)
                self._starts.setdefault(table, number)
            elif member := _MEMBER.match(line):
                path = table
                for name in _names(member[1]):
                    path += (name,)
                    self._starts.setdefault(path, number)

    @staticmethod
    def _in_last_tables(names: list[str], tables: dict[Path, int]) -> Path:
        """[apps.more] belongs to the last [[apps]] before it."""
        path: Path = ()
        for name in names:
            path += (name,)
            if path in tables:
                path += (tables[path],)
        return path

    def find(self, path: Path, value: object = None) -> int:
        """The line of this member, or of the nearest one around it. `value`: an item of its list."""
        while path and path not in self._starts:
            path = path[:-1]
        first = self._starts.get(path, 1)
        if isinstance(value, str):
            following = [line for line in self._starts.values() if line > first]
            for number in range(first, min(following, default=len(self._text) + 1)):
                if value in self._text[number - 1]:
                    return number
        return first


def _names(dotted: str) -> list[str]:
    """The names in a dotted key."""
    names: list[str] = []
    inner: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(inner, dict):
        [(name, value)] = inner.items()
        names.append(name)
        inner = value
    return names
