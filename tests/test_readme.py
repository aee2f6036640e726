"""What the README shows is what the project holds."""

import re
from pathlib import Path

from flask.testing import FlaskClient

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_excerpt_of_a_card_stands_in_that_card() -> None:
    excerpt = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0]
    assert excerpt in (ROOT / "cards" / "electrolytes" / "hypokalemia.yaml").read_text(encoding="utf-8")


def test_every_file_that_is_linked_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_address_that_is_named_answers(client: FlaskClient) -> None:
    services = {service["id"] for service in client.get("/cds-services").get_json()["services"]}
    named = re.findall(r"(?:`|…)(?:POST /cds-services/)?(leg-weakness-[a-z-]+|-[a-z]+-[a-z]+)`", README)
    assert {name if name.startswith("leg") else f"leg-weakness{name}" for name in named} == services
    for path in re.findall(r"GET (/[a-z/-]+)", README):
        assert client.get(path).status_code == 200


def test_the_request_that_is_explained_is_there() -> None:
    for path in re.findall(r"explain (fixtures/\S+)", README):
        assert (ROOT / path).is_file()
