"""Recognising drugs: by RxNorm code, by ATC code, and by whole words of their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from cds_service.chart.groups import SYSTEMS, DrugGroup, Product
from cds_service.chart.words import words

_RXNORM: Final = frozenset(SYSTEMS["rxnorm"])
_ATC: Final = frozenset(SYSTEMS["atc"])
_STRENGTH: Final = re.compile(
    r"(\d+(?:[.,]\d+)?)\s*(mg|mcg|ug|µg|microgram|micrograms|g)\b(?!/\s*[a-z])", re.IGNORECASE
)
_SEVERAL: Final = re.compile(r"\s*/\s*(?=[A-Za-z]{4})|\+|;|\s/\s")
_SYSTEMIC: Final = re.compile(
    r"\b(?:oral|orally|mouth|tablets?|capsules?|injections?|injectable|intravenous|intramuscular|subcutaneous|swallow)\b",
    re.IGNORECASE,
)
_REMEMBERED: Final = 4096
_LONG: Final = 400
_MG: Final = {"mg": 1.0, "g": 1000.0}


class Drug(Struct, frozen=True):
    """One ingredient of a medicine, as a member of one group. `strength` is in mg per tablet, None when not known."""

    group: str
    ingredient: str
    strength: float | None = None
    by_name: bool = False


class Recognised(Struct, frozen=True):
    """What a medicine is: its drugs of our groups, whether anything at all said what it is, and the words that did."""

    drugs: tuple[Drug, ...]
    named: bool
    texts: tuple[str, ...]


class DrugTable:
    """Codes and names of drugs, prepared for looking up."""

    def __init__(
        self, groups: Mapping[str, DrugGroup], products: Iterable[Product], local_forms: Iterable[str]
    ) -> None:
        self._groups = groups
        self._rxnorm: dict[str, list[Drug]] = defaultdict(list)
        self._local: set[tuple[str, str]] = set()
        self._atc: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
        self._names: dict[str, list[tuple[tuple[str, ...], str, str]]] = defaultdict(list)
        self._never: dict[str, list[tuple[str, ...]]] = {}
        for group in groups.values():
            for own in group.ingredients.values():
                if own.rxnorm:
                    self._rxnorm[own.rxnorm].append(Drug(group.group, own.name))
                for name in own.names:
                    parts = tuple(words(name))
                    self._names[parts[0]].append((parts, group.group, own.name))
            for code in group.atc:
                self._atc[code.code.upper()].append((group.group, code.ingredients))
            self._never[group.group] = [tuple(words(name)) for name in group.never]
        for names in self._names.values():
            names.sort(key=lambda name: -len(name[0]))
        for row in products:
            for ingredient, strength in zip(row.ingredients, row.strengths, strict=True):
                self._rxnorm[row.rxcui].append(Drug(row.group, ingredient, strength))
            if row.form == "local":
                self._local.add((row.rxcui, row.group))
        self._atc_lengths = sorted({len(code) for code in self._atc}, reverse=True)
        self._joined = frozenset(parts[0] for names in self._names.values() for parts, _, _ in names)
        self._forms = form_pattern(local_forms)
        self._recognised: dict[tuple[object, ...], Recognised] = {}

    def recognise(self, codes: tuple[tuple[str, str], ...], texts: tuple[str, ...]) -> Recognised:
        """The drugs of a medicine with these (system URI, code) pairs and names. The last answers are remembered."""
        key = (codes, texts)
        found = self._recognised.get(key)
        if found is None:
            found = self._recognise(codes, texts)
            if len(self._recognised) >= _REMEMBERED:
                self._recognised.clear()
            if sum(map(len, texts)) < _LONG:
                self._recognised[key] = found
        return found

    def _recognise(self, codes: tuple[tuple[str, str], ...], texts: tuple[str, ...]) -> Recognised:
        found: dict[tuple[str, str], Drug] = {}
        local: set[str] = set()
        for system, code in codes:
            if system in _RXNORM:
                for drug in self._rxnorm.get(code, ()):
                    found.setdefault((drug.group, drug.ingredient), drug)
                    if (code, drug.group) in self._local:
                        local.add(drug.group)
            elif system in _ATC:
                for drug in self._by_atc(code.upper()):
                    found.setdefault((drug.group, drug.ingredient), drug)
        for text in texts:
            for drug in self._by_name(text):
                earlier = found.get((drug.group, drug.ingredient))
                if earlier is None:
                    found[drug.group, drug.ingredient] = drug
                elif earlier.strength is None and drug.strength is not None:
                    known = Drug(drug.group, drug.ingredient, drug.strength, earlier.by_name)
                    found[drug.group, drug.ingredient] = known
        groups = self._groups
        drugs = [drug for drug in found.values() if not (drug.group in local and groups[drug.group].only_systemic)]
        return Recognised(_without_repeats(drugs), bool(texts or found), texts)

    def systemic(self, drugs: tuple[Drug, ...], ways: Iterable[str], instructions: Iterable[str]) -> tuple[Drug, ...]:
        """The drugs that still count once it is known how the medicine is given.

        `ways` are its names, form, route and site: a local form among them decides. `instructions` are texts for the
        patient, which may name an eye or a nose for other reasons: they decide only when nothing says that the medicine
        is swallowed or injected.
        """
        groups = self._groups
        if not any(groups[drug.group].only_systemic for drug in drugs):
            return drugs
        ways, instructions = tuple(ways), tuple(instructions)
        local = any(self._forms.search(text) for text in ways) or (
            any(self._forms.search(text) for text in instructions)
            and not any(_SYSTEMIC.search(text) for text in (*ways, *instructions))
        )
        return tuple(drug for drug in drugs if not groups[drug.group].only_systemic) if local else drugs

    def _by_atc(self, code: str) -> Iterator[Drug]:
        for length in self._atc_lengths:
            for group, ingredients in self._atc.get(code[:length], ()) if len(code) >= length else ():
                for ingredient in ingredients or (group,):
                    yield Drug(group, ingredient)

    def _by_name(self, text: str) -> Iterator[Drug]:
        spoken = words(text, self._joined)
        for at, word in enumerate(spoken):
            for parts, group, ingredient in self._names.get(word, ()):
                end = at + len(parts)
                if tuple(spoken[at:end]) == parts and not self._is_never(spoken, at, end, group):
                    yield Drug(group, ingredient, _strength(text, parts), by_name=True)

    def _is_never(self, spoken: list[str], start: int, end: int, group: str) -> bool:
        for never in self._never[group]:
            for at in range(max(0, end - len(never)), min(start, len(spoken) - len(never)) + 1):
                if tuple(spoken[at : at + len(never)]) == never:
                    return True
        return False


def milligrams(number: str, unit: str) -> float:
    """A strength or dose in mg. Micrograms under any of their names are a thousandth."""
    return round(float(number.replace(",", ".")) * _MG.get(unit.lower(), 0.001), 8)


def _strength(text: str, parts: tuple[str, ...]) -> float | None:
    """The strength of a text with one ingredient and one strength; else the first after the name, before the next
    name.
    """
    strengths = _STRENGTH.findall(text)
    if len(strengths) == 1 and not _SEVERAL.search(text):
        return milligrams(*strengths[0])
    at = text.lower().find(parts[-1])
    if at < 0:
        return None
    after = _STRENGTH.search(_SEVERAL.split(text[at:])[0])
    return milligrams(after[1], after[2]) if after else None


def _without_repeats(drugs: list[Drug]) -> tuple[Drug, ...]:
    """A group known by its name only (from an ATC class) gives way to an ingredient of that group."""
    named = {drug.group for drug in drugs if drug.ingredient != drug.group}
    return tuple(drug for drug in drugs if drug.ingredient != drug.group or drug.group not in named)


def form_pattern(forms: Iterable[str]) -> re.Pattern[str]:
    """What finds a form of `forms` in a text, as whole words; a final * stands for any ending."""
    parts = [re.escape(form.removesuffix("*")) + (r"\w*" if form.endswith("*") else "") for form in forms]
    return re.compile(rf"\b(?:{'|'.join(parts)})\b" if parts else r"(?!)", re.IGNORECASE)
