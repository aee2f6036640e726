"""The words of a card: templates that insert facts and definitions, test them and loop over lists, and never compare.

Templates are Jinja2, sandboxed and compiled when the knowledge loads. What is inserted renders itself: a result as
`2.9 mmol/L (18 Nov)`, a list as at most three names, an absent result as `not measured`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cds_service.knowledge.reading import Node, Problems
from cds_service.knowledge.syntax import Named

LISTS: Final = ("merged", "unjudged")
"""Lists of lines that selection provides to a template: the cards merged into this one, and what could not be judged.
"""
SUMMARY_LIMIT: Final = 139
"""CDS Hooks: a summary has fewer than 140 characters."""
_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)


@dataclass(frozen=True, slots=True)
class Text:
    """A compiled template; `names` are the facts, definitions and lists it inserts."""

    names: frozenset[str]
    fill: Callable[[Mapping[str, object]], str]


def read_text(node: Node, problems: Problems, known: Callable[[str], Named | None]) -> Text | None:
    """Compile a template; what it may not do, or does not know, is a problem with its line."""
    source = str(node.value)
    first = node.raw_line if node.raw is not None else node.line
    try:
        tree = _ENVIRONMENT.parse(source)
        template = _ENVIRONMENT.from_string(source)
    except TemplateSyntaxError as error:
        line = first + error.lineno - 1
        problems.at(node.path, line, 1, f"no template ({error.message})", "{{ Name }}, {% if Name %}")
        return None
    names: set[str] = set()
    before = len(problems.found)
    for child in tree.body:
        _check(child, node, first, problems, known, names, frozenset())
    if len(problems.found) > before:
        return None
    return Text(frozenset(names), lambda values: " ".join(template.render(values).split(" ")).strip())


def _check(
    item: nodes.Node, node: Node, first: int, problems: Problems, known: Callable[[str], Named | None],
    names: set[str], loop: frozenset[str],
) -> None:  # fmt: skip
    def deeper(*items: nodes.Node, also: frozenset[str] = frozenset()) -> None:
        for one in items:
            _check(one, node, first, problems, known, names, loop | also)

    if isinstance(item, nodes.TemplateData):
        return
    if isinstance(item, nodes.Output):
        deeper(*item.nodes)
    elif isinstance(item, nodes.If):
        deeper(item.test, *item.body, *item.elif_, *item.else_)
    elif isinstance(item, (nodes.And, nodes.Or)):
        deeper(item.left, item.right)
    elif isinstance(item, nodes.Not):
        deeper(item.node)
    elif isinstance(item, nodes.For) and isinstance(item.target, nodes.Name) and not item.else_:
        deeper(item.iter)
        deeper(*item.body, also=frozenset({item.target.name}))
    elif isinstance(item, nodes.Name):
        if item.name in loop:
            return
        if item.name not in LISTS and known(item.name) is None:
            line = first + item.lineno - 1
            problems.at(node.path, line, 1, f"the unknown name '{item.name}' in a text", "a fact or definition")
        names.add(item.name)
    else:
        line = first + item.lineno - 1
        found = f"'{type(item).__name__}' in a text"
        problems.at(node.path, line, 1, found, "inserts, tests and loops only; comparisons belong into a definition")


def longest_text(node: Node, longest: Callable[[str], int]) -> int:
    """The most characters a template can give, whatever the chart; `longest` gives it for a name."""
    return sum(_length(child, longest) for child in _ENVIRONMENT.parse(str(node.value).strip()).body)


def _length(item: nodes.Node, longest: Callable[[str], int]) -> int:
    if isinstance(item, nodes.Output):
        return sum(_length(child, longest) for child in item.nodes)
    if isinstance(item, nodes.TemplateData):
        return len(item.data)
    if isinstance(item, nodes.If):
        body = sum(_length(child, longest) for child in item.body)
        branches = [sum(_length(child, longest) for child in one.body) for one in item.elif_]
        return max(body, sum(_length(child, longest) for child in item.else_), *branches, 0)
    if isinstance(item, nodes.Name):
        return longest(item.name)
    return SUMMARY_LIMIT + 1
