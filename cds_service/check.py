"""`cds-service check`: the knowledge read, checked and compiled, and every case of every card run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import click

from cds_service.chart.chart import Chart
from cds_service.evaluate import Judgement, evaluate
from cds_service.explain import missing
from cds_service.fhir.dates import milliseconds
from cds_service.hooks.call import chart_of
from cds_service.hooks.cards import CardWriter
from cds_service.hooks.errors import Refused
from cds_service.hooks.prefetch import require_prefetch
from cds_service.hooks.request import read_request
from cds_service.knowledge.cases import NOW, Case, cases_path, read_cases, request_body
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import load_knowledge
from cds_service.knowledge.prefetch import services
from cds_service.knowledge.reading import KnowledgeError, Problem, Problems
from cds_service.knowledge.services import Service
from cds_service.select import Shown, select

_NOW = milliseconds(NOW)


@dataclass(frozen=True, slots=True)
class Failure:
    """A case whose outcome differs: what was found, what was expected."""

    case: Case
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.case.path}:{self.case.line}: {self.case}: found {self.found}; expected {self.expected}"


def all_cases(knowledge: Knowledge) -> list[Case]:
    """The cases of all cards that are not retired. Raises KnowledgeError when one cannot be read."""
    problems = Problems()
    found = [case for card in knowledge.order for case in read_cases(card, knowledge, problems)]
    known = {cases_path(card) for card in knowledge.cards.values()}
    folders = {card.path.parent for card in knowledge.cards.values()}
    for path in sorted(path for folder in folders for path in folder.glob("*.cases.yaml") if path not in known):
        problems.at(path, 1, 1, "cases without a card", f"the card {path.name.replace('.cases', '')} beside them")
    problems.check()
    return found


@lru_cache(maxsize=4)
def _services(knowledge: Knowledge) -> dict[str, Service]:
    found = services(knowledge.cards, knowledge.suggestions, knowledge.codes, also_drafts=True)
    return {service.hook: service for service in found}


def chart_of_case(case: Case, knowledge: Knowledge) -> Chart:
    """The chart of a case, by way of the request that a client would send. Raises Refused."""
    service = _services(knowledge)[case.hook]
    request = read_request(request_body(case, service), service)
    require_prefetch(request.prefetch, service)
    return chart_of(request, knowledge.codes, _NOW)


def run_case(case: Case, knowledge: Knowledge) -> list[Failure]:
    """Send a case the way a client would and compare what comes out; nothing when all is as expected."""
    try:
        chart = chart_of_case(case, knowledge)
    except Refused as error:
        return [Failure(case, f"a refusal with status {error.status} ({error})", case.expect)]
    return list(compare(case, evaluate(chart, knowledge, also_drafts=True)))


def compare(case: Case, judgement: Judgement) -> Iterator[Failure]:
    """What of a case's expectations a judgement does not meet."""
    outcome = judgement.by_id[case.card]
    verdict: str = "not-applicable" if outcome.not_for else outcome.verdict
    found = str(outcome.indicator) if verdict == "holds" else verdict
    lacks = missing(outcome, judgement) if found != case.expect or case.missing else []
    if found != case.expect:
        yield Failure(case, found, case.expect)
        if lacks:
            yield Failure(case, f"missing: {', '.join(f'{one.fact} {one.reason}' for one in lacks)}", "(as above)")
        return
    for fact in case.missing:
        if fact not in {one.fact for one in lacks}:
            named = ", ".join(one.fact for one in lacks) or "nothing"
            yield Failure(case, f"missing: {named}", f"missing: {fact}")
    if not (case.says or case.suggests or case.suggests_not):
        return
    writer = CardWriter(judgement)
    shown = next((one for one in select(judgement).cards if one.id == case.card), Shown(outcome))
    card = writer.card(shown)
    text = " ".join(f"{card['summary']}\n{card['detail']}".split())
    for words in case.says:
        if words not in text:
            yield Failure(case, f"the text: {text}", f"'{words}' in it")
    offered = writer.offered(outcome)
    for id_ in case.suggests:
        if id_ not in offered:
            yield Failure(case, f"the suggestions {', '.join(offered) or 'none'}", f"{id_} among them")
    for id_ in case.suggests_not:
        if id_ in offered:
            yield Failure(case, f"the suggestion {id_}", "it not to be offered")


def uncovered(knowledge: Knowledge) -> list[Problem]:
    """The claims of the articles that no live card names, and those whose list of cards is not the cards that do."""
    naming: dict[str, list[str]] = {}
    for card in knowledge.order:
        for id_ in card.claims:
            naming.setdefault(id_, []).append(card.id)
    live = {card.id for card in knowledge.order if card.status in ("active", "silent")}
    found = []
    for claim in knowledge.claims.values():
        named = naming.get(claim.id, [])
        if not live.intersection(named):
            found.append(Problem(claim.path, claim.line, 1, f"no live card that names {claim.id}", "one"))
        elif sorted(named) != sorted(claim.cards):
            listed = f"{', '.join(sorted(claim.cards))} under {claim.id}"
            expected = f"the cards that name it: {', '.join(sorted(named))}"
            found.append(Problem(claim.path, claim.line, 1, listed, expected))
    return found


def require_proof(knowledge: Knowledge) -> None:
    """Run every case, and see that every claim is covered. Raises KnowledgeError with each case that fails or cannot be
    read, and each claim that is not.
    """
    failures = [failure for case in all_cases(knowledge) for failure in run_case(case, knowledge)]
    problems = [Problem(one.case.path, one.case.line, 1, one.found, one.expected) for one in failures]
    problems += uncovered(knowledge)
    if problems:
        raise KnowledgeError(problems)


def run_check(folder: Path, only: Collection[str] = ()) -> int:
    """Print every mistake and every failed case of all cards, or of those named; 0 when there is none, else 1."""
    try:
        knowledge = load_knowledge(folder)
        cases = all_cases(knowledge)
    except KnowledgeError as error:
        click.echo(str(error))
        count = len(error.problems)
        click.echo(f"{count} {'mistake' if count == 1 else 'mistakes'} in the knowledge.")
        return 1
    unknown = [id_ for id_ in only if id_ not in knowledge.cards]
    if unknown:
        click.echo(f"found the unknown card {', '.join(unknown)}; expected an id of a card of {folder}")
        return 1
    if only:
        cases = [case for case in cases if case.card in only]
    failures = [failure for case in cases for failure in run_case(case, knowledge)]
    for failure in failures:
        click.echo(str(failure))
    by_status: dict[str, int] = {}
    for card in knowledge.cards.values():
        by_status[card.status] = by_status.get(card.status, 0) + 1
        if card.waits_for:
            click.echo(f"{card.id} is silent: it waits for codes of {', '.join(card.waits_for)}")
    counted = ", ".join(f"{count} {status}" for status, count in by_status.items())
    failed = len({str(failure.case) for failure in failures})
    click.echo(f"Knowledge {knowledge.version}: {len(knowledge.cards)} cards ({counted}), {len(knowledge.suggestions)} "
               f"suggestions, {len(knowledge.claims)} claims, {len(knowledge.guidelines)} guidelines.")  # fmt: skip
    click.echo(f"{len(cases) - failed} cases passed, {failed} failed.")
    gaps = uncovered(knowledge)
    for gap in gaps:
        click.echo(gap)
    click.echo(f"{len(knowledge.claims) - len(gaps)} of {len(knowledge.claims)} claims of the articles are covered.")
    return 1 if failures or gaps else 0
