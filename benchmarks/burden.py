"""How many cards clinicians would see: all cards over whole patients, each at one moment.

Reads the Synthea Bundles and the bulk sets beside the project (`../shared/data`, or the folder given), asks the
patient-view service about each patient at the time of the patient's newest entry, and prints cards per patient, by card
and indicator, and how many charts stay without any. With `--charts N` it prints the cards of N patients to read; with
`--leg-weakness` every patient has had weak legs for three days, which hardly any of these patients has.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cds_service.folders import data_folder
from cds_service.hooks.call import answer
from cds_service.knowledge.card import INDICATORS
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import load_knowledge

ROOT = Path(__file__).resolve().parent.parent
SERVICE = "leg-weakness-patient-view"
KEYS = {
    "Observation": "electrolytes", "Condition": "conditions", "MedicationRequest": "medication_requests",
    "Medication": "medication_requests", "Procedure": "procedures", "Encounter": "encounters",
    "DiagnosticReport": "diagnostic_reports", "ServiceRequest": "service_requests",
    "MedicationStatement": "medication_statements",
}  # fmt: skip
DATES = ("effectiveDateTime", "authoredOn", "recordedDate", "issued")
ABOUT = "org.leg-weakness-cds.card"

Resource = dict[str, Any]


def patients(folder: Path) -> Iterator[tuple[str, list[Resource]]]:
    """Every patient of a folder of data: the set's name, and the resources."""
    for path in sorted(folder.glob("synthea/*/*.json.gz")):
        bundle = json.loads(gzip.decompress(path.read_bytes()))
        yield f"synthea/{path.parent.name}", [entry["resource"] for entry in bundle["entry"]]
    for name in ("bulk-100", "bulk-570"):
        held: dict[str, list[Resource]] = defaultdict(list)
        for path in sorted((folder / name).glob("*.ndjson.gz")):
            for line in gzip.decompress(path.read_bytes()).splitlines():
                one = json.loads(line)
                subject = (one.get("subject") or one.get("patient") or {}).get("reference", "")
                held[one["id"] if one["resourceType"] == "Patient" else subject.removeprefix("Patient/")].append(one)
        everybody = held.pop("", [])
        for resources in held.values():
            yield name, resources + everybody


def weak_legs(patient: str, now: datetime) -> Resource:
    """A problem of three days."""
    return {
        "resourceType": "Condition",
        "id": "leg-weakness",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"text": "Leg weakness"},
        "onsetDateTime": (now - timedelta(days=3)).isoformat(),
    }


def request(resources: list[Resource], knowledge: Knowledge, *, weak: bool) -> tuple[bytes, int] | None:
    """A patient-view request with all prefetch keys, and the moment of the newest entry; None without a Patient."""
    patient = next((one for one in resources if one["resourceType"] == "Patient"), None)
    if patient is None:
        return None
    service = knowledge.service(SERVICE)
    if service is None:
        raise SystemExit(f"the knowledge has no service {SERVICE}")
    dates = [str(one[name])[:10] for one in resources for name in DATES if one.get(name)]
    newest = datetime.fromisoformat(max(dates, default="2020-01-01")).replace(tzinfo=UTC, hour=23, minute=59)
    if weak:
        resources = [*resources, weak_legs(patient["id"], newest)]
    entries: dict[str, list[Resource]] = {key: [] for key in service.prefetch if key != "patient"}
    for one in resources:
        key = KEYS.get(one["resourceType"])
        if key in entries:
            entries[key].append({"resource": one})
    bundles = {key: {"resourceType": "Bundle", "type": "searchset", "entry": held} for key, held in entries.items()}
    envelope = {
        "hook": "patient-view",
        "hookInstance": "5f0c8a4e-0000-4000-8000-000000000000",
        "context": {"userId": "Practitioner/benchmark", "patientId": patient["id"]},
        "prefetch": {"patient": patient, **bundles},
    }
    text = json.dumps(envelope).replace(f"urn:uuid:{patient['id']}", f"Patient/{patient['id']}")
    return text.encode(), int(newest.timestamp() * 1000)


class Burden:
    """What was counted over a set of patients."""

    def __init__(self) -> None:
        self.per_patient: Counter[int] = Counter()
        self.cards: Counter[tuple[str, str]] = Counter()
        self.merged: Counter[str] = Counter()

    def add(self, cards: list[dict[str, Any]]) -> None:
        """Count the cards of one answer."""
        self.per_patient[len(cards)] += 1
        for card in cards:
            about = card["extension"][ABOUT]
            self.cards[about["id"], card["indicator"]] += 1
            self.merged.update(about.get("merged", ()))

    def show(self, name: str) -> None:
        """Print the table of this set."""
        total = sum(self.per_patient.values())
        shown = sum(count * number for number, count in self.per_patient.items())
        print(f"\n{name}: {total} patients, {shown} cards, {shown / max(total, 1):.2f} a patient; "
              f"{self.per_patient[0]} ({self.per_patient[0] / max(total, 1):.0%}) without any")  # fmt: skip
        print("  cards a patient: " + ", ".join(f"{number}: {self.per_patient[number]}" for number in range(6)))
        by_card: dict[str, Counter[str]] = defaultdict(Counter)
        for (id_, indicator), count in self.cards.items():
            by_card[id_][indicator] += count
        for id_, counts in sorted(by_card.items(), key=lambda item: -item[1].total()):
            words = ", ".join(f"{counts[indicator]} {indicator}" for indicator in INDICATORS if counts[indicator])
            print(f"  {id_:32} {counts.total() / total:6.1%}  {words}")
        for id_, count in self.merged.most_common():
            print(f"  {id_:32} {count / total:6.1%}  as a line of another card")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--charts", type=int, default=0, metavar="N", help="print the cards of so many patients")
    parser.add_argument("--leg-weakness", action="store_true", help="give every patient weak legs for three days")
    given = parser.parse_args()
    knowledge = load_knowledge(data_folder("cards"))
    sets: dict[str, Burden] = defaultdict(Burden)
    left = given.charts
    for name, resources in patients(given.folder):
        made = request(resources, knowledge, weak=given.leg_weakness)
        if made is None:
            continue
        body, now = made
        cards = json.loads(answer(knowledge, SERVICE, body, now).body)["cards"]
        for one in (name, "all"):
            sets[one].add(cards)
        if cards and left:
            left -= 1
            print(f"\n--- {name}, {datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d}")
            for card in cards:
                print(
                    f"[{card['indicator']}] {card['summary']}\n"
                    + "\n".join(f"    {x}" for x in card["detail"].splitlines())
                )
    if not sets:
        raise SystemExit(f"no patients in {given.folder}")
    for name in sorted(sets, key=lambda one: (one == "all", one)):
        sets[name].show(name)


if __name__ == "__main__":
    main()
