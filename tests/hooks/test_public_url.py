"""How clients reach the service: by a public URL, perhaps below a folder, or as the request says."""

from __future__ import annotations

from pathlib import Path

import pytest
from keys import NOW, Signer, register, registered

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.knowledge.knowledge import Knowledge

PUBLIC = "https://cds.example.org/legs/r1"


@pytest.mark.parametrize("path", ["/legs/r1/cds-services", "/cds-services"])
@pytest.mark.parametrize("given", [PUBLIC, f"{PUBLIC}/"])
def test_DISC_01_JWT_04_below_a_folder_it_answers_with_and_without_it(
    tmp_path: Path, knowledge: Knowledge, path: str, given: str
) -> None:
    signer = Signer()
    clients = register(tmp_path, registered(tmp_path, signer), public_url=given)
    config = read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{tmp_path}/s.sqlite3"}, clients=clients)
    client = create_app(config, knowledge, lambda: NOW * 1000).test_client()
    token = signer.token(f"{PUBLIC}/cds-services")
    answer = client.get(path, base_url="http://127.0.0.1:8080", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.get_json()["services"]
    other = signer.token(
        f"https://cds.example.org{path}" if path == "/cds-services" else f"http://127.0.0.1:8080{path}"
    )
    refused = client.get(path, base_url="http://127.0.0.1:8080", headers={"Authorization": f"Bearer {other}"})
    assert (refused.status_code, refused.get_data()) == (401, b"")


def test_DISC_01_another_folder_is_not_found(tmp_path: Path, knowledge: Knowledge) -> None:
    clients = register(tmp_path, registered(tmp_path, Signer()), public_url=PUBLIC)
    config = read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{tmp_path}/s.sqlite3"}, clients=clients)
    client = create_app(config, knowledge).test_client()
    for path in ("/legs/cds-services", "/legs/r1", "/legs/r1cds-services", "/legs/r1/legs/r1/cds-services"):
        assert client.get(path).status_code == 404


def test_HTTP_404_a_client_is_told_only_of_its_own_services(tmp_path: Path, knowledge: Knowledge) -> None:
    signer, own = Signer(), "leg-weakness-order-sign"
    clients = register(tmp_path, registered(tmp_path, signer, services=[own]), public_url=PUBLIC)
    config = read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{tmp_path}/s.sqlite3"}, clients=clients)
    client = create_app(config, knowledge, lambda: NOW * 1000).test_client()
    token = signer.token(f"{PUBLIC}/cds-services/none")
    answer = client.post("/cds-services/none", headers={"Authorization": f"Bearer {token}"}, json={})
    assert answer.status_code == 404
    assert f"Services: {own}." in answer.get_data(as_text=True)
    token = signer.token(f"{PUBLIC}/cds-services")
    found = client.get("/cds-services", headers={"Authorization": f"Bearer {token}"}).get_json()["services"]
    assert [service["id"] for service in found] == [own]
