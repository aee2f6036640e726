"""A CDS client in small: a patient's Bundle in, the prefetch and the request that an EHR would send out.

Pure: templates and resources in, JSON out. It follows FHIR's rules for reads and searches (https://hl7.org/fhir/R4/http.html,
search.html) as far as our templates go, and refuses a search parameter that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote
from uuid import uuid4

from cds_service.fhir.references import relative
from cds_service.hooks.templates import fill

Resource = dict[str, Any]
"""A FHIR resource as JSON."""

BASE_URL: Final = "https://ehr.example.org/fhir/r4"
"""The address of the imagined FHIR server, in `fullUrl`."""
_READ: Final = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})")
_SEARCH: Final = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")
_SUBJECTS: Final = ("subject", "patient", "for", "individual")
_ELEMENTS: Final[dict[str, tuple[str, ...]]] = {
    "code": ("code", "medicationCodeableConcept", "vaccineCode"),
    "category": ("category",),
    "status": ("status",),
    "clinical-status": ("clinicalStatus",),
    "_id": ("id",),
}
"""The token parameters that can be searched, and the elements they look at."""


class Records:
    """The resources of one patient, as a FHIR server would hold them after taking in the Bundle.

    `patient_id` is the id of the first Patient. References by `urn:uuid` become relative ones, as in a transaction.
    """

    def __init__(self, bundle: Mapping[str, Any]) -> None:
        entries = [entry for entry in bundle.get("entry", ()) if isinstance(entry.get("resource"), dict)]
        given = {
            entry["fullUrl"]: f"{resource['resourceType']}/{resource['id']}"
            for entry in entries
            if str(entry.get("fullUrl", "")).startswith("urn:") and "id" in (resource := entry["resource"])
        }
        self.resources: list[Resource] = [_rewritten(entry["resource"], given) for entry in entries]
        patients = [resource["id"] for resource in self.resources if resource.get("resourceType") == "Patient"]
        if not patients:
            raise ValueError("expected a Bundle with a Patient, found none")
        self.patient_id: str = patients[0]

    def answer(self, query: str) -> Resource | None:
        """What a server answers to a read (`Patient/p1`), None when there is no such resource, or to a search.

        Raises ValueError for anything else, and for a search parameter that is not known here.
        """
        if read := _READ.fullmatch(query):
            found = (r for r in self.resources if (r.get("resourceType"), r.get("id")) == read.groups())
            return next(found, None)
        if search := _SEARCH.fullmatch(query):
            parameters = [_parameter(part) for part in search[2].split("&")]
            return _searchset(
                resource
                for resource in self.resources
                if resource.get("resourceType") == search[1] and all(_matches(resource, *p) for p in parameters)
            )
        raise ValueError(f"expected a read or a search, found {query}")

    def resolve(self, reference: str) -> Resource | None:
        """What a relative or absolute reference points to, None when there is no such resource."""
        query = relative(reference)
        return self.answer(query) if _READ.fullmatch(query) else None


def prefetch(templates: Mapping[str, str], records: Records, context: Mapping[str, Any]) -> dict[str, Resource | None]:
    """The prefetch for `templates`, by key; a template whose tokens have no value in the context is left out."""
    queries = {key: fill(template, context, records.resolve) for key, template in templates.items()}
    return {key: records.answer(query) for key, query in queries.items() if query is not None}


def request(
    service: Mapping[str, Any], bundle: Mapping[str, Any], context: Mapping[str, Any] | None = None
) -> Resource:
    """The request that a client sends to a `service` of discovery about the patient of `bundle`.

    `context` adds to patientId and userId, or replaces them.
    """
    records = Records(bundle)
    asked = {"userId": "Practitioner/example", "patientId": records.patient_id, **(context or {})}
    sent: dict[str, Any] = {"hook": service["hook"], "hookInstance": str(uuid4()), "context": asked}
    found = prefetch(service.get("prefetch", {}), records, asked)
    return sent | ({"prefetch": found} if found else {})


def _parameter(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    if name != "patient" and name not in _ELEMENTS:
        raise ValueError(f"expected one of the search parameters patient, {', '.join(_ELEMENTS)}, found {name}")
    return name, [unquote(value) for value in values.split(",")]


def _matches(resource: Resource, name: str, values: list[str]) -> bool:
    if name == "patient":
        subjects = [
            resource[element].get("reference", "") for element in _SUBJECTS if isinstance(resource.get(element), dict)
        ]
        return any(_refers(subject, value) for subject in subjects for value in values)
    tokens = [token for element in _ELEMENTS[name] for token in _tokens(resource.get(element))]
    return any(_token_matches(token, value) for token in tokens for value in values)


def _refers(reference: str, value: str) -> bool:
    """Whether a reference, of any literal form, is to the patient named in the search."""
    wanted = value.removeprefix("Patient/")
    return re.fullmatch(rf"(?:https?://\S+/)?Patient/{re.escape(wanted)}(?:/_history/\S+)?", reference) is not None


def _tokens(element: Any) -> Iterator[tuple[str, str]]:
    """System and code of each coding in a code, CodeableConcept, or list of them."""
    if isinstance(element, str):
        yield "", element
    elif isinstance(element, list):
        for one in element:
            yield from _tokens(one)
    elif isinstance(element, dict):
        for coding in element.get("coding") or ():
            yield coding.get("system", ""), coding.get("code", "")


def _token_matches(token: tuple[str, str], value: str) -> bool:
    """`system|code`, `|code` (no system), `system|` (any code) or `code` (any system)."""
    system, bar, code = value.rpartition("|")
    return (not bar or token[0] == system) and (token[1] == code or (bool(bar) and not code))


def _searchset(found: Iterator[Resource]) -> Resource:
    entries = [
        {"fullUrl": f"{BASE_URL}/{r['resourceType']}/{r['id']}" if "id" in r else f"urn:uuid:{uuid4()}", "resource": r,
         "search": {"mode": "match"}}
        for r in found
    ]  # fmt: skip
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return bundle | {"entry": entries} if entries else bundle


def _rewritten(value: Any, given: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: given.get(inner, inner)
            if name == "reference" and isinstance(inner, str)
            else _rewritten(inner, given)
            for name, inner in value.items()
        }
    return [_rewritten(one, given) for one in value] if isinstance(value, list) else value
