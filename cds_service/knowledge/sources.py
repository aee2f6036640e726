"""Reading the evidence: the claims of the two articles, the guidelines, the override reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from marshmallow import fields, validate

from cds_service.knowledge.card import Claim, Guideline
from cds_service.knowledge.reading import Problems, read_yaml
from cds_service.knowledge.schema import GuidelineSchema, Strict, conforms

OVERRIDE_SYSTEM: Final = "urn:leg-weakness-cds:override-reason"
"""The code system of our override reasons."""


class ClaimSchema(Strict):
    """A claim of an article."""

    id = fields.String(required=True, validate=validate.Regexp(r"^S\d-\d\d$", error="must be such as S0-07"))
    section = fields.String(required=True)
    type = fields.String(required=True)
    statement = fields.String(required=True)
    appears = fields.Raw(required=True)
    cards = fields.List(fields.String())


def read_guidelines(folder: Path, problems: Problems) -> dict[str, Guideline]:
    """The guidelines of `cards/sources/guidelines.yaml`, by id."""
    found = {}
    for id_, node in read_yaml(folder / "guidelines.yaml", problems).items():
        if conforms(GuidelineSchema, node, problems):
            values = {"year": None, "url": None, **node.plain()}
            found[id_] = Guideline(id=id_, **values)
    return found


def read_claims(folder: Path, problems: Problems) -> dict[str, Claim]:
    """The claims of `cards/sources/articles.yaml`, by id."""
    found: dict[str, Claim] = {}
    for _, article in read_yaml(folder / "articles.yaml", problems).items():
        claims = article.get("claims")
        for node in claims or ():
            if not conforms(ClaimSchema, node, problems):
                continue
            values = node.plain()
            if values["id"] in found:
                problems.add(node, f"the claim {values['id']} a second time", "each claim once")
            found[values["id"]] = Claim(values["id"], values["section"], values["type"], values["statement"])
    return found


def read_override_reasons(path: Path, problems: Problems) -> dict[str, str]:
    """The words of each override reason, by code."""
    found = {}
    for code, node in read_yaml(path, problems).items():
        if isinstance(node.value, str) and node.value:
            found[code] = node.value
        else:
            problems.add(node, node.words, "the words of the reason")
    return found
