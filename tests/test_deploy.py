"""The files of the deployment fit each other, the program, and what docs/deploy.md says of them.

That they run is seen in tests/proxy, which needs nginx and PostgreSQL.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from cds_service.config import PREFIX, Config, installation_secret, read_config, require_loopback
from cds_service.hooks import authentication
from cds_service.hooks.clients import Client
from cds_service.hooks.read_clients import read_clients
from cds_service.knowledge.knowledge import Knowledge

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROXY: Final = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]
SETTINGS: Final = {PREFIX + name.upper() for name in Config.__struct_fields__ if name != "state"}
FROM_FILES: Final = {f"{PREFIX}DATABASE_FILE", f"{PREFIX}SECRET_FILE"}


def image_variables() -> dict[str, str]:
    """The variables that the image sets."""
    joined = DOCKERFILE.replace("\\\n", " ")
    words = [word for line in joined.splitlines() if line.startswith("ENV ") for word in shlex.split(line[4:])]
    return dict(word.split("=", 1) for word in words)


def example_clients(knowledge: Knowledge) -> dict[str, Client]:
    found = read_clients(ROOT / "deploy" / "clients.example.yaml", knowledge.services)
    return {client.name: client for client in found.clients}


def code_blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", DOCS, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def volumes(service: str) -> Iterator[tuple[str, str]]:
    """What a container mounts: where it is on the host (a path or a volume), and where in the container."""
    for volume in SERVICES[service].get("volumes", []):
        source, target = volume.split(":")[:2]
        yield source, target


def test_the_variables_of_image_and_compose_file_start_the_service(tmp_path: Path) -> None:
    written = {
        "/etc/cds-service/clients.yaml": "clients: []",
        "/run/secrets/database": "postgresql://cds:word@postgres/cds\n",
        "/run/secrets/secret": "0" * 64 + "\n",
    }
    environment = image_variables() | SERVICES["cds-service"]["environment"]
    for name, value in environment.items():
        if value in written:
            environment[name] = str(tmp_path / name)
            (tmp_path / name).write_text(written.pop(value))
    assert not written
    config = read_config(environment)
    require_loopback(config)
    assert (config.host, config.port) == ("0.0.0.0", 8080)  # noqa: S104
    assert config.database == "postgresql://cds:word@postgres/cds"
    assert installation_secret(config) == b"0" * 64
    assert config.audit == Path("/var/lib/cds-service/audit.jsonl")


def test_the_variables_of_image_and_compose_file_are_settings() -> None:
    for name in (*image_variables(), *SERVICES["cds-service"]["environment"]):
        assert not name.startswith(PREFIX) or name in SETTINGS | FROM_FILES


def test_no_secret_stands_in_the_compose_file_or_in_the_image() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|DATABASE", name) or name.endswith("_FILE"), name
            assert "://" not in value
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {
        f"./deploy/site/secrets/{name}" for name in COMPOSE["secrets"]
    }
    used = [name for service in SERVICES.values() for name in service.get("secrets", [])]
    assert sorted(used) == sorted(COMPOSE["secrets"])


def test_what_belongs_to_a_site_stays_out_of_the_repository_and_the_image() -> None:
    assert "deploy/site/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    assert not any(line.startswith("!deploy") for line in ignored)


def test_each_file_of_a_secret_is_made_by_the_docs() -> None:
    for secret in COMPOSE["secrets"].values():
        assert re.search(rf"> {secret['file'].removeprefix('./')}$", DOCS, re.MULTILINE), secret


def test_what_is_mounted_is_there_or_made_by_the_docs() -> None:
    for service in SERVICES:
        for source, target in volumes(service):
            assert target.startswith("/")
            if source.startswith("./"):
                path = source.removeprefix("./")
                assert (ROOT / path).exists() or path in "\n".join(code_blocks("sh")), source
            else:
                assert source in COMPOSE["volumes"]


def test_only_the_proxy_can_be_reached_from_outside_and_the_database_by_the_service_alone() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    ports = {port.split(":")[1] for port in SERVICES["proxy"]["ports"]}
    assert ports == set(re.findall(r"listen (\d+)", PROXY))
    assert COMPOSE["networks"]["database"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert SERVICES["proxy"]["networks"] == ["outside"]


def test_the_containers_that_are_reached_run_without_rights() -> None:
    for name in ("cds-service", "proxy"):
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r"^USER cds$", DOCKERFILE, re.MULTILINE)


def test_the_limit_for_bodies_is_the_same_in_proxy_and_service() -> None:
    proxy = re.findall(r"client_max_body_size (\d+);", PROXY)
    assert proxy == [SERVICES["cds-service"]["environment"]["CDS_SERVICE_MAX_BODY"]]


def test_the_proxy_passes_on_addresses_of_the_application_and_not_its_inner_ones(app: Flask) -> None:
    passed = re.findall(r"location (=|~) (\S+) \{\s*proxy_pass http://\$service;", PROXY)
    assert len(passed) == PROXY.count("proxy_pass http://$service;")
    rules = {str(rule) for rule in app.url_map.iter_rules()}
    service = "leg-weakness-patient-view"
    reached = {
        rule
        for rule in rules
        for kind, pattern in passed
        if (rule == pattern if kind == "=" else re.search(pattern, rule.replace("<service_id>", service)))
    }
    assert {pattern for kind, pattern in passed if kind == "="} <= rules
    assert rules - reached == {"/metrics", "/health/ready"}


def test_the_image_copies_what_is_there_and_needs_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for line in re.findall(r"^COPY (?!.*--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = [word for word in line.split() if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


def test_the_lock_file_has_every_package_that_the_wheel_needs() -> None:
    needed = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    assert needed is not None
    locked = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    names = {re.sub(r"[._]", "-", name.lower()) for name in locked}
    for name in re.findall(r'"([A-Za-z0-9._-]+)', needed[1]):
        assert re.sub(r"[._]", "-", name.lower()) in names, name


def test_the_reader_accepts_the_example_of_registered_clients(knowledge: Knowledge) -> None:
    clients = example_clients(knowledge)
    epic, oracle, other = clients.values()
    assert (epic.algorithms, epic.one_action) == (("RS384",), True)
    assert (oracle.issuer, oracle.profile) == ("https://cds-hooks.cerner.com", "1.0")
    assert oracle.tenants, "one issuer for all customers of the vendor"
    assert other.origins


def test_the_files_of_clients_in_the_docs_are_accepted(tmp_path: Path, knowledge: Knowledge) -> None:
    texts = [text for text in code_blocks("yaml") if "\nclients:" in text]
    assert texts
    for text in texts:
        (tmp_path / "clients.yaml").write_text(
            text.replace("trying-out/jwks.json", "https://ehr.example.org/jwks.json")
        )
        assert read_clients(tmp_path / "clients.yaml", knowledge.services).clients


def test_every_key_of_a_registered_client_is_in_the_docs() -> None:
    section = DOCS.partition("## Registered clients")[2].partition("\n## ")[0]
    keys = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))
    assert keys == {"public_url", *Client.__struct_fields__} - {"jwks_file"}


@pytest.mark.parametrize("text", code_blocks("yaml"))
def test_a_block_of_yaml_in_the_docs_can_be_read(text: str) -> None:
    assert isinstance(yaml.safe_load(text), dict)


def test_every_setting_is_in_the_table_and_every_variable_that_is_named_is_a_setting() -> None:
    section = DOCS.partition("## Settings")[2]
    table = set(re.findall(rf"`({PREFIX}[A-Z_]+)`", "".join(re.findall(r"^\| .*? \|", section, re.MULTILINE))))
    assert table == SETTINGS | FROM_FILES
    assert set(re.findall(rf"{PREFIX}[A-Z_]+", DOCS.replace(f"{PREFIX}DATABASE…", ""))) <= table


def test_the_defaults_in_the_table_are_those_of_the_program(tmp_path: Path) -> None:
    config = read_config({f"{PREFIX}DATABASE": f"sqlite:///{tmp_path}/db"})
    told = re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \| `([a-z0-9.]+)`", DOCS, re.MULTILINE)
    assert len(told) == 10
    for name, default in told:
        assert default == written(getattr(config, name.lower())), name


def written(value: object) -> str:
    """A default as the docs write it."""
    match value:
        case True:
            return "on"
        case Path():
            return value.name
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def test_every_metric_in_the_docs_is_counted(client: FlaskClient) -> None:
    shown = client.get("/metrics").get_data(as_text=True)
    named = set(re.findall(r"\bcds_[a-z_]+[a-z]", DOCS)) - {"cds_outside", "cds_state"}
    assert named
    for name in named:
        assert f"# TYPE {name.removesuffix('_bucket')} " in shown, name


def test_the_reasons_in_the_docs_are_those_of_the_log() -> None:
    row = next(line for line in DOCS.splitlines() if line.startswith("| 401 |"))
    source = Path(authentication.__file__).read_text(encoding="utf-8")
    reasons = [text for text in re.findall(r"`([^`]+)`", row) if " " in text]
    assert len(reasons) == 6
    for reason in reasons:
        assert reason in source, reason


def test_every_file_that_is_linked_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", DOCS):
        assert target.startswith("https://") or (ROOT / "docs" / target).resolve().exists(), target


def test_volume_and_network_are_called_as_compose_calls_them() -> None:
    assert COMPOSE["name"] == "cds"
    for name in re.findall(r"\bcds_(state|outside)\b", DOCS):
        assert name in {*COMPOSE["volumes"], *COMPOSE["networks"]}
