"""From the facts that a case states in words to FHIR resources, so that a case proves the whole path.

`Potassium: 2.4 mmol/L, 1 day ago` becomes an Observation, `Statin: atorvastatin 40 mg daily` a MedicationRequest. The
words are those of docs/card-format.md (Cases).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cds_service.chart.codes import Codes
from cds_service.chart.groups import SYSTEMS, Code, ResultGroup
from cds_service.chart.items import Fact
from cds_service.chart.units import UCUM
from cds_service.fhir.dates import milliseconds, written

PATIENT: Final = "case-patient"
_SUBJECT: Final = {"reference": f"Patient/{PATIENT}"}
_DAYS: Final = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
_AGO: Final = re.compile(r"(\d+) (minute|hour|day|week|month|year)s? ago")
_IN: Final = re.compile(r"in (\d+) (minute|hour|day|week|month|year)s?")
_VALUE: Final = re.compile(r"(<=|>=|<|>)?\s*(-?[0-9.]+)\s*(.*)")
_DRUG: Final = re.compile(r"(.+?)(?: ([0-9.]+) mg)?(?: daily)?")
_SITES: Final = {"left": "7771000", "right": "24028007", "both": "51440002"}
_DEFAULT_DAYS: Final = {"conditions": 400, "medications": 200}

Resource = dict[str, Any]


class CannotBuild(ValueError):
    """The words of a fact are not understood; the message says what was expected."""


class FactBuilder:
    """Builds the resources of one case at `now`."""

    def __init__(self, codes: Codes, now: datetime) -> None:
        self.codes = codes
        self.now = now
        self.count = 0

    def build(self, fact: Fact, words: str, *, draft: bool = False) -> list[tuple[str, Resource]]:
        """The resources a statement means, each with the prefetch key it arrives under. Raises CannotBuild."""
        if fact.form == "cards":
            raise CannotBuild("what other cards conclude cannot be stated; state the facts that make them so")
        value, *modifiers = [part.strip() for part in str(words).split(",")]
        statement = _Modifiers(modifiers, self.now, _DEFAULT_DAYS.get(fact.form, 1))
        made = {
            "result": self._result, "results": self._result, "findings": self._finding, "conditions": self._finding,
            "medications": self._medication, "orders": self._order, "procedures": self._procedure,
            "encounters": self._encounter,
        }[fact.form](fact, value, statement, draft)  # fmt: skip
        statement.check_all_used()
        return made

    def _base(self, kind: str, status: str) -> Resource:
        self.count += 1
        id_ = f"case-{self.count}"
        patient = {"subject": _SUBJECT}
        return {"resourceType": kind, "id": id_, **({"status": status} if status else {}), **patient}

    def _result(self, fact: Fact, value: str, said: _Modifiers, _draft: bool) -> list[tuple[str, Resource]]:
        group = self.codes.results[fact.groups[0]]
        if not group.codes:
            raise CannotBuild(f"{group.group} has no codes of its own; state the results it is computed from")
        poc, wanted = said.take("point of care"), said.after("code ")
        code = next((c for c in group.codes if c.code == wanted or (wanted is None and c.poc == poc)), None)
        if code is None and wanted is not None:
            raise CannotBuild(f"{wanted} is no code of {group.group}: {', '.join(c.code for c in group.codes)}")
        code = code or group.codes[0]
        status = next((word for word in ("preliminary", "corrected") if said.take(word)), "final")
        resource = self._base("Observation", status)
        resource["code"] = {"coding": [{"system": SYSTEMS[code.system][0], "code": code.code}]}
        if said.date is not None:
            resource["effectiveDateTime"] = said.date
        if said.take("haemolysed"):
            resource["note"] = [{"text": "sample haemolysed"}]
        resource.update(self._value(group, value, said))
        return [(group.file, resource)]

    def _value(self, group: ResultGroup, value: str, said: _Modifiers) -> Resource:
        if value == "unreadable":
            return {"valueQuantity": {"value": 1, "unit": "furlong", "system": UCUM, "code": "[fur_us]"}}
        if group.kind == "string":
            for (system, code), answer in group.answers.items():
                if answer == value:
                    return {"valueCodeableConcept": {"coding": [{"system": system, "code": code}]}}
            raise CannotBuild(f"'{value}' is no answer of {group.group}: {', '.join(group.answer_names)}")
        if group.kind == "date":
            return {"valueDateTime": moment_of(value, self.now) or value}
        if group.kind == "pressure":
            upper, lower, text = re.fullmatch(r"(\d+)/(\d+)\s*(.*)", value).groups()  # type: ignore[union-attr]
            parts = {"systolic": ("8480-6", upper), "diastolic": ("8462-4", lower)}
            return {
                "component": [
                    {"code": {"coding": [{"system": SYSTEMS["loinc"][0], "code": code}]},
                     "valueQuantity": self._quantity(group, number, text)}
                    for code, number in parts.values()
                ]
            }  # fmt: skip
        match = _VALUE.fullmatch(value)
        if match is None:
            raise CannotBuild(f"'{value}'; expected a value with unit such as 2.4 {group.unit}")
        comparator, number, text = match.groups()
        quantity = self._quantity(group, number, text)
        limits = said.after("range ")
        ranged: Resource = {}
        if limits is not None:
            low, high = limits.split("-")
            ends = {"low": low, "high": high}
            ranged["referenceRange"] = [{name: self._quantity(group, end, text) for name, end in ends.items() if end}]
        return {"valueQuantity": {**quantity, **({"comparator": comparator} if comparator else {})}, **ranged}

    def _quantity(self, group: ResultGroup, number: str, text: str) -> Resource:
        quantity: Resource = {"value": float(number)}
        if text:
            quantity["unit"] = text
        if text in group.units:
            quantity.update(system=UCUM, code=text)
        return quantity

    def _finding(self, fact: Fact, value: str, said: _Modifiers, _draft: bool) -> list[tuple[str, Resource]]:
        group = self._leaf(fact.groups[0] if value == "yes" else value, self.codes.findings)
        side = next((word for word in _SITES if said.take(word)), None)
        concept, sided = self._concept(group, side)
        observed, reason = said.take("as observation"), said.take("as encounter reason")
        site = {"coding": [{"system": SYSTEMS["snomed"][0], "code": _SITES[side]}]} if side and not sided else None
        if reason:
            resource = self._base("Encounter", "in-progress")
            resource.update(id="case-encounter", reasonCode=[concept], period={"start": said.date})
            resource["class"] = {"code": "AMB"}
            return [("encounters", resource)]
        if observed:
            resource = self._base("Observation", "final")
            resource.update(code=concept, valueBoolean=True, effectiveDateTime=said.date)
            if site:
                resource["bodySite"] = site
            key = next((key for key, file in self.codes.files.items() if group in file.findings), "symptoms_other")
            return [(key, resource)]
        resource = self._base("Condition", "")
        clinical = "resolved" if said.take("resolved") else "active"
        resource["clinicalStatus"] = _coding("http://terminology.hl7.org/CodeSystem/condition-clinical", clinical)
        resource["verificationStatus"] = _coding(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"
        )
        resource["code"] = concept
        if site:
            resource["bodySite"] = [site]
        if said.take("severe"):
            resource["severity"] = {"coding": [{"system": SYSTEMS["snomed"][0], "code": "24484000"}]}
        recorded = said.after("recorded ")
        if recorded is not None:
            resource["recordedDate"] = moment_of(recorded, self.now) or recorded
        elif said.date is not None:
            resource["onsetDateTime"] = said.date
        return [("conditions", resource)]

    def _leaf(self, name: str, groups: Mapping[str, Any]) -> str:
        if name not in groups:
            raise CannotBuild(f"'{name}' is no code group")
        leaves: Iterable[str] = groups[name].leaves
        return next((leaf for leaf in leaves if groups[leaf].codes or groups[leaf].phrases), name)

    def _concept(self, name: str, side: str | None) -> tuple[Resource, bool]:
        group = self.codes.findings[name]
        for code in group.codes:
            if side is not None and code.side == side:
                return _concept(code), True
        for phrase in group.phrases:
            if side is not None and phrase.side == side:
                return {"text": phrase.text}, True
        plain = [code for code in group.codes if code.side is None] or list(group.codes)
        if plain:
            return _concept(plain[0]), False
        if not group.phrases:
            raise CannotBuild(f"the group '{name}' has no codes")
        return {"text": group.phrases[0].text}, False

    def _medication(self, fact: Fact, value: str, said: _Modifiers, draft: bool) -> list[tuple[str, Resource]]:
        drug, dose = _DRUG.fullmatch(value).groups()  # type: ignore[union-attr]
        concept = self._drug(fact, drug)
        held, statement = said.take("on hold"), said.take("statement")
        ended, changed = said.after("ended "), said.after("changed ")
        status = "draft" if draft else "on-hold" if held else "stopped" if ended else "active"
        if statement:
            resource = self._base("MedicationStatement", status)
            period = {"start": said.date, "end": moment_of(ended, self.now) if ended else None}
            resource["effectivePeriod"] = {name: date for name, date in period.items() if date}
            resource["medicationCodeableConcept"] = concept
            resource["dosage"] = [_dosage(dose, None)] if dose else []
            return [("medication_statements", {k: v for k, v in resource.items() if v})]
        made = []
        start, earlier = said.date, None
        if changed is not None:
            when, _, before = changed.partition(" from ")
            earlier = self._prescription(concept, "completed", start, before.split(" ")[0], moment_of(when, self.now))
            made.append(("medication_requests", earlier))
            start = moment_of(when, self.now)
        end = moment_of(ended, self.now) if ended else None
        made.append(("medication_requests", self._prescription(concept, status, None if draft else start, dose, end)))
        return made

    def _prescription(
        self, concept: Resource, status: str, start: str | None, dose: str | None, end: str | None
    ) -> Resource:
        resource = self._base("MedicationRequest", status)
        resource.update(intent="order", medicationCodeableConcept=concept)
        if start is not None:
            resource["authoredOn"] = start
        if dose or end:
            resource["dosageInstruction"] = [_dosage(dose, end)]
        return resource

    def _drug(self, fact: Fact, drug: str) -> Resource:
        if drug == "yes" or drug in self.codes.medications:
            group = fact.groups[0] if drug == "yes" else drug
            leaf = next(one for one in self.codes.medications[group].leaves if self.codes.medications[one].ingredients)
            drug = next(iter(self.codes.medications[leaf].ingredients))
        for named in self.codes.medications.values():
            if drug in named.ingredients:
                code = named.ingredients[drug].rxnorm
                concept: Resource = {"text": drug}
                if code is not None:
                    concept["coding"] = [{"system": SYSTEMS["rxnorm"][0], "code": code}]
                return concept
        raise CannotBuild(f"'{drug}' is no drug of cards/codes/medications.yaml")

    def _ordered(self, fact: Fact, value: str) -> Resource:
        name = fact.groups[0] if value == "yes" else value
        if name in self.codes.results and self.codes.results[name].codes:
            code = self.codes.results[name].codes[0]
            return {"coding": [{"system": SYSTEMS[code.system][0], "code": code.code}]}
        leaf = self._leaf(name, self.codes.orders)
        group = self.codes.orders[leaf]
        return _concept(group.codes[0]) if group.codes else {"text": group.phrases[0].text}

    def _order(self, fact: Fact, value: str, said: _Modifiers, draft: bool) -> list[tuple[str, Resource]]:
        resource = self._base("ServiceRequest", "draft" if draft else "active")
        resource.update(intent="order", code=self._ordered(fact, value))
        if said.date is not None and not draft:
            resource["authoredOn"] = said.date
        return [("service_requests", resource)]

    def _procedure(self, fact: Fact, value: str, said: _Modifiers, _draft: bool) -> list[tuple[str, Resource]]:
        concept = self._ordered(fact, value)
        if concept.get("coding", [{}])[0].get("system") == SYSTEMS["loinc"][0]:
            resource = self._base("DiagnosticReport", "final")
            resource.update(code=concept, effectiveDateTime=said.date)
            return [("diagnostic_reports", resource)]
        resource = self._base("Procedure", "completed")
        resource.update(code=concept, performedDateTime=said.date)
        return [("procedures", resource)]

    def _encounter(self, fact: Fact, value: str, said: _Modifiers, _draft: bool) -> list[tuple[str, Resource]]:
        name = fact.groups[0] if value == "yes" else value
        current = name == "current"
        resource = self._base("Encounter", "in-progress" if current else "finished")
        resource["class"] = {"system": SYSTEMS["act-class"][0], "code": "AMB"}
        if current:
            resource["id"] = "case-encounter"
        else:
            code = self.codes.encounters[self._leaf(name, self.codes.encounters)].codes[0]
            if code.system == "act-class":
                resource["class"] = {"system": SYSTEMS["act-class"][0], "code": code.code}
            else:
                resource["serviceType"] = _concept(code)
        ended = said.after("ended ")
        resource["period"] = {"start": said.date, **({"end": moment_of(ended, self.now)} if ended else {})}
        return [("encounters", resource)]


class _Modifiers:
    """The words after the value of a fact; each must be understood by somebody."""

    def __init__(self, words: list[str], now: datetime, default_days: int) -> None:
        self.left = list(words)
        self.date: str | None = _iso(now - timedelta(days=default_days))
        if self.take("no date"):
            self.date = None
        for word in words:
            moment = moment_of(word, now)
            if moment is not None or word.startswith("on 2") or word.startswith("on 1"):
                self.left.remove(word)
                self.date = moment or word.removeprefix("on ")

    def take(self, word: str) -> bool:
        if word in self.left:
            self.left.remove(word)
            return True
        return False

    def after(self, start: str) -> str | None:
        for word in self.left:
            if word.startswith(start):
                self.left.remove(word)
                return word.removeprefix(start)
        return None

    def check_all_used(self) -> None:
        if self.left:
            raise CannotBuild(f"'{', '.join(self.left)}' is not understood here")


def moment_of(words: str, now: datetime) -> str | None:
    """The moment of `3 days ago` or `in 3 days` as an instant; None for other words."""
    for pattern, sign in ((_AGO, -1), (_IN, 1)):
        match = pattern.fullmatch(words)
        if match is not None:
            return _iso(now + sign * timedelta(days=int(match[1]) * _DAYS[match[2]]))
    return None


def _iso(moment: datetime) -> str:
    return written(milliseconds(moment))


def _coding(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _concept(code: Code) -> Resource:
    return _coding(SYSTEMS[code.system][0], code.code)


def _dosage(dose: str | None, end: str | None) -> Resource:
    repeat: Resource = {"frequency": 1, "period": 1, "periodUnit": "d"}
    if end is not None:
        repeat["boundsPeriod"] = {"end": end}
    dosage: Resource = {"timing": {"repeat": repeat}}
    if dose is not None:
        quantity = {"value": float(dose), "unit": "mg", "system": UCUM, "code": "mg"}
        dosage["doseAndRate"] = [{"doseQuantity": quantity}]
    return dosage
