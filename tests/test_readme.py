"""What the README shows is what the project holds."""

import re
from pathlib import Path

from click.testing import CliRunner
from flask.testing import FlaskClient

from cds_service.cli import main
from cds_service.config import Config
from cds_service.hooks.read_clients import read_clients
from cds_service.knowledge.knowledge import Knowledge

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_the_excerpt_of_a_card_stands_in_that_card() -> None:
    excerpt = next(text for text in YAML if "Potassium" in text)
    assert excerpt in (ROOT / "cards" / "electrolytes" / "hypokalemia.yaml").read_text(encoding="utf-8")


def test_every_file_that_is_linked_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_address_that_is_named_answers(client: FlaskClient) -> None:
    services = {service["id"] for service in client.get("/cds-services").get_json()["services"]}
    named = re.findall(r"(?:`|…)(?:POST /cds-services/)?(leg-weakness-[a-z-]+|-[a-z]+-[a-z]+)`", README)
    assert {name if name.startswith("leg") else f"leg-weakness{name}" for name in named} == services
    for path in re.findall(r"GET (/[a-z/.-]+)", README):
        assert client.get(path).status_code == 200


def test_the_request_that_is_explained_is_there() -> None:
    for path in re.findall(r"explain (fixtures/\S+)", README):
        assert (ROOT / path).is_file()


def test_the_clients_that_are_shown_can_be_registered(tmp_path: Path, knowledge: Knowledge) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(next(text for text in YAML if "clients:" in text))
    (client,) = read_clients(path, knowledge.services).clients
    assert (client.name, client.profile, client.prefetch_keys) == ("main-ehr", "2.0.1", {"their-key": "electrolytes"})


def test_every_setting_is_named_and_every_name_is_a_setting() -> None:
    named = set(re.findall(r"CDS_SERVICE_([A-Z_]+)", README))
    files = {name.removesuffix("_FILE") for name in named if name.endswith("_FILE")}
    assert files == {"DATABASE", "SECRET"}
    settings = {name.upper() for name in Config.__struct_fields__} - {"STATE"}
    assert named - {f"{name}_FILE" for name in files} == settings


def test_every_command_and_option_that_is_named_is_there(runner: CliRunner) -> None:
    for command in set(re.findall(r"cds-service ([a-z]+)", README)):
        assert runner.invoke(main, [command, "--help"]).exit_code == 0, command
    explained = runner.invoke(main, ["explain", "--help"]).output
    assert all(option in explained for option in ("--client", "--memory", "--now", "--json"))
