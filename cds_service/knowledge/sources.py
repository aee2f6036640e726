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


APPEARS: Final = ("condition", "question", "text", "suggestion", "advice")
"""How a claim shows in the cards."""
_SOME: Final = validate.Length(min=1)


class ClaimSchema(Strict):
    """A claim of an article."""

    id = fields.String(required=True, validate=validate.Regexp(r"^S\d-\d\d$", error="must be such as S0-07"))
    section = fields.String(required=True)
    type = fields.String(required=True)
    statement = fields.String(required=True)
    appears = fields.List(fields.String(validate=validate.OneOf(APPEARS)), required=True, validate=_SOME)
    cards = fields.List(fields.String(), required=True, validate=_SOME)


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
            found[values["id"]] = Claim(
                id=values["id"],
                section=values["section"],
                type=values["type"],
                statement=values["statement"],
                appears=tuple(values["appears"]),
                cards=tuple(values["cards"]),
                path=node.path,
                line=node.line,
            )
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
