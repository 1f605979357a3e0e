"""Finds the line of a member in a TOML file, which Python's parser does not tell."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# "apps", 1, "client_id": the member client_id of the second [[apps]].
Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r'''
    (?P<string> """(?:\\.|[^\\])*?"{3,5} | \'\'\'.*?\'{3,5} | "(?:\\.|[^"\\])*" | '[^']*' )
  | (?P<comment> \#[^\n]* )
  | (?P<mark> [\[\]{}=,.\n] )
  | (?P<word> [^\s\[\]{}=,."'\#]+ )
    ''',
    re.VERBOSE | re.DOTALL,
)
_END = ""  # the text of the token behind the last one


@dataclass(frozen=True)
class _Token:
    text: str
    line: int
    is_string: bool = False

    @property
    def value(self) -> str:
        """What a key or a string says, without quotes and escapes."""
        return str(tomllib.loads(f"value = {self.text}")["value"]) if self.is_string else self.text


class Lines:
    """Where the tables, members and items of lists of a valid TOML file are."""

    def __init__(self, text: str):
        self._starts: dict[Path, int] = {}
        self._items: dict[tuple[Path, str], int] = {}
        self._tokens = _tokens(text)
        self._next = next(self._tokens)
        self._read_file()

    def find(self, path: Path, value: object = None) -> int:
        """The line of this member, or of the nearest one around it. `value`: an item of its list."""
        if isinstance(value, str) and (path, value) in self._items:
            return self._items[path, value]
        while path and path not in self._starts:
            path = path[:-1]
        return self._starts.get(path, 1)

    def _read_file(self) -> None:
        tables = dict[Path, int]()  # how many [[...]] of this name there are so far
        table: Path = ()
        while self._next.text != _END:
            if self._next.text == "\n":
                self._take()
            elif self._next.text == "[":
                table = self._read_header(tables)
            else:
                self._read_member(table)

    def _read_header(self, tables: dict[Path, int]) -> Path:
        """Read [a.b] or [[a.b]]. [apps.more] belongs to the last [[apps]] before it."""
        line, brackets, path = self._next.line, 0, Path()
        while self._next.text == "[":
            self._take()
            brackets += 1
        names = self._read_names()
        for name in names[:-1]:
            path += (name,)
            if path in tables:
                path += (tables[path],)
        path += (names[-1],)
        if brackets == 2:
            tables[path] = tables.get(path, -1) + 1
            self._starts.setdefault(path, line)
            path += (tables[path],)
        self._starts.setdefault(path, line)
        while self._next.text == "]":
            self._take()
        return path

    def _read_names(self) -> list[str]:
        """The names of a key, which dots separate."""
        names = [self._take().value]
        while self._next.text == ".":
            self._take()
            names.append(self._take().value)
        return names

    def _read_member(self, path: Path) -> None:
        line = self._next.line
        for name in self._read_names():
            path += (name,)
            self._starts.setdefault(path, line)
        self._take()  # =
        self._read_value(path)

    def _read_value(self, path: Path) -> None:
        if self._next.text == "{":
            for _ in self._entries("}"):
                self._read_member(path)
        elif self._next.text == "[":
            for number, token in enumerate(self._entries("]")):
                self._starts.setdefault((*path, number), token.line)
                if token.is_string:
                    self._items.setdefault((path, token.value), token.line)
                self._read_value((*path, number))
        else:
            while self._next.text not in ("\n", ",", "]", "}", _END):
                self._take()

    def _entries(self, end: str) -> Iterator[_Token]:
        """The first token of each entry in brackets. The caller reads the entry."""
        self._take()
        while self._next.text not in (end, _END):
            if self._next.text in ("\n", ","):
                self._take()
            else:
                yield self._next
        self._take()

    def _take(self) -> _Token:
        taken, self._next = self._next, next(self._tokens, self._next)
        return taken


def _tokens(text: str) -> Iterator[_Token]:
    """The tokens of the text, without comments, and one more at its end."""
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "comment":
            yield _Token(found[0], line, found.lastgroup == "string")
        line += found[0].count("\n")
    yield _Token(_END, line)
