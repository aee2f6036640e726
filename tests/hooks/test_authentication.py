"""Who may call: the JWTs of registered clients (checklist 1.12); what is refused is in test_attacks.py.

Every test goes over HTTP, to an application at the time of the fixtures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from keys import ISSUER, NOW, KeyServer, Signer, jwks_url, key_set, registered
from loopback import listening
from place import BASE, PATHS, Place, assert_plainly_refused, reason, url

from cds_service.hooks.authentication import normal_url
from cds_service.knowledge.knowledge import Knowledge


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def place(tmp_path: Path, knowledge: Knowledge, signer: Signer) -> Place:
    """Two registered clients; tokens of main-ehr are of `signer`, which has an RSA key too."""
    both = registered(tmp_path, signer, Signer("RS384", "k-2"))
    other = registered(tmp_path, Signer(issuer="https://other.example.org", which=9), name="other")
    return Place(tmp_path, knowledge, both, other)


@pytest.mark.parametrize("address", PATHS)
@pytest.mark.parametrize(("algorithm", "kid"), [("ES384", "k-1"), ("RS384", "k-2")])
def test_JWT_06_DISC_18_FB_14_a_registered_client_is_let_in(
    place: Place, address: str, algorithm: str, kid: str
) -> None:
    token = Signer(algorithm, kid).token(url(address))
    assert place.status(address, token) == 200


@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "RS256", "RS512", "PS256", "PS384", "PS512"])
def test_JWT_06_another_algorithm_can_be_registered(tmp_path: Path, knowledge: Knowledge, algorithm: str) -> None:
    signer = Signer(algorithm)
    place = Place(tmp_path, knowledge, registered(tmp_path, signer, algorithms=[algorithm]))
    assert place.status("discovery", signer.token(url("discovery"))) == 200
    jwt = Signer("ES384").token(url("discovery"))
    assert_plainly_refused(place.ask("discovery", f"Bearer {jwt}"))


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "jwt"},
        {"typ": "Jwt", "cty": "x", "unknown": {"deep": [1]}},
        {"jwk": Signer(which=1).jwk()},
        {"x5u": "https://elsewhere.example.org", "x5c": ["M" * 3000], "x5t": "a", "x5t#S256": "b"},
    ],
)
def test_JWT_02_JWT_14_other_headers_are_ignored(place: Place, signer: Signer, changes: dict[str, Any]) -> None:
    assert place.status("service", signer.token(url("service"), header=changes)) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": NOW + 59, "exp": NOW + 300},
        {"iat": NOW - 300, "exp": NOW - 59},
        {"iat": NOW, "exp": NOW + 3600},
        {"iat": NOW - 0.5, "exp": NOW + 0.5},
        {"nbf": NOW - 300},
        {"nbf": NOW + 59},
        {"sub": "cds-service", "tenant": "north", "azp": None, "nbf": NOW - 300, "scope": ["a"]},
        {"jti": "ü" * 500},
        {"jti": "'; DROP TABLE token; --"},
    ],
)
def test_JWT_03_JWT_10_clocks_may_differ_a_little_and_other_claims_are_ignored(
    place: Place, signer: Signer, changes: dict[str, Any]
) -> None:
    assert place.status("service", signer.token(url("service"), claims=changes)) == 200


@pytest.mark.parametrize(
    ("aud", "base"),
    [
        ([f"{BASE}{PATHS['service']}"], BASE),
        (["https://elsewhere.example.org", f"{BASE}{PATHS['service']}"], BASE),
        (f"{BASE}{PATHS['service']}/", BASE),
        (f"http://localhost:80{PATHS['service']}", BASE),
        (f"HTTP://LOCALHOST{PATHS['service']}", BASE),
        (f"https://cds.example.org{PATHS['service']}", "https://cds.example.org:443"),
        (f"https://cds.example.org:8443{PATHS['service']}", "https://CDS.example.org:8443"),
        (f"http://[::1]:8080{PATHS['service']}", "http://[::1]:8080"),
    ],
)
def test_JWT_04_the_url_that_is_called_may_be_spelled_in_several_ways(
    place: Place, signer: Signer, aud: Any, base: str
) -> None:
    assert place.status("service", signer.token("", claims={"aud": aud}), base) == 200


def test_JWT_04_behind_a_proxy_the_public_url_is_the_audience(
    tmp_path: Path, knowledge: Knowledge, signer: Signer
) -> None:
    public = "https://cds.example.org/leg-weakness/"
    place = Place(tmp_path, knowledge, registered(tmp_path, signer), public_url=public)
    for address, path in PATHS.items():
        assert place.status(address, signer.token(public.rstrip("/") + path)) == 200
        assert_plainly_refused(place.ask(address, f"Bearer {signer.token(url(address))}"))


def test_JWT_04_an_audience_can_be_registered(tmp_path: Path, knowledge: Knowledge, signer: Signer) -> None:
    entry = registered(tmp_path, signer, audiences=["cds-service", "https://CDS.example.org:443/"])
    place = Place(tmp_path, knowledge, entry)
    for audience in ("cds-service", "https://cds.example.org", ["x", "cds-service"]):
        for address in PATHS:
            assert place.status(address, signer.token("", claims={"aud": audience})) == 200
    assert place.status("service", signer.token("CDS-Service")) == 401


def test_FB_14_feedback_takes_a_token_for_the_service_but_no_service_one_for_feedback(
    place: Place, signer: Signer
) -> None:
    assert place.status("feedback", signer.token(url("service"))) == 200
    assert place.status("feedback", signer.token(url("discovery"))) == 401
    assert place.status("service", signer.token(url("feedback"))) == 401
    assert place.status("discovery", signer.token(url("service"))) == 401


@pytest.mark.parametrize("address", PATHS)
def test_JWT_11_a_token_is_good_once(
    place: Place, signer: Signer, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    token = signer.token(url("service" if address == "feedback" else address))
    assert place.status(address, token) == 200
    assert_plainly_refused(place.ask(address, f"Bearer {token}"))
    assert reason(caplog) == "main-ehr: the token was used before"
    place.start()
    assert_plainly_refused(place.ask(address, f"Bearer {token}"))


def test_JWT_11_a_token_is_good_once_until_it_has_expired_for_everybody(place: Place, signer: Signer) -> None:
    token = signer.token(url("service"))
    assert place.status("service", token) == 200
    for later in (1, 299, 300, 330, 359.9, 360, 4000):
        place.now = NOW + later
        assert place.status("service", token) == 401


def test_JWT_11_the_same_jti_with_other_claims_or_at_another_address_is_used(place: Place, signer: Signer) -> None:
    assert place.status("service", signer.token(url("service"), claims={"jti": "one"})) == 200
    assert place.status("service", signer.token(url("service"), claims={"jti": "one", "exp": NOW + 200})) == 401
    assert place.status("feedback", signer.token(url("feedback"), claims={"jti": "one"})) == 401


def test_JWT_11_issuers_do_not_share_their_jti(place: Place, signer: Signer) -> None:
    other = Signer(issuer="https://other.example.org", which=9)
    for one in (signer, other):
        assert place.status("service", one.token(url("service"), claims={"jti": "one"})) == 200


def test_JWT_11_a_token_that_was_refused_is_not_used_up(place: Place, signer: Signer) -> None:
    token = signer.token(url("service"), claims={"jti": "one", "iat": NOW + 100, "exp": NOW + 300})
    forged = Signer(which=1).token(url("service"), claims={"jti": "one"})
    assert [place.status("service", one) for one in (token, forged)] == [401, 401]
    place.now = NOW + 100
    assert place.status("service", token) == 200


def test_JWT_12_HTTP_403_a_tenant_that_is_not_registered_is_forbidden(
    tmp_path: Path, knowledge: Knowledge, signer: Signer
) -> None:
    place = Place(tmp_path, knowledge, registered(tmp_path, signer, tenants=["north", "south"]))
    for address in PATHS:
        assert place.status(address, signer.token(url(address), claims={"tenant": "north"})) == 200
        for claims in ({"tenant": "west"}, {"tenant": ""}, {}):
            answer = place.ask(address, f"Bearer {signer.token(url(address), claims=claims)}")
            assert (answer.status_code, answer.get_json()["resourceType"]) == (403, "OperationOutcome")
        stranger = Signer(which=1).token(url(address), claims={"tenant": "west"})
        assert_plainly_refused(place.ask(address, f"Bearer {stranger}"))


def test_JWT_12_clients_of_one_issuer_are_told_apart_by_their_tenants(
    tmp_path: Path, knowledge: Knowledge, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    south_key = Signer(which=2)
    north = registered(tmp_path, signer, name="north", tenants=["n"], services=["leg-weakness-order-sign"])
    south = registered(tmp_path, south_key, name="south", tenants=["s"])
    place = Place(tmp_path, knowledge, north, south)
    assert place.status("service", south_key.token(url("service"), claims={"tenant": "s"})) == 200
    assert place.status("service", signer.token(url("service"), claims={"tenant": "n"})) == 403
    assert place.status("service", signer.token(url("service"), claims={"tenant": "s"})) == 401
    assert reason(caplog) == "south: the signature is wrong"


def test_HTTP_403_a_service_that_is_not_registered_is_forbidden(
    tmp_path: Path, knowledge: Knowledge, signer: Signer
) -> None:
    place = Place(tmp_path, knowledge, registered(tmp_path, signer, services=["leg-weakness-order-sign"]))
    assert place.status("discovery", signer.token(url("discovery"))) == 200
    for address in ("service", "feedback"):
        answer = place.ask(address, f"Bearer {signer.token(url(address))}")
        assert answer.status_code == 403
        assert answer.get_json()["issue"][0]["code"] == "forbidden"


def test_JWT_08_JWT_09_a_token_may_name_the_registered_key_address_only(
    tmp_path: Path, knowledge: Knowledge, signer: Signer
) -> None:
    with listening(KeyServer(signer).speak) as server:
        fetched = {"name": "fetched", "issuer": ISSUER, "jwks": jwks_url(server)}
        (tmp_path / "jwks.json").write_bytes(key_set(signer))
        agreed = {
            "name": "agreed",
            "issuer": "https://agreed.example.org",
            "jwks": "jwks.json",
            "jku": "https://agreed.example.org/jwks",
        }
        place = Place(tmp_path, knowledge, fetched, agreed)

        def status(issuer: str, jku: Any) -> int:
            token = signer.token(url("service"), header={"jku": jku}, claims={"iss": issuer})
            return place.status("service", token)

        assert status(ISSUER, ...) == 200
        assert status(ISSUER, jwks_url(server)) == 200
        for wrong in (
            jwks_url(server) + "/",
            jwks_url(server) + "?",
            jwks_url(server).upper(),
            "",
            7,
            [jwks_url(server)],
        ):
            assert status(ISSUER, wrong) == 401
        assert status(str(agreed["issuer"]), "https://agreed.example.org/jwks") == 200
        assert status(str(agreed["issuer"]), jwks_url(server)) == 401
        assert server.connections == 1


def test_JWT_13_every_refusal_is_the_same_for_an_address_that_does_not_exist(place: Place) -> None:
    client = place.client
    for path in ("/cds-services/none", "/cds-services/none/feedback"):
        assert_plainly_refused(client.post(path, data=b"{}", content_type="application/json"))


def test_a_call_that_is_refused_is_not_read(place: Place, signer: Signer) -> None:
    answer = place.client.post(PATHS["service"], data=b"no JSON", content_type="text/plain")
    assert_plainly_refused(answer)
    headers = {"Authorization": f"bearer {signer.token(url('service'))}"}
    assert place.client.post(PATHS["service"], data=b"{", headers=headers).status_code == 415


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://CDS.Example.org:443/a/", "https://cds.example.org/a"),
        ("HTTP://cds.example.org:80", "http://cds.example.org"),
        ("https://cds.example.org:80/a", "https://cds.example.org:80/a"),
        ("https://cds.example.org/a?b=c", "https://cds.example.org/a?b=c"),
        ("https://cds.example.org/A", "https://cds.example.org/A"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]"),
        ("https://user@cds.example.org", "https://user@cds.example.org"),
        ("https://cds.example.org:99999/", "https://cds.example.org:99999/"),
        ("https://[cds.example.org/", "https://[cds.example.org/"),
        ("cds-service", "cds-service"),
        ("", ""),
    ],
)
def test_JWT_04_urls_are_compared_in_one_spelling(written: str, normal: str) -> None:
    assert normal_url(written) == normal
    assert normal_url(normal) == normal
