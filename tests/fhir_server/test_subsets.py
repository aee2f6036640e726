"""Whatever a client leaves out of prefetch, the cards are those of full prefetch: asked of a real FHIR search engine.

Medplum's router and search engine hold the synthetic patients. Needs Node 20 and `npm ci` in this folder.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from cds_service.demo import FIXTURES_NOW
from cds_service.hooks.call import Answer, answer
from cds_service.hooks.clients import Client
from cds_service.hooks.completion import Completion
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.services import Service

from .cases import BY_REFERENCE, CASES, REFUSED, SERVER, by_reference, patient_of
from .conftest import PAGE, TOKEN, Server

NOW = int(FIXTURES_NOW.timestamp() * 1000)
RANDOM_SUBSETS = 3
GRANTED = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.rs", "subject": "cds"}


class Asking:
    """The service, as a client asks it whose FHIR server is the real one."""

    def __init__(self, knowledge: Knowledge, server: Server) -> None:
        self._knowledge = knowledge
        self._client = Client(name="ehr", fhir_servers=server.bases)
        self._complete = Completion(60.0, 50_000_000).for_client(self._client)

    def service(self, request: Mapping[str, Any]) -> Service:
        """The service that a request is for."""
        found = self._knowledge.service(f"leg-weakness-{request['hook']}")
        assert found is not None
        return found

    def __call__(self, request: Mapping[str, Any], base: str, prefetch: Mapping[str, Any]) -> Answer:
        """The answer to a request whose FHIR server has the URL `base`, with this prefetch."""
        body = {**request, "fhirServer": base, "fhirAuthorization": GRANTED, "prefetch": prefetch}
        service = self.service(request)
        sent = json.dumps(body).replace(SERVER, base).encode()
        return answer(self._knowledge, service.id, sent, NOW, client=self._client, complete=self._complete)


@pytest.fixture(scope="session")
def asking(knowledge: Knowledge, server: Server) -> Asking:
    return Asking(knowledge, server)


def get(url: str, token: str = TOKEN) -> dict[str, Any]:
    """What the FHIR server answers, by a client that is not ours."""
    request = Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    with urlopen(request, timeout=60) as response:  # noqa: S310
        found: dict[str, Any] = json.load(response)
    return found


def next_of(bundle: Mapping[str, Any]) -> str | None:
    return next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)


def full_prefetch(base: str, service: Service, patient: str) -> dict[str, dict[str, Any]]:
    """What an EHR sends that satisfies every template from this server: each search as one Bundle of all its pages."""
    found = {}
    for key, template in service.prefetch.items():
        query = quote(template.replace("{{context.patientId}}", patient), safe="/?&=,:")
        first = page = get(f"{base}/{query}")
        while (following := next_of(page)) is not None:
            page = get(following)
            first["entry"] += page["entry"]
        found[key] = {name: value for name, value in first.items() if name != "link"}
    return found


def cards(answered: Answer) -> list[Any]:
    """The cards of an answer, without what is new in each and without what a server notes about a resource."""
    found: list[Any] = _plain(json.loads(answered.body)["cards"])
    return found


def _plain(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _plain(value) for name, value in part.items() if name not in ("uuid", "meta")}
    return [_plain(one) for one in part] if isinstance(part, list) else part


def words(answered: Answer) -> list[tuple[str, str, str]]:
    """What the cards of an answer say, without the resources that they suggest."""
    return [(card["indicator"], card["summary"], card.get("detail", "")) for card in cards(answered)]


def test_the_server_holds_every_resource_but_those_that_are_no_valid_fhir(server: Server) -> None:
    assert len(CASES) > 60
    assert server.refused.keys() == {name for names in REFUSED.values() for name in names}


def test_the_server_checks_tokens_and_has_pages(server: Server) -> None:
    base = server.base("sp-04")
    with pytest.raises(HTTPError, match="401") as error:
        get(f"{base}/Patient/sp-04", "another")
    error.value.close()
    with pytest.raises(HTTPError, match="404") as error:
        get(f"{base}/Patient/none")
    error.value.close()
    page = get(f"{base}/Observation?patient=sp-04&_count=200")
    assert len(page["entry"]) == PAGE < page["total"]
    assert next_of(page) is not None


@pytest.mark.parametrize("name", CASES)
def test_PRE_01_PRE_08_FHIR_08_every_subset_of_prefetch_gives_the_same_cards(
    asking: Asking, server: Server, name: str
) -> None:
    request = CASES[name]
    base, service = server.base(patient_of(request)), asking.service(request)
    full = full_prefetch(base, service, patient_of(request))
    expected = asking(request, base, full)
    assert expected.request.prefetch.fetched == ()
    assert cards(expected) == cards(asking(request, base, request["prefetch"]))
    drawn = random.Random(name)
    subsets: list[Collection[str]] = [[key for key in full if key != left_out] for left_out in full]
    subsets += [service.required, []]
    subsets += [[key for key in full if drawn.random() < 0.5] for _ in range(RANDOM_SUBSETS)]
    for subset in subsets:
        answered = asking(request, base, {key: full[key] for key in full if key in subset})
        prefetch = answered.request.prefetch
        assert prefetch.fetched == tuple(key for key in full if key not in subset)
        assert (prefetch.absent, prefetch.failed, prefetch.partial) == ((), (), ())
        assert cards(answered) == cards(expected)


@pytest.mark.parametrize("name", CASES)
def test_PRE_07_first_pages_are_completed(asking: Asking, server: Server, name: str) -> None:
    request = CASES[name]
    patient = patient_of(request)
    base, service = server.base(patient), asking.service(request)
    first = {
        key: get(f"{base}/{quote(template.replace('{{context.patientId}}', patient), safe='/?&=,:')}")
        for key, template in service.prefetch.items()
    }
    answered = asking(request, base, first)
    assert cards(answered) == cards(asking(request, base, request["prefetch"]))
    assert answered.request.prefetch.fetched == tuple(key for key in first if next_of(first[key]) is not None)


@pytest.mark.parametrize("name", CASES)
def test_PRE_11_drugs_that_orders_only_point_to_are_fetched(asking: Asking, server: Server, name: str) -> None:
    request = CASES[name]
    base, service = server.base(patient_of(request) + BY_REFERENCE), asking.service(request)
    expected = words(asking(request, base, request["prefetch"]))
    pointing = {
        key: {**bundle, "entry": [{"resource": one} for one in _without_drugs(bundle)]} if "entry" in bundle else bundle
        for key, bundle in request["prefetch"].items()
    }
    for prefetch in (pointing, {key: pointing[key] for key in service.required}, {}):
        assert words(asking(request, base, prefetch)) == expected


def _without_drugs(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = by_reference(entry["resource"] for entry in bundle["entry"])
    return [one for one in found if one["resourceType"] != "Medication"]
