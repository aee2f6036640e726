"""Real clients: what each sends, as it sends it, with its token, over HTTP (checklist, section 4).

The clients are those of `fixtures/clients`, with keys that the test has made; their requests and what is expected of
them stand in `fixtures/expected.yaml`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
import yaml
from exchanges import URL, answered, parts, refused, sent, url_of
from keys import NOW, Signer, key_set
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.explain_requests import explained
from cds_service.folders import data_folder
from cds_service.hooks.call import answer
from cds_service.hooks.feedback import read_feedback
from cds_service.knowledge.knowledge import Knowledge
from cds_service.sandbox import BASE_URL, Records

FIXTURES: Final = data_folder("fixtures")
EXPECTED: Final[dict[str, dict[str, Any]]] = yaml.safe_load((FIXTURES / "expected.yaml").read_text(encoding="utf-8"))
REQUESTS: Final = sorted(name for name, said in EXPECTED.items() if "client" in said and "status" not in said)
CLIENTS: Final = sorted(path.stem for path in (FIXTURES / "clients").glob("*.yaml"))
BASE: Final = "https://cds.example.org"
ABOUT: Final = "org.leg-weakness-cds.card"
NOT_JUDGED: Final = "org.leg-weakness-cds.not-judged"
NOT_SUPPLIED: Final = "org.leg-weakness-cds.not-supplied"
OF_1_0: Final = {
    "": {"cards", "extension"},
    ".cards": {"summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "links", "extension"},
    ".cards.source": {"label", "url", "icon"},
    ".cards.suggestions": {"label", "uuid", "actions"},
    ".cards.suggestions.actions": {"type", "description", "resource"},
    ".cards.links": {"label", "url", "type", "appContext"},
}
"""The members of a response that CDS Hooks 1.0 names."""


class Site:
    """An installation at which one client of the fixtures is registered, and that client, signing its calls."""

    def __init__(self, name: str, folder: Path, knowledge: Knowledge, **changes: Any) -> None:
        given = yaml.safe_load((FIXTURES / "clients" / f"{name}.yaml").read_text(encoding="utf-8"))
        (registered,) = given["clients"]
        algorithm = registered.get("algorithms", ["ES384"])[0]
        self.signer = Signer(algorithm, issuer=registered["issuer"])
        (folder / "keys.json").write_bytes(key_set(self.signer))
        path = folder / "clients.yaml"
        path.write_text(yaml.safe_dump({"clients": [{**registered, **changes}]}), encoding="utf-8")
        environment = {
            "CDS_SERVICE_DATABASE": f"sqlite:///{folder / 'service.sqlite3'}",
            "CDS_SERVICE_CLIENTS": str(path),
            "CDS_SERVICE_FHIR_SECONDS": "20",
        }
        self.claims: dict[str, Any] = {"tenant": registered["tenants"][0]} if registered.get("tenants") else {}
        self.web = create_app(read_config(environment), knowledge, lambda: NOW * 1000).test_client()

    def call(self, path: str, body: Any = None, **claims: Any) -> TestResponse:
        """A signed call: GET without a body, else POST."""
        token = self.signer.token(BASE + path, claims={**self.claims, **claims})
        headers = {"Authorization": f"Bearer {token}"}
        if body is None:
            return self.web.get(path, base_url=BASE, headers=headers)
        return self.web.post(path, base_url=BASE, headers=headers, json=body)

    def cards(self, name: str) -> list[dict[str, Any]]:
        """The cards that answer a fixture request."""
        found: list[dict[str, Any]] = answered(self.call(url_of(sent(name)), sent(name)))["cards"]
        return found


def site_of(name: str, folder: Path, knowledge: Knowledge) -> Site:
    """The site that a fixture request is sent from."""
    return Site(EXPECTED[name]["client"], folder, knowledge)


def feedback(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / "feedback" / f"{name}.json").read_bytes())
    return found


def actions(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [action for card in cards for one in card.get("suggestions", ()) for action in one["actions"]]


@pytest.fixture
def sandbox(tmp_path: Path, knowledge: Knowledge) -> Site:
    return Site("sandbox", tmp_path, knowledge)


@pytest.fixture
def epic(tmp_path: Path, knowledge: Knowledge) -> Site:
    return Site("epic-like", tmp_path, knowledge)


@pytest.mark.parametrize("name", REQUESTS)
def test_VER_01_JSON_09_each_client_gets_the_cards_of_its_patient(
    name: str, tmp_path: Path, knowledge: Knowledge
) -> None:
    body = answered(site_of(name, tmp_path, knowledge).call(url_of(sent(name)), sent(name)))
    about = [card["extension"][ABOUT] for card in body["cards"]]
    found = {one["id"]: card["indicator"] for one, card in zip(about, body["cards"], strict=True)}
    assert found == EXPECTED[name]["cards"]
    assert {line for one in about for line in one.get("merged", ())} == set(EXPECTED[name].get("merged", ()))
    assert NOT_SUPPLIED not in body.get("extension", {})
    for path, value in parts(body):
        assert path == ".cards" or value not in (None, "", [], {}), path


@pytest.mark.parametrize("client", CLIENTS)
def test_DISC_17_DISC_18_no_client_is_told_anything_without_its_token(
    client: str, tmp_path: Path, knowledge: Knowledge
) -> None:
    site = Site(client, tmp_path, knowledge)
    assert site.call("/cds-services").status_code == 200
    assert site.call("/cds-services", aud=f"{BASE}/cds-services/x").status_code == 401
    assert site.web.get("/cds-services", base_url=BASE).status_code == 401
    assert site.web.post(URL, base_url=BASE, json=sent("healthy-adult")).status_code == 401


@pytest.mark.parametrize("client", CLIENTS)
def test_DISC_20_VER_01_discovery_is_in_the_words_of_the_client(
    client: str, tmp_path: Path, knowledge: Knowledge
) -> None:
    registered = yaml.safe_load((FIXTURES / "clients" / f"{client}.yaml").read_text(encoding="utf-8"))["clients"][0]
    body = Site(client, tmp_path, knowledge).call("/cds-services").get_json()
    assert set(body) == {"services"}
    ids = {service["id"] for service in body["services"]}
    assert ids == set(registered.get("services") or (service.id for service in knowledge.services))
    new = {"1.0": set(), "1.1": set(), "2.0.1": {"usageRequirements"}, "3.0": {"usageRequirements", "version"}}
    for service in body["services"]:
        assert set(service) == {"hook", "id", "title", "description", "prefetch", *new[registered["profile"]]}
        assert registered["profile"] == "3.0" or "resolve()" not in json.dumps(service["prefetch"])


# The official sandbox


def test_CORS_01_the_sandbox_may_call_from_its_page_and_no_other_page_may(sandbox: Site) -> None:
    for path in ("/cds-services", URL, f"{URL}/feedback"):
        asked = {
            "Access-Control-Request-Method": "GET" if path == "/cds-services" else "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        for origin, allowed in (("https://sandbox.cds-hooks.org", True), ("https://elsewhere.example.org", False)):
            answer = sandbox.web.options(path, base_url=BASE, headers={"Origin": origin, **asked})
            assert answer.status_code == 200
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_REQ_16_a_draft_without_a_drug_is_no_fault_and_the_answer_says_that_it_was_not_judged(sandbox: Site) -> None:
    request = sent("sandbox-order-select-no-drug-yet")
    (entry,) = request["context"]["draftOrders"]["entry"]
    assert "type" not in request["context"]["draftOrders"]
    assert entry["resource"].keys().isdisjoint({"intent", "medicationCodeableConcept", "medicationReference"})
    body = answered(sandbox.call(url_of(request), request))
    (line,) = body["extension"][NOT_JUDGED]
    assert line.startswith("MedicationRequest/request-123 names no drug that was sent")
    assert "Statin drug interaction" in line


def test_a_card_that_waits_for_the_drug_of_a_draft_is_explained_so(knowledge: Knowledge) -> None:
    body = json.dumps(sent("sandbox-order-select-no-drug-yet")).encode()
    found = explained(answer(knowledge, "leg-weakness-order-select", body, NOW * 1000), knowledge)
    (one,) = [one for one in found["outcomes"] if one["card"] == "statin-interaction"]
    assert one["outcome"] == "not-applicable"
    assert "one names no drug that was sent" in one["reason"]


def test_TPL_14_a_token_that_the_sandbox_could_not_fill_is_no_fault(sandbox: Site) -> None:
    request = sent("sandbox-patient-view")
    assert "%7B%7BuserPractitionerRoleId%7D%7D" in json.dumps(request)
    as_text = json.dumps(request).replace("%7B%7BuserPractitionerRoleId%7D%7D", "{{userPractitionerRoleId}}")
    assert len(answered(sandbox.call(URL, json.loads(as_text)))["cards"]) == 3


def test_ACT_05_ACT_06_the_draft_of_the_sandbox_can_be_removed(sandbox: Site) -> None:
    removed = [one["resourceId"] for one in actions(sandbox.cards("sandbox-order-sign")) if one["type"] == "delete"]
    assert removed == ["MedicationRequest/request-123"]


def test_FB_01_FB_05_FB_07_the_sandbox_accepts_dismisses_and_overrides_one_card_at_a_time(sandbox: Site) -> None:
    cards = sandbox.cards("sandbox-patient-view")
    for name, card in zip(("sandbox-accepted", "sandbox-dismissed", "sandbox-overridden"), cards, strict=True):
        body = feedback(name)
        (entry,) = body["feedback"]
        entry["card"] = card["uuid"]
        for suggestion in entry.get("acceptedSuggestions", ()):
            suggestion["id"] = card["suggestions"][0]["uuid"]
        answer = sandbox.call(f"{URL}/feedback", body)
        assert (answer.status_code, answer.get_data()) == (200, b"")
    reason = feedback("sandbox-overridden")["feedback"][0]["overrideReason"]["reason"]
    assert "display" not in reason
    assert reason["code"] in {one["code"] for one in cards[2]["overrideReasons"]}


# Epic-like


def test_REQ_17_keys_that_nobody_mapped_are_ignored_and_several_may_stand_for_one(epic: Site) -> None:
    request = sent("epic-patient-view-own-keys")
    whole = answered(epic.call(URL, request))
    assert "-user" in request["prefetch"]
    del request["prefetch"]["labsOther"]
    assert NOT_SUPPLIED not in answered(epic.call(URL, request)).get("extension", {})
    del request["prefetch"]["labsElectrolytes"]
    assert "prefetch.electrolytes" in refused(epic.call(URL, request), 412)
    assert whole["cards"]


def test_PRE_11_REQ_16_the_drug_of_a_draft_may_be_another_entry_of_the_drafts(epic: Site) -> None:
    request = sent("epic-order-sign-medication-entries")
    order, medication = request["context"]["draftOrders"]["entry"]
    assert order["resource"]["medicationReference"]["reference"].startswith("https://")
    told = json.dumps(answered(epic.call(url_of(request), request))["cards"])
    assert "Being ordered: furosemide" in told
    medication["resource"]["resourceType"] = "Substance"
    unknown = answered(epic.call(url_of(request), request))
    assert unknown["cards"] == []
    assert "names no drug that was sent" in unknown["extension"][NOT_JUDGED][0]


def test_SUG_04_CARD_08_a_suggestion_for_epic_carries_one_action_and_a_label_of_its_own(epic: Site) -> None:
    split = 0
    for name in ("epic-patient-view-own-keys", "epic-order-sign-medication-entries"):
        for card in epic.cards(name):
            suggestions = card.get("suggestions", [])
            labels = [one["label"] for one in suggestions]
            assert len(set(labels)) == len(labels)
            assert all(len(one["actions"]) == 1 for one in suggestions)
            assert card.get("selectionBehavior", "any") == "any"
            split += sum(one["label"] == one["actions"][0]["description"] for one in suggestions)
    assert split > 1


def test_SRC_04_the_topic_of_a_card_for_epic_stays_the_same(epic: Site) -> None:
    first, second = (epic.cards("epic-patient-view-own-keys") for _ in range(2))
    topics = [[card["source"]["topic"]["code"] for card in cards] for cards in (first, second)]
    assert topics[0] == topics[1] == ["legweaknessworkup"]


def test_JWT_03_JWT_04_the_token_of_epic_has_an_audience_and_claims_that_a_site_typed_in(epic: Site) -> None:
    request = sent("epic-patient-view-own-keys")
    typed = {"aud": "leg-weakness-cds", "sub": "synthetic", "nbf": NOW - 300, "exp": NOW + 600}
    answered(epic.call(URL, request, **typed))
    assert epic.call(URL, request, aud="another").status_code == 401


def test_FB_03_FB_13_feedback_of_epic_has_names_and_ids_of_its_own(epic: Site) -> None:
    body = feedback("epic-overridden")
    for _ in range(2):
        answer = epic.call(f"{URL}/feedback", body)
        assert (answer.status_code, answer.get_data()) == (200, b"")
    coded, told, accepted = read_feedback(json.dumps(body).encode())
    assert (coded.card, coded.outcome, coded.reason) == ("eSynthetic.card-1", "overridden", "already-addressed")
    assert (told.reason, told.comment) == (None, "Synthetic: seen by the ward round.")
    assert accepted.suggestions == ("eSynthetic.suggestion-1", "eSynthetic.suggestion-2")


# Cerner-like


@contextmanager
def fhir_server(records: Records, token: str) -> Iterator[tuple[str, list[str]]]:
    """The base URL of a FHIR server that holds the records of a patient, and the queries that it answered."""
    queries: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = unquote(self.path.removeprefix("/r4/"))
            resource, _, parameters = query.partition("?")
            asked = "&".join(one for one in parameters.split("&") if one and not one.startswith("_count="))
            found = records.answer(f"{resource}?{asked}" if asked else resource)
            allowed = self.headers["Authorization"] == f"Bearer {token}"
            self.send_response(200 if allowed and found is not None else 401 if not allowed else 404)
            text = json.dumps(found if allowed and found is not None else {})
            body = text.replace(BASE_URL, f"http://{self.headers['Host']}/r4").encode()
            queries.append(query)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/r4", queries
        finally:
            server.shutdown()
            thread.join()


def test_FHIR_01_PRE_02_FHIR_08_a_client_without_prefetch_gets_the_same_cards_from_its_fhir_server(
    tmp_path: Path, knowledge: Knowledge
) -> None:
    request = sent("cerner-patient-view-no-prefetch")
    assert "prefetch" not in request
    bundle = json.loads((FIXTURES / "patients" / "several-causes-at-once.json").read_bytes())
    with fhir_server(Records(bundle), request["fhirAuthorization"]["access_token"]) as (base, queries):
        site = Site("cerner-like", tmp_path, knowledge, fhir_servers=[base])
        body = answered(site.call(URL, request | {"fhirServer": base}))
    found = {card["extension"][ABOUT]["id"]: card["indicator"] for card in body["cards"]}
    assert found == EXPECTED["several-causes-at-once"]["cards"]
    service = knowledge.service("leg-weakness-patient-view")
    assert service is not None
    assert {query.partition("&_count")[0] for query in queries} >= {
        template.replace("{{context.patientId}}", request["context"]["patientId"])
        for template in service.prefetch.values()
    }


def test_PRE_03_FHIR_07_without_its_fhir_server_that_client_is_told_what_is_missing(
    tmp_path: Path, knowledge: Knowledge
) -> None:
    request = sent("cerner-patient-view-no-prefetch")
    text = refused(Site("cerner-like", tmp_path, knowledge, fhir_servers=[]).call(URL, request), 412)
    assert all(f"prefetch.{key}" in text for key in EXPECTED["cerner-patient-view-no-prefetch"]["names"])


# A client that speaks 3.0 to the letter


def test_TPL_10_FHIR_04_the_drug_of_a_draft_may_come_under_the_key_that_3_0_asks_for(
    tmp_path: Path, knowledge: Knowledge
) -> None:
    site = Site("strict-3.0", tmp_path, knowledge, fhir_servers=[])
    request = sent("strict-3.0-order-sign")
    assert ".rs" in request["fhirAuthorization"]["scope"]
    described = {one["hook"]: one for one in site.call("/cds-services").get_json()["services"]}
    assert set(request["prefetch"]) <= {*described["order-sign"]["prefetch"], "lipids"}
    assert "Being ordered: furosemide" in json.dumps(answered(site.call(url_of(request), request))["cards"])
    del request["prefetch"]["draft_medications"]
    without = answered(site.call(url_of(request), request))
    assert without["cards"] == []
    assert without["extension"][NOT_SUPPLIED] == ["draft_medications"]
    assert any("names no drug that was sent" in line for line in without["extension"][NOT_JUDGED])


def test_FB_09_FB_10_JWT_12_a_strict_client_sends_its_feedback_in_batches(tmp_path: Path, knowledge: Knowledge) -> None:
    site = Site("strict-3.0", tmp_path, knowledge)
    assert site.call(f"{URL}/feedback", feedback("strict-3.0-batch")).status_code == 200
    assert site.call(f"{URL}/feedback", feedback("strict-3.0-batch"), tenant="south").status_code == 403


# A client of 1.0


def beyond_1_0(value: Any, place: str = "") -> list[str]:
    """The members of a response that 1.0 does not name; resources and extensions are not looked into."""
    if isinstance(value, list):
        return [found for one in value for found in beyond_1_0(one, place)]
    if not isinstance(value, Mapping) or place not in OF_1_0:
        return []
    unknown = [f"{place}.{name}" for name in value if name not in OF_1_0[place]]
    return unknown + [found for name, inner in value.items() for found in beyond_1_0(inner, f"{place}.{name}")]


def test_VER_01_CARD_08_ACT_05_a_client_of_1_0_gets_nothing_that_came_later(
    tmp_path: Path, knowledge: Knowledge
) -> None:
    request = sent("version-1.0-order-sign")
    site = Site("version-1.0", tmp_path, knowledge)
    body = answered(site.call(url_of(request), request))
    assert beyond_1_0(body) == []
    assert all(card.get("selectionBehavior", "at-most-one") == "at-most-one" for card in body["cards"])
    removed = [one for one in actions(body["cards"]) if one["type"] == "delete"]
    assert [one["resource"] for one in removed] == ["MedicationRequest/draft-1"]
    everything = sent("ten-findings-at-once")
    assert beyond_1_0(answered(site.call(URL, everything))) == []


def test_FB_01_VER_01_there_is_no_feedback_in_1_0(tmp_path: Path, knowledge: Knowledge) -> None:
    site = Site("version-1.0", tmp_path, knowledge)
    text = refused(site.call(f"{URL}/feedback", feedback("sandbox-dismissed")), 404)
    assert "1.0" in text


@pytest.mark.parametrize("client", CLIENTS)
def test_PRE_05_PRE_07_pages_and_failures_are_taken_from_clients_of_every_version(
    client: str, tmp_path: Path, knowledge: Knowledge
) -> None:
    site = Site(client, tmp_path, knowledge, fhir_servers=[], prefetch_keys={})
    request = sent("several-causes-at-once")
    first = {**request["prefetch"]["electrolytes"], "link": [{"relation": "next", "url": "https://ehr.example.org/2"}]}
    failure = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
    request["prefetch"] |= {"electrolytes": first, "lipids": failure}
    body = answered(site.call(URL, request))
    assert body["extension"][NOT_SUPPLIED] == ["electrolytes", "lipids"]
