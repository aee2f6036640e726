"""Reading one card definition."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.chart.codes import Codes
from cds_service.chart.items import Fact
from cds_service.fhir.uncertain import DAY
from cds_service.knowledge import syntax as s
from cds_service.knowledge.card import INDICATORS, Card, Claim, Guideline, Lower, Offer, Suggestion, Unless
from cds_service.knowledge.compile import compile_definition, compile_expression
from cds_service.knowledge.names import Frames, Names
from cds_service.knowledge.reading import Node, Problems
from cds_service.knowledge.schema import CardSchema, conforms
from cds_service.knowledge.text import SUMMARY_LIMIT, Text, longest_text, read_text
from cds_service.knowledge.thresholds import check_bounds, check_sources
from cds_service.knowledge.types import BOOLEAN
from cds_service.knowledge.words import Words


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a card may refer to."""

    codes: Codes
    shared: Names
    shared_sources: frozenset[str]
    frames: Frames
    words: Words
    closed: Mapping[str, frozenset[str]]
    suggestions: Mapping[str, Suggestion]
    guidelines: Mapping[str, Guideline]
    claims: Mapping[str, Claim]
    override_reasons: Mapping[str, str]


def read_card(node: Node, around: Surroundings, problems: Problems) -> Card | None:
    """The card definition of a file; None when it has mistakes, each of which is a problem."""
    if not conforms(CardSchema, node, problems):
        return None
    before = len(problems.found)
    _check_order(node, problems)
    if node.value["id"].value != node.path.stem:
        problems.add(
            node.value["id"], f"the id '{node.value['id'].value}'", f"'{node.path.stem}', as the file is named"
        )
    card = _Reader(node, around, problems).card()
    return card if len(problems.found) == before else None


def _check_order(node: Node, problems: Problems) -> None:
    order = [field.data_key or name for name, field in CardSchema().fields.items()]
    keys = [key for key, _ in node.items()]
    for key, following in itertools.pairwise(keys):
        if order.index(key) > order.index(following):
            problems.at(node.path, *node.keys[following], f"'{following}' after '{key}'", f"it before '{key}'")


