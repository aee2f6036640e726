"""YAML with positions, and the problems found in it.

YAML's surprises are switched off: `yes` and `no` are words, dates are text, `0123` is text, a key that stands twice
is a problem. Comments are YAML's own.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+$")
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}


class Problem(NamedTuple):
    """One mistake in the knowledge: where it stands, what was found, what was expected."""

    path: Path
    line: int
    column: int
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: found {self.found}; expected {self.expected}"


class KnowledgeError(Exception):
    """The knowledge has mistakes; `problems` lists all of them, in the order of the files."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Node:
    """A YAML value with its place: a mapping of names to nodes, a list of nodes, or a plain scalar.

    `raw` is the text of a scalar as it stands in the file, beginning at `raw_line`, `raw_column` (both from 1); it is
    None for quoted text, whose characters cannot be mapped back to the file.
    """

    __slots__ = ("column", "keys", "line", "path", "raw", "raw_column", "raw_line", "value")

    def __init__(self, value: Any, path: Path, line: int, column: int) -> None:
        self.value = value
        self.path = path
        self.line = line
        self.column = column
        self.raw: str | None = None
        self.raw_line = line
        self.raw_column = column
        self.keys: dict[str, tuple[int, int]] = {}

    def plain(self) -> Any:
        """The value without positions: dict, list, str, int, float, bool or None."""
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    @property
    def words(self) -> str:
        """What was found here, as an error says it."""
        if isinstance(self.value, dict):
            return "a mapping"
        return "a list" if isinstance(self.value, list) else f"'{self.value}'"

    def get(self, name: str) -> Node | None:
        """The node of a name in a mapping, or None."""
        return self.value.get(name) if isinstance(self.value, dict) else None

    def each(self) -> list[Node]:
        """The nodes of a list, or the node itself: where one stands, a list may stand."""
        return list(self.value) if isinstance(self.value, list) else [self]

    def is_among(self, known: Container[str]) -> bool:
        """Whether it is a text that is known."""
        return isinstance(self.value, str) and self.value in known

    def items(self) -> Iterator[tuple[str, Node]]:
        """The names and nodes of a mapping; nothing for anything else."""
        if isinstance(self.value, dict):
            yield from self.value.items()

    def __iter__(self) -> Iterator[Node]:
        if isinstance(self.value, list):
            yield from self.value


class Problems:
    """Collects the mistakes of a folder, so that an author sees all of them at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, node: Node, found: str, expected: str) -> None:
        """Note a mistake at the place of a node."""
        self.found.append(Problem(node.path, node.line, node.column, found, expected))

    def unknown(self, node: Node, what: str, expected: str) -> None:
        """Note that a node names nothing that is known."""
        named = isinstance(node.value, str)
        self.add(node, f"the unknown {what} '{node.value}'" if named else node.words, expected)

    def at(self, path: Path, line: int, column: int, found: str, expected: str) -> None:
        """Note a mistake at a line and column of a file."""
        self.found.append(Problem(path, line, column, found, expected))

    def check(self) -> None:
        """Raise KnowledgeError when anything was found."""
        if self.found:
            raise KnowledgeError(list(dict.fromkeys(self.found)))


def read_yaml(path: Path, problems: Problems) -> Node:
    """The content of a YAML file with positions; an unreadable file is a problem and gives an empty mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.at(path, 1, 1, f"a file that cannot be read ({error})", "UTF-8 text")
        return Node({}, path, 1, 1)
    try:
        tree = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.at(path, line, column, f"no valid YAML ({error.problem})", "YAML")
        return Node({}, path, line, column)
    except yaml.YAMLError as error:
        problems.at(path, 1, 1, f"no valid YAML ({error})", "YAML")
        return Node({}, path, 1, 1)
    if tree is None:
        return Node({}, path, 1, 1)
    return _node(tree, path, text, problems)


def _node(tree: yaml.Node, path: Path, text: str, problems: Problems) -> Node:
    start = tree.start_mark
    node = Node(None, path, start.line + 1, start.column + 1)
    if isinstance(tree, yaml.MappingNode):
        node.value = {}
        for key, child in tree.value:
            name = str(key.value)
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if name in node.value:
                problems.at(path, *place, f"the key '{name}' a second time", "each key once")
            node.keys[name] = place
            node.value[name] = _node(child, path, text, problems)
    elif isinstance(tree, yaml.SequenceNode):
        node.value = [_node(child, path, text, problems) for child in tree.value]
    else:
        _scalar(node, tree, text)
    return node


def _scalar(node: Node, tree: Any, text: str) -> None:
    content: str = tree.value
    if tree.style in (None, ""):
        node.value = _plain(content)
        node.raw = text[tree.start_mark.index : tree.end_mark.index]
    else:
        node.value = content
        if tree.style in (">", "|"):
            whole = text[tree.start_mark.index : tree.end_mark.index]
            _, _, body = whole.partition("\n")
            node.raw = body
            node.raw_line = node.line + 1
            node.raw_column = 1


def _plain(content: str) -> str | int | float | bool | None:
    if content in _WORDS:
        return _WORDS[content]
    if _INTEGER.match(content):
        return int(content)
    if _DECIMAL.match(content):
        return float(content)
    return content
