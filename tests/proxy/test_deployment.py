"""What docker-compose.yml brings up, brought up by hand: PostgreSQL, the service with the same variables, the proxy."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
import pytest
import requests
import yaml
from click.testing import CliRunner
from postgres.cluster import Cluster, cluster

from cds_service import sandbox
from cds_service.cli import main
from cds_service.config import PREFIX
from cds_service.demo import DEFAULT_PATIENT, local_session, read_patient, running_service
from proxy.servers import ROOT, Proxy, running_proxy

PUBLIC: Final = "https://cds.example.org"
ISSUER: Final = "https://ehr.example.org/"
DISCOVERY: Final = "/cds-services"
SERVICE: Final = "/cds-services/leg-weakness-patient-view"
TIMEOUT: Final = 30


class Deployment(NamedTuple):
    """All of it, running: the database server, the URL of the service itself, the proxy, the folders of the site."""

    database: Cluster
    service: str
    proxy: Proxy
    site: Path
    tls: Path

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        """The answer to a call over https, with a token or without."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        with local_session() as session:
            url, authority = self.proxy.url + path, str(self.tls / "ca.pem")
            return session.request(method, url, headers=headers, verify=authority, timeout=TIMEOUT, **options)

    def directly(self, path: str) -> requests.Response:
        """The answer of the service itself, as who is beside it in the network gets it."""
        with local_session() as session:
            return session.get(self.service + path, timeout=TIMEOUT)

    def token(self, path: str) -> str:
        """A token of the registered client for one call of a path."""
        return make_token(self.site, path)

    def request(self) -> dict[str, Any]:
        """A request about a patient, made from what discovery says."""
        services = self.call("GET", DISCOVERY, self.token(DISCOVERY)).json()["services"]
        service = next(one for one in services if SERVICE.endswith(one["id"]))
        return sandbox.request(service, read_patient(DEFAULT_PATIENT))


def make_token(site: Path, path: str) -> str:
    folder = str(site / "clients" / "trying-out")
    arguments = ["token", "--folder", folder, "--issuer", ISSUER, "--audience", PUBLIC + path]
    made = CliRunner().invoke(main, arguments)
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def variables(site: Path) -> dict[str, str]:
    """The variables of the compose file without their prefix, the paths of the container being those of the site."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found = {}
    for name, value in compose["services"]["cds-service"]["environment"].items():
        assert name.startswith(PREFIX)
        here = value.replace("/etc/cds-service", f"{site}/clients").replace("/run/secrets", f"{site}/secrets")
        found[name.removeprefix(PREFIX)] = here
    return found


@contextlib.contextmanager
def deployed(tls: Path, site: Path) -> Iterator[Deployment]:
    for name in ("clients", "secrets", "state/cds-service"):
        (site / name).mkdir(parents=True)
    make_token(site, DISCOVERY)
    client = {"name": "main-ehr", "issuer": ISSUER, "jwks": "trying-out/jwks.json"}
    (site / "clients" / "clients.yaml").write_text(json.dumps({"public_url": PUBLIC, "clients": [client]}))
    (site / "secrets" / "secret").write_text(secrets.token_hex(32) + "\n")
    with pytest.MonkeyPatch.context() as patch, cluster() as database:
        with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE cds")
        (site / "secrets" / "database").write_text(database.url("cds") + "\n")
        patch.setenv("XDG_STATE_HOME", str(site / "state"))  # as the Dockerfile sets it
        with (
            running_service(DATABASE="", **variables(site)) as url,  # without that of the demonstration
            running_proxy(tls, int(url.rpartition(":")[2])) as proxy,
        ):
            yield Deployment(database, url, proxy, site, tls)


@pytest.fixture(scope="module")
def deployment(tls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One for all tests that leave it as it is."""
    with deployed(tls, tmp_path_factory.mktemp("site")) as deployment:
        yield deployment


def test_SEC_01_JSON_01_a_registered_client_gets_discovery_and_cards_and_sends_feedback_over_https(
    deployment: Deployment,
) -> None:
    request = deployment.request()
    answer = deployment.call("POST", SERVICE, deployment.token(SERVICE), json=request)
    assert answer.status_code == 200, answer.text
    cards = [card["uuid"] for card in answer.json()["cards"]]
    assert cards
    entry = {"card": cards[0], "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
    path = f"{SERVICE}/feedback"
    feedback = deployment.call("POST", path, deployment.token(path), json={"feedback": [entry]})
    assert (feedback.status_code, feedback.content) == (200, b"")
    with psycopg.connect(deployment.database.url("cds")) as connection:
        assert connection.execute("SELECT client, card, outcome FROM feedback").fetchall() == [
            ("main-ehr", cards[0], "overridden")
        ]
        shown = {row[0] for row in connection.execute("SELECT uuid FROM shown")}
    assert shown == set(cards)
    audit = (deployment.site / "state" / "cds-service" / "audit.jsonl").read_text().splitlines()
    asked = {one.headers["X-Correlation-ID"]: one.status_code for one in (answer, feedback)}
    assert {line["correlation_id"]: line["status"] for line in map(json.loads, audit)}.items() >= asked.items()


def test_JWT_01_JWT_11_without_a_token_or_with_a_used_one_the_answer_is_401(deployment: Deployment) -> None:
    assert deployment.call("GET", DISCOVERY).status_code == 401
    token = deployment.token(DISCOVERY)
    answers = [deployment.call("GET", DISCOVERY, token).status_code for _ in range(8)]  # by any of the workers
    assert answers == [200, *[401] * 7]


def test_metrics_and_readiness_are_there_for_neighbours_and_not_through_the_proxy(deployment: Deployment) -> None:
    for path in ("/metrics", "/health/ready"):
        assert deployment.directly(path).status_code == 200
        assert deployment.call("GET", path, deployment.token(path)).status_code == 404
    assert deployment.call("GET", "/health/live").json() == {"status": "live"}


def test_the_description_of_the_interface_is_public(deployment: Deployment) -> None:
    assert deployment.call("GET", "/openapi.json").json()["openapi"].startswith("3.1")


def test_a_body_of_the_longest_length_reaches_the_service_and_a_longer_one_does_not(deployment: Deployment) -> None:
    limit = int(variables(deployment.site)["MAX_BODY"])
    for length, status in ((limit, 400), (limit + 1, 413)):
        answer = deployment.call("POST", SERVICE, deployment.token(SERVICE), data=b" " * length)
        assert answer.status_code == status, answer.text


def test_when_the_database_goes_cards_flow_and_feedback_is_to_be_sent_again(tls: Path, tmp_path: Path) -> None:
    with deployed(tls, tmp_path) as deployment:
        request = deployment.request()
        deployment.database.stop()
        assert deployment.directly("/health/ready").json()["status"] == "degraded"
        answer = deployment.call("POST", SERVICE, deployment.token(SERVICE), json=request)
        assert answer.status_code == 200
        assert answer.json()["cards"]
        entry = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
        path = f"{SERVICE}/feedback"
        refused = deployment.call("POST", path, deployment.token(path), json={"feedback": [entry]})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
