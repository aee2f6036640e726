"""From parsed card definitions to the text of a CQL library that the reference translator reads.

Facts become one parameter, a tuple with an element per fact (inside a query the engine does not see that a parameter is
null): a single result is a tuple, everything else a list of tuples. Conditions are CQL already, so each is given as it
stands in its card, with four exceptions:

- a labelled list becomes `{ if condition then 'label' else null, … }`;
- a quantity in an arbitrary unit (`m[IU]/L`) loses its unit, because UCUM says that such quantities never compare;
- `Min` and `Max` take `return all`, which changes nothing for them: the engine holds all quantities in mmol/L for equal
  when it looks for distinct ones;
- the names of facts and definitions are the card's own, those of conditions begin with a small letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from cds_service.knowledge import syntax as s
from cds_service.knowledge.card import Card
from cds_service.knowledge.types import Type, attributes

_ARBITRARY: Final = re.compile(r"'[^']*\[[iI]U\][^']*'")
_TYPES: Final = {
    "boolean": "Boolean", "string": "String", "date": "DateTime", "duration": "System.Quantity",
    "quantity": "System.Quantity", "number": "Decimal",
}  # fmt: skip


class Library(NamedTuple):
    """A CQL library: its text, the facts it takes as parameters, our expressions by the name they are defined under."""

    name: str
    text: str
    facts: Mapping[str, s.Named]
    expressions: Mapping[str, s.Expression]


def card_library(card: Card) -> Library:
    """The library of one card definition: its conditions and every definition they use."""
    conditions: dict[str, s.Expression] = {"population": card.population, **dict(card.tiers)}
    conditions |= {f"unless{n}": entry.when for n, entry in enumerate(card.unless, 1)}
    conditions |= {f"lower{n}": entry.when for n, entry in enumerate(card.lower, 1)}
    members = [(id_, when) for offer in card.offers for id_, when in offer.members if when is not None]
    conditions |= {f"offer{n}": when for n, (_, when) in enumerate(members, 1)}
    return library(card.id, conditions, card.names)


def library(name: str, conditions: Mapping[str, s.Expression], names: Mapping[str, s.Named]) -> Library:
    """A library of conditions, by name, with all of `names` and the shared names that any of them uses."""
    used = dict(names)
    waiting = [*conditions.values(), *(named.expression for named in names.values() if named.expression is not None)]
    while waiting:
        for target in targets(waiting.pop()):
            if target.name not in used:
                used[target.name] = target
                if target.expression is not None:
                    waiting.append(target.expression)
    facts = {name: named for name, named in sorted(used.items()) if named.fact is not None}
    definitions = {name: named.expression for name, named in sorted(used.items()) if named.expression is not None}
    expressions = {**definitions, **conditions}
    lines = [f"library {name.title().replace('-', '')} version '1'", "", "using FHIR version '4.0.1'", ""]
    lines += ["include FHIRHelpers version '4.0.1'", "", "parameter Hook String"]
    if facts:
        lines.append(f"parameter facts Tuple {{ {', '.join(f'{n} {_fact_type(f.type)}' for n, f in facts.items())} }}")
    lines += ["", "context Patient", ""]
    lines += [f"define {name}: facts.{name}" for name in facts]
    lines += [f"define {name}: {cql(expression)}" for name, expression in expressions.items()]
    return Library(name, "\n".join(lines) + "\n", facts, expressions)


def cql(expression: s.Expression) -> str:
    """The CQL of an expression, in one line."""
    if isinstance(expression, s.Labels):
        entries = (f"if {cql(condition)} then {_string(label)} else null" for label, condition in expression.entries)
        return f"{{ {', '.join(entries)} }}"
    text = expression.text
    for call in s.walk(expression):
        if isinstance(call, s.Call) and call.function in ("Min", "Max"):
            text = text.replace(call.text, _with_return_all(call))
    return _ARBITRARY.sub("'1'", text)


def unit_in_cql(of: Type) -> str:
    """The unit in which values of a quantity are given to the engine."""
    return _ARBITRARY.sub("'1'", f"'{of.unit}'").strip("'")


def targets(expression: s.Expression) -> Iterator[s.Named]:
    """The facts and definitions that an expression names."""
    for part in s.walk(expression):
        if isinstance(part, s.Name) and isinstance(part.target, s.Named):
            yield part.target


def _with_return_all(call: s.Call) -> str:
    query = call.arguments[0]
    if not isinstance(query, s.Query) or query.result is None or query.all_results:
        return call.text
    before, _, after = call.text.rpartition("return ")
    return f"{before}return all {after}"


def _string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fact_type(of: Type) -> str:
    held = of.of if of.kind == "list" and of.of is not None else of
    elements = ", ".join(f'"{name}" {_TYPES[attribute.kind]}' for name, attribute in attributes(held).items())
    return f"List<Tuple {{ {elements} }}>" if of.kind == "list" else f"Tuple {{ {elements} }}"
