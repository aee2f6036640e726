"""What attackers and careless clients send instead of a right token is refused, in the same words for every reason.

Every test goes over HTTP, to each address of an application at the time of the fixtures.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from attacks import ATTACKS
from keys import Signer, registered
from loopback import listening
from place import PATHS, Place, assert_plainly_refused, reason, url

from cds_service.knowledge.knowledge import Knowledge


@pytest.fixture
def place(tmp_path: Path, knowledge: Knowledge) -> Place:
    """Two registered clients; main-ehr has a key for ES384, k-1, and one for RS384, k-2."""
    both = registered(tmp_path, Signer(), Signer("RS384", "k-2"))
    other = registered(tmp_path, Signer(issuer="https://other.example.org", which=9), name="other")
    return Place(tmp_path, knowledge, both, other)


def assert_refused(place: Place, caplog: pytest.LogCaptureFixture, row: str, name: str) -> None:
    """That an attack is refused in the same words at all addresses, asks nobody, and leaves no trace but its reason."""
    attack = ATTACKS[row][name]
    for address in PATHS:
        caplog.clear()
        with listening() as trap, caplog.at_level(logging.DEBUG):
            authorization = attack.header(url(address), trap)
            assert_plainly_refused(place.ask(address, authorization))
            assert trap.connections == 0
        assert reason(caplog) == attack.reason
        logged = "\n".join(str(vars(record)) for record in caplog.records)
        for part in (authorization or "").removeprefix("Bearer ").split("."):
            assert len(part) < 10 or part not in logged


@pytest.mark.parametrize("name", ATTACKS["JWT_01"])
def test_JWT_01_JWT_13_SEC_02_HTTP_401_a_call_needs_a_bearer_token(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_01", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_02"])
def test_JWT_02_JWT_13_a_header_that_is_not_as_it_must_be_is_refused(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_02", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_03"])
def test_JWT_03_JWT_13_a_claim_that_is_missing_or_wrong_is_refused(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_03", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_04"])
def test_JWT_04_DISC_18_FB_14_a_token_for_another_address_is_refused(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_04", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_05"])
def test_JWT_05_unsigned_symmetric_and_forged_signatures_are_refused(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_05", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_06"])
def test_JWT_06_another_algorithm_than_registered_is_refused(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_06", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_07"])
def test_JWT_07_an_issuer_that_is_not_registered_is_refused_and_nobody_is_asked(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_07", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_09"])
def test_JWT_09_keys_are_those_registered_whatever_kid_and_jku_say(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_09", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_10"])
def test_JWT_10_a_token_outside_its_time_is_refused(place: Place, caplog: pytest.LogCaptureFixture, name: str) -> None:
    assert_refused(place, caplog, "JWT_10", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_12"])
def test_JWT_12_a_tenant_that_is_no_text_is_refused(place: Place, caplog: pytest.LogCaptureFixture, name: str) -> None:
    assert_refused(place, caplog, "JWT_12", name)


@pytest.mark.parametrize("name", ATTACKS["JWT_14"])
def test_JWT_14_keys_in_a_token_critical_headers_and_keys_of_another_kind_are_refused(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(place, caplog, "JWT_14", name)
