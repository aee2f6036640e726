"""A CDS Hooks request, checked: who is asked about, by which hook, and what came with it (CDS Hooks 2.0.1).

Lenient where the rule binds the client and nothing is lost: members that the specification does not name are ignored,
`null`, blank and empty optional members count as absent, `Patient/123` is the patient 123.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from marshmallow import ValidationError, fields, validates, validates_schema
from msgspec import Raw

from cds_service.fhir.references import relative
from cds_service.hooks.clients import LOCAL, Client
from cds_service.hooks.envelope import is_null, kind, read_envelope, read_object, read_value
from cds_service.hooks.errors import BadRequest
from cds_service.hooks.fields import Array, Members, Text, expecting, load, unexpected
from cds_service.hooks.names import HOOK_NAMES, told
from cds_service.hooks.prefetch import Prefetch, read_prefetch, require_bundle
from cds_service.hooks.profiles import DRAFT_MEDICATIONS, draft_medications
from cds_service.hooks.selections import selected
from cds_service.knowledge.services import Hook, Service


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks, with the resources it sent unread.

    `access_token` is the bearer token for `fhir_server`: it lives as long as this request, and is written nowhere.
    `patient_id` is the bare id. `draft_orders` is the Bundle of that name, `selections` (order-select) name drafts in
    it, such as `MedicationRequest/d1`. `encounter_id`, `draft_orders` and `fhir_server` are None when not sent.
    """

    service_id: str
    hook: Hook
    hook_instance: str
    user_id: str
    patient_id: str
    encounter_id: str | None
    selections: tuple[str, ...]
    draft_orders: Raw | None
    prefetch: Prefetch
    fhir_server: str | None
    access_token: str | None

    def __repr__(self) -> str:
        return f"Request({self.service_id!r}, {self.hook_instance!r})"


def read_request(body: bytes, service: Service, client: Client = LOCAL) -> Request:
    """The request for `service` that `body` holds, in the words of `client`. Prefetch may lack what is required.

    Raises BadRequest, with an issue for every field that is wrong.
    """
    envelope = read_envelope(body, (*service.prefetch, *client.prefetch_keys))
    members = {name: read_value(raw, name) for name, raw in envelope.fields.items() if name not in _APART}
    if "fhirAuthorization" in envelope.fields:
        members["fhirAuthorization"] = _authorization(envelope.fields["fhirAuthorization"])
    context = envelope.fields.get("context")
    if context is not None and not is_null(context):
        members["context"] = context
    asked = load(ENVELOPE, members)
    if asked["hook"] != service.hook:
        found = told(asked["hook"], HOOK_NAMES)
        raise BadRequest([unexpected("hook", f"{service.hook}, the hook of this service", found)])
    given: dict[str, Any] = {}
    draft_orders = None
    for name, raw in read_object(bytes(asked["context"]), "context").items():
        if name == "draftOrders" and not is_null(raw):
            require_bundle(raw, "context.draftOrders")
            draft_orders = given[name] = raw
        else:
            given[name] = read_value(raw, f"context.{name}")
    said = load(CONTEXTS[service.hook], given, "context")
    patient_id = said["patientId"].removeprefix("Patient/")
    granted = asked.get("fhirAuthorization", {}).get("patient", patient_id)
    if relative(granted).removeprefix("Patient/") != patient_id:
        raise BadRequest([unexpected("fhirAuthorization.patient", "the patient of the context", "another")])
    return Request(
        service_id=service.id,
        hook=service.hook,
        hook_instance=asked["hookInstance"],
        user_id=said["userId"],
        patient_id=patient_id,
        encounter_id=said["encounterId"].removeprefix("Encounter/") if "encounterId" in said else None,
        selections=selected(said["selections"], draft_orders) if draft_orders and "selections" in said else (),
        draft_orders=draft_orders,
        prefetch=_asked(read_prefetch(envelope.prefetch or {}, service, client.prefetch_keys), draft_orders),
        fhir_server=asked.get("fhirServer"),
        access_token=asked.get("fhirAuthorization", {}).get("access_token"),
    )


def _asked(prefetch: Prefetch, draft_orders: Raw | None) -> Prefetch:
    """The prefetch without the key that a client had no reason to send: no draft names its drug by reference."""
    if DRAFT_MEDICATIONS not in prefetch.absent or draft_medications(draft_orders) is not None:
        return prefetch
    absent = tuple(key for key in prefetch.absent if key != DRAFT_MEDICATIONS)
    return msgspec.structs.replace(prefetch, absent=absent)


def _authorization(raw: Raw) -> Any:
    if kind(raw) != "an object":
        return read_value(raw, "fhirAuthorization")
    granted = read_object(bytes(raw), "fhirAuthorization").items()
    return {name: read_value(raw, f"fhirAuthorization.{name}") for name, raw in granted} or None


SELECTIONS: Final = 1000
"""Drafts that may be selected at most."""
_APART: Final = ("context", "fhirAuthorization")
_ID: Final = r"[A-Za-z0-9._\-]{1,64}"
_USER: Final = "a reference such as Practitioner/123"
_DRAFTS: Final = "a Bundle of draft orders"


class _Authorization(Members):
    access_token = Text("an access token", longest=100_000, required=True)
    token_type = Text("Bearer", pattern="[Bb]earer", required=True)
    expires_in = fields.Integer(required=True, error_messages=expecting("a number of seconds"))
    scope = Text("the scopes granted", longest=100_000, required=True)
    subject = Text("the client id of this service", required=True)
    patient = Text("the id of a patient")


class _Envelope(Members):
    hook = Text("the name of a hook", longest=200, required=True)
    hookInstance = Text("a UUID", longest=100, required=True)
    context = fields.Raw(required=True, error_messages=expecting("an object"))
    fhirServer = Text("a URL")
    fhirAuthorization = fields.Nested(_Authorization, error_messages=expecting("an object"))
    extension = fields.Dict(error_messages=expecting("an object"))

    @validates("fhirServer")
    def _url(self, url: str, **_: Any) -> None:
        if not _is_base_url(url):
            raise ValidationError("an http or https URL without user, query or fragment")

    @validates_schema
    def _granted_for(self, data: dict[str, Any], **_: Any) -> None:
        if "fhirAuthorization" in data and "fhirServer" not in data:
            raise ValidationError("the URL for which fhirAuthorization was granted", "fhirServer")


class _PatientView(Members):
    userId = Text(_USER, longest=500, pattern=rf"(?:https?://\S+/)?[A-Z][A-Za-z]+/{_ID}", required=True)
    patientId = Text("the id of a patient", pattern=rf"(?:Patient/)?{_ID}", required=True)
    encounterId = Text("the id of an encounter", pattern=rf"(?:Encounter/)?{_ID}")


class _OrderSign(_PatientView):
    draftOrders = fields.Raw(required=True, error_messages=expecting(_DRAFTS))


class _OrderSelect(_OrderSign):
    selections = Array(
        Text("a reference such as MedicationRequest/123", longest=500),
        "an array of references into draftOrders",
        longest=SELECTIONS,
        required=True,
    )


class _EncounterDischarge(_PatientView):
    encounterId = Text("the id of an encounter", pattern=rf"(?:Encounter/)?{_ID}", required=True)


ENVELOPE: Final = _Envelope()
CONTEXTS: Final[dict[Hook, Members]] = {
    "patient-view": _PatientView(),
    "order-select": _OrderSelect(),
    "order-sign": _OrderSign(),
    "encounter-discharge": _EncounterDischarge(),
}


def _is_base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname) and not (url.username or url.query or url.fragment)
