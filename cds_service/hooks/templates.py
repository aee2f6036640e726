"""Prefetch templates: what may stand in one in each version, and the query it becomes (CDS Hooks, prefetch template).

A template is a FHIR read or search with tokens between `{{` and `}}`. Up to version 2.0.1 a token names a field of the
context, from 2.0 on also an id of the user; version 3.0 adds the dates `today() - 30 days` and simple FHIRPath from the
context or from an earlier key (`%key`), in which only `ofType` and `resolve` may be called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from cds_service.fhir.references import parse_reference
from cds_service.hooks.clients import Profile
from cds_service.hooks.names import RESOURCE_TYPES
from cds_service.knowledge.services import Hook, Service

Resolve = Callable[[str], Mapping[str, Any] | None]
"""The resource that a reference points to, as JSON; None when it is not known."""

_TOKEN: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUERY: Final = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?:/(?:\{\}|[A-Za-z0-9.\-]+)|\?(?P<parameters>[^?#\s]+))")
_PARAMETER: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z_\-]*)(?::(?P<modifier>[^=]*))?=(?P<value>.+)")
_CONTROLS: Final = ("_id", "_lastUpdated", "_count", "_sort")
_OTHER_PREFIX: Final = re.compile(r"(?:ne|sa|eb|ap)(?:\d{4}|\{\})")
_TODAY: Final = re.compile(r"today\(\)(?:\s*[+-]\s*\d+ days?)?")
_PATH: Final = re.compile(r"(?:context|%(?P<key>[A-Za-z_][A-Za-z0-9_]*))(?P<steps>(?:\.[A-Za-z]\w*(?:\([^()]*\))?)+)")
_STEP: Final = re.compile(r"\.(?P<name>[A-Za-z]\w*)(?P<call>\((?P<argument>[^()]*)\))?")
_DEPENDENCY: Final = re.compile(r"%([A-Za-z_][A-Za-z0-9_]*)")
_BEFORE_1_0: Final = ("user", "Patient.id")
_USER_IDS: Final = {
    "userPractitionerId": "Practitioner", "userPractitionerRoleId": "PractitionerRole", "userPatientId": "Patient",
    "userRelatedPersonId": "RelatedPerson",
}  # fmt: skip
_WITH_USER_IDS: Final[tuple[Profile, ...]] = ("2.0.1", "3.0")
_PRIMITIVE: Final = ("userId", "patientId", "encounterId")
"""The context fields of our hooks that their definitions let stand as tokens."""
_WITH_DRAFTS: Final[Mapping[Hook, tuple[str, ...]]] = {
    "order-select": ("draftOrders", "selections"),
    "order-sign": ("draftOrders",),
}


def require_templates(service: Service, profile: Profile) -> None:
    """Raise ValueError when a template of `service` is not what clients of `profile` understand: key, what was found,
    what was expected.
    """
    for key, template in service.prefetch.items():
        for problem in (*_key_problems(key, service.prefetch), *_problems(template, service.hook, profile)):
            raise ValueError(f"service {service.id!r}: prefetch {key}: {problem}")


def fill(template: str, context: Mapping[str, Any], resolve: Resolve | None = None) -> str | None:
    """The query of a template for the context of a request (as JSON values); None when a token has no value in it.

    Several values of a token are joined by commas, which a search takes as any of them. `resolve` finds what a
    reference points to; without it nothing is looked up, and a literal reference is as good as the type and id in it.
    """
    values = {token: _value(token, context, resolve or _named) for token in _TOKEN.findall(template)}
    if not all(values.values()):
        return None
    return _TOKEN.sub(lambda found: values[found[1]], template)


def _key_problems(key: str, prefetch: Mapping[str, str]) -> Iterator[str]:
    if not _KEY.fullmatch(key):
        yield "expected a key of letters, digits and '_'"
    keys = list(prefetch)
    for name in _DEPENDENCY.findall(" ".join(_TOKEN.findall(prefetch[key]))):
        if name not in prefetch:
            yield f"found %{name}, expected the key of another template"
        elif key in _needed(name, prefetch):
            yield f"found %{name}, which depends on this key, expected no cycle"
        elif keys.index(name) > keys.index(key):
            yield f"found %{name}, expected it to stand before this key"


def _needed(key: str, prefetch: Mapping[str, str]) -> set[str]:
    """A key, and all that must be known before it can be asked for."""
    found: set[str] = set()
    wanted = [key]
    while wanted:
        one = wanted.pop()
        if one not in found:
            found.add(one)
            wanted += _DEPENDENCY.findall(" ".join(_TOKEN.findall(prefetch.get(one, ""))))
    return found


def _problems(template: str, hook: Hook, profile: Profile) -> Iterator[str]:
    if re.search(r"[{}]", _TOKEN.sub("", template)):
        yield "expected each token between {{ and }}"
        return
    shape, tokens = _TOKEN.sub("{}", template), _TOKEN.findall(template)
    for token in tokens:
        problem = _token_problem(token, hook, profile)
        if problem:
            yield f"token {token}: {problem}"
    if shape == "{}" and tokens == ["context.userId"]:
        return
    query = _QUERY.fullmatch(shape)
    if query is None or query["type"] not in RESOURCE_TYPES:
        yield "expected a FHIR read or search, relative to the base of the server"
        return
    for parameter in (query["parameters"] or "").split("&") if query["parameters"] else ():
        yield from _parameter_problems(parameter, profile)


def _parameter_problems(text: str, profile: Profile) -> Iterator[str]:
    found = _PARAMETER.fullmatch(text)
    if found is None:
        yield f"expected name=value, found {text}"
        return
    name, modifier, value = found["name"], found["modifier"], found["value"]
    if name.startswith("_") and name not in _CONTROLS and not (name == "_maxresults" and profile == "3.0"):
        yield f"found the parameter {name}, expected one of the restricted subset"
    if modifier not in (None, "in"):
        yield f"found the modifier :{modifier}, expected none but :in"
    if _OTHER_PREFIX.match(value):
        yield f"found the date prefix {value[:2]}, expected eq, lt, gt, ge or le"
    if name in ("_count", "_maxresults") and not value.isdecimal():
        yield f"found {name}={value}, expected a number"


def _token_problem(token: str, hook: Hook, profile: Profile) -> str | None:
    """What is wrong with a token, None when clients of `profile` understand it."""
    if token in _BEFORE_1_0:
        return "expected no form from before CDS Hooks 1.0"
    if token in [f"context.{name}" for name in _PRIMITIVE]:
        return None
    if token in _USER_IDS:
        return None if profile in _WITH_USER_IDS else "expected a field of the context, ids of the user came with 2.0"
    if profile != "3.0":
        return "expected a field of the context that is text, FHIRPath came with 3.0"
    if _TODAY.fullmatch(token):
        return None
    if "today" in token:
        return "expected today(), alone or with + or - a number of days"
    problems = (_path_problem(path.strip(), hook) for path in token.split("|"))
    return next((problem for problem in problems if problem), None)


def _path_problem(path: str, hook: Hook) -> str | None:
    found = _PATH.fullmatch(path)
    if found is None:
        return "expected a path from context or from %key"
    steps = list(_STEP.finditer(found["steps"]))
    if found["key"] is None:
        known = (*_PRIMITIVE, *_WITH_DRAFTS.get(hook, ()))
        if steps[0]["call"] or steps[0]["name"] not in known:
            return f"expected one of the context fields {', '.join(known)}"
        if steps[0]["name"] == "draftOrders" and len(steps) == 1:
            return "expected a path to text, found a resource"
    for step in steps:
        if step["call"] is None or (step["name"] == "resolve" and not step["argument"]):
            continue
        if step["name"] != "ofType":
            return f"expected no function but ofType, resolve and today, found {step['name']}"
        if step["argument"] not in RESOURCE_TYPES:
            return f"expected ofType of a FHIR type, found {step['argument']}"
    return None


def _value(token: str, context: Mapping[str, Any], resolve: Resolve) -> str:
    """What stands in place of a token; empty when there is nothing."""
    if token in _USER_IDS:
        user = parse_reference(str(context.get("userId", "")))
        return user.id if user is not None and user.type == _USER_IDS[token] else ""
    found: list[str] = []
    for path in token.split("|"):
        match = _PATH.fullmatch(path.strip())
        if match is not None and match["key"] is None:
            found += [one for one in _walk(context, match["steps"], resolve) if isinstance(one, str)]
    return ",".join(dict.fromkeys(found))


def _walk(context: Mapping[str, Any], steps: str, resolve: Resolve) -> list[Any]:
    """All that a path leads to, as FHIRPath has it: lists are gone through, what is not there is nothing."""
    found: list[Any] = [context]
    for step in _STEP.finditer(steps):
        name = step["name"]
        if step["call"] is None:
            found = [inner for one in found if isinstance(one, Mapping) for inner in _members(one, name)]
        elif name == "ofType":
            found = [one for one in found if isinstance(one, Mapping) and one.get("resourceType") == step["argument"]]
        elif name == "resolve":
            texts = [one.get("reference") if isinstance(one, Mapping) else one for one in found]
            resolved = [resolve(text) for text in texts if isinstance(text, str)]
            found = [one for one in resolved if one is not None]
        else:
            return []
    return found


def _members(one: Mapping[str, Any], name: str) -> list[Any]:
    """The values of a member; `medication` also means the member `medicationReference` (a choice of types)."""
    choice = re.compile(rf"{re.escape(name)}(?:[A-Z]\w*)?")
    values = [one[name]] if name in one else [value for member, value in one.items() if choice.fullmatch(member)]
    return [inner for value in values for inner in (value if isinstance(value, list) else [value])]


def _named(reference: str) -> Mapping[str, Any] | None:
    """As much of a resource as a literal reference tells of it."""
    target = parse_reference(reference)
    return {"resourceType": target.type, "id": target.id} if target else None