class _Reader:
    def __init__(self, node: Node, around: Surroundings, problems: Problems) -> None:
        self.node = node
        self.around = around
        self.problems = problems
        self.names = Names(node, around.codes, around.frames, problems, around.shared)
        self.names.all(around.closed)
        self.judged: list[s.Expression] = []

    def card(self) -> Card | None:
        values = self.node.plain()
        population = self._condition(self.node.value["population"])
        tiers = self._tiers()
        unless = tuple(self._unless(entry) for entry in self.node.get("unless") or ())
        lower = tuple(self._lower(entry) for entry in self.node.get("lower") or ())
        offers = tuple(offer for entry in self.node.get("suggestions") or () if (offer := self._offer(entry)))
        summary, detail = self._text("summary"), self._text("detail")
        self._check_summary(summary)
        sources = self._sources()
        self._check_lists()
        drafts = self._drafts()
        own = [n.expression for n in self.names.known.values() if n.expression is not None]
        check_sources(self.node, [*self.judged[1:], *own], {*sources, *self.around.shared_sources}, self.problems)
        if "repeat" in values and "critical" in values["indicator"]:
            found = "'repeat' in a card with a critical tier"
            self.problems.add(self.node.value["repeat"], found, "'overridden': what is critical is shown each time")
        if self.problems.found or population is None or summary is None or detail is None:
            return None
        for named in self.names.known.values():
            compile_definition(named, self.around.frames.allocate)
        for expression in self.judged:
            compile_expression(expression, self.around.frames.allocate)
        names = {**self.names.outer.known, **self.names.known} if self.names.outer else self.names.known
        used = self._used(names, summary, detail)
        facts = [named.fact for named in used.values() if named.fact is not None]
        return Card(
            id=values["id"],
            title=values["title"],
            version=values["version"],
            status=values["status"],
            priority=values["priority"],
            hooks=tuple(values["hooks"]),
            drafts=drafts,
            claims=tuple(values["claims"]),
            population=population,
            tiers=tiers,
            unless=unless,
            lower=lower,
            summary=summary,
            detail=detail,
            offers=offers,
            override_reasons=tuple(values["override_reasons"]),
            sources=sources,
            merge_into=values.get("merge_into"),
            own_card=values.get("own_card", "critical"),
            order_select=values.get("order_select", "warning"),
            repeat=_days(values.get("repeat")),
            answered=_days(values.get("answered")),
            overridden={tier: _days(text) or 0 for tier, text in values.get("overridden", {}).items()},
            limitations=values["limitations"],
            names=used,
            uses=frozenset(named.slot for named in used.values() if named.fact is not None),
            asks=tuple(dict.fromkeys(id_ for fact in facts if fact.form == "cards" for id_ in fact.groups)),
            waits_for=tuple(sorted({g for fact in facts for g in fact.groups if self._empty(fact, g)})),
            path=self.node.path,
        )

    def _condition(self, node: Node) -> s.Expression | None:
        expression = self.names.read_expression(node, BOOLEAN)
        if expression is not None:
            self.judged.append(expression)
        return expression

    def _tiers(self) -> tuple[tuple[Any, s.Expression], ...]:
        tiers = []
        section = self.node.value["indicator"]
        keys = [key for key, _ in section.items()]
        if keys != [indicator for indicator in INDICATORS if indicator in keys]:
            self.problems.add(section, f"the tiers {', '.join(keys)}", "the order critical, warning, info")
        for indicator, child in section.items():
            condition = self._condition(child)
            if condition is not None:
                tiers.append((indicator, condition))
                if indicator != "critical":
                    check_bounds(condition, self.node.path, self.problems)
        return tuple(tiers)

    def _unless(self, entry: Node) -> Unless:
        when = self._condition(entry.value["when"])
        return Unless(when or _never(entry), entry.value["reason"].value, _applies_to(entry))

    def _lower(self, entry: Node) -> Lower:
        when = self._condition(entry.value["when"])
        to = entry.get("to")
        return Lower(
            when or _never(entry), entry.value["reason"].value, _applies_to(entry), to.value if to is not None else None
        )

    def _offer(self, entry: Node) -> Offer | None:
        if isinstance(entry.value, str):
            return Offer(None, ((entry.value, None),)) if self._suggestion(entry, entry.value) else None
        actions = entry.get("actions")
        if actions is not None and entry.get("label") is not None:
            members = [self._member(id_, child) for id_, child in actions.items()]
            return Offer(str(entry.value["label"].value), tuple(members))
        if isinstance(entry.value, dict) and len(entry.value) == 1:
            return Offer(None, tuple(self._member(id_, child) for id_, child in entry.items()))
        self.problems.add(entry, "no suggestion", "an id, 'id: condition', or 'label' with 'actions'")
        return None

    def _member(self, id_: str, child: Node) -> tuple[str, s.Expression | None]:
        self._suggestion(child, id_)
        return id_, self._condition(child)

    def _suggestion(self, node: Node, id_: str) -> bool:
        if id_ in self.around.suggestions:
            return True
        self.problems.add(node, f"the unknown suggestion '{id_}'", "an id of cards/suggestions")
        return False

    def _text(self, key: str) -> Text | None:
        return read_text(self.node.value[key], self.problems, self.names.resolve)

    def _check_summary(self, summary: Text | None) -> None:
        if summary is None:
            return
        node = self.node.value["summary"]
        for name in summary.names:
            named = self.names.resolve(name)
            if named is None:
                self.problems.add(
                    node, f"'{name}' in the summary", "facts and definitions; lists of lines in the detail"
                )
                return

        def longest(name: str) -> int:
            named = self.names.resolve(name)
            return self.around.words.longest(named) if named is not None else SUMMARY_LIMIT

        length = longest_text(node, longest)
        if length > SUMMARY_LIMIT:
            self.problems.add(
                node, f"a summary of up to {length} characters", f"at most {SUMMARY_LIMIT} for every chart"
            )

    def _sources(self) -> dict[str, tuple[str, ...]]:
        sources = {}
        for literal, child in self.node.value["sources"].items():
            for one in child.each():
                if not one.is_among(self.around.guidelines):
                    self.problems.unknown(one, "guideline", "an id of cards/sources/guidelines.yaml")
            sources[" ".join(literal.split())] = tuple(str(one.value) for one in child.each())
        known = [self.around.guidelines.get(id_) for ids in sources.values() for id_ in ids]
        if not any(guideline is not None and guideline.url for guideline in known):
            found = "no guideline with an address"
            self.problems.add(self.node.value["sources"], found, "at least one, so that the card links to its evidence")
        return sources

    def _check_lists(self) -> None:
        for key, what, known, where in (
            ("claims", "claim", self.around.claims, "cards/sources/articles.yaml"),
            ("override_reasons", "override reason", self.around.override_reasons, "cards/override_reasons.yaml"),
        ):
            for child in self.node.value[key]:
                if not child.is_among(known):
                    self.problems.unknown(child, what, f"an id of {where}")

    def _drafts(self) -> tuple[Fact, ...]:
        facts: dict[Any, list[str]] = {"medications": [], "orders": []}
        for child in self.node.get("drafts") or ():
            if child.is_among(self.around.codes.medications):
                facts["medications"].append(str(child.value))
            elif child.is_among(self.around.codes.orders):
                facts["orders"].append(str(child.value))
            else:
                self.problems.unknown(child, "code group", "a group of drugs or orders")
        found = [Fact(form=form, groups=tuple(groups), drafts="only") for form, groups in facts.items() if groups]
        for named in self.names.known.values():
            if named.fact is not None and named.fact.drafts == "only":
                found.append(named.fact)
        hooks = self.node.value["hooks"].plain()
        if not found and {"order-select", "order-sign"}.intersection(hooks):
            self.problems.add(
                self.node.value["hooks"], "an order hook without drafts", "the 'drafts' the card speaks about"
            )
        for fact in found:
            self.around.frames.fact(fact)
        return tuple(dict.fromkeys(found))

    def _used(self, names: Mapping[str, s.Named], summary: Text, detail: Text) -> dict[str, s.Named]:
        """The names of this card that its conditions, texts and suggestions reach."""
        reached: dict[str, s.Named] = {}
        waiting = [*self.judged, *(names[n].expression for n in summary.names | detail.names if n in names)]
        for name in summary.names | detail.names:
            if name in names:
                reached[name] = names[name]
        while waiting:
            expression = waiting.pop()
            if expression is None:
                continue
            for target in s.named_in(expression):
                if target.name not in reached:
                    reached[target.name] = target
                    waiting.append(target.expression)
        return reached

    def _empty(self, fact: Fact, group: str) -> bool:
        codes = self.around.codes
        if fact.form in ("findings", "conditions"):
            held = (codes.findings[leaf] for leaf in codes.findings[group].leaves)
            return not any(leaf.codes or leaf.phrases for leaf in held)
        return False


def _applies_to(entry: Node) -> frozenset[str]:
    node = entry.get("for")
    return frozenset(node.plain() if node is not None else ("warning", "info"))


def _never(entry: Node) -> s.Expression:
    return s.Constant(text="false", line=entry.line, column=entry.column, value=False)


def _days(text: str | None) -> int | None:
    """A period of the card, such as `90 days`, in milliseconds; None when the card does not give it."""
    return int(text.split()[0]) * DAY if text is not None else None
