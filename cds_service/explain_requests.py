"""`cds-service explain`: why each card did or did not appear, for people or as one line of JSON a request."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cds_service.config import Config, ConfigError, installation_secret
from cds_service.evaluate import Outcome
from cds_service.explain import Because, Missing, because, facts, missing
from cds_service.fhir.dates import milliseconds, written
from cds_service.history import NOTHING, History
from cds_service.hooks.call import Answer, answer, unreadable_resources
from cds_service.hooks.clients import LOCAL, Client
from cds_service.hooks.envelope import read_envelope, read_value
from cds_service.hooks.errors import BadRequest, Issue, NotFound, Refused, operation_outcome
from cds_service.hooks.read_clients import read_clients
from cds_service.hooks.request import Request
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import load_knowledge
from cds_service.knowledge.reading import KnowledgeError
from cds_service.store.commands import place_of
from cds_service.store.database import Database, Unwritable
from cds_service.store.memory import CardMemory

_WIDTH: Final = 160
"""Columns where there is no terminal."""
_COLOURS: Final = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_ORDER: Final = ("shown", "merged", "withheld", "suppressed", "unknown", "quiet", "not-applicable")
_STYLES: Final = {"shown": "bold", "merged": "bold", "unknown": "magenta", "quiet": "dim", "not-applicable": "dim"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the requests: of which service (None: the one of the hook), when (None: now), by which client
    (None: the local one), and whether with what the installation remembers.
    """

    service_id: str | None
    now: str | None
    client_name: str | None
    memory: bool


def run_explain(config: Config, paths: Sequence[str], asked: Asked, *, as_json: bool) -> int:
    """Explain each request in turn; the exit code: 0 when all were answered, 1 when one was refused, 2 for bad
    arguments.
    """
    try:
        moment = _moment(asked.now)
        knowledge = load_knowledge(config.cards)
        client = _client(config, knowledge, asked.client_name)
        if asked.memory and asked.client_name is None and config.clients is not None:
            raise ValueError("--memory: found no --client, expected the registered client that asks")
        memory = _memory(config) if asked.memory else None
        bodies = [(path, _read(path)) for path in paths]
    except KnowledgeError as error:
        click.echo(f"There are mistakes in the cards or the clients.\n{error}", err=True)
        return 2
    except (ValueError, OSError, ConfigError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2

    def recall(request: Request) -> History:
        if memory is None:
            return NOTHING
        history = memory.history(client.name, request, moment)
        count = len(history.showings)
        place = place_of(config.database)
        click.echo(
            f"{place} remembers {count} findings of this patient, shown in other calls to {client.name}", err=True
        )
        return history

    refused = False
    for path, body in bodies:
        try:
            service_id = _service(knowledge, body, asked.service_id)
            answered = answer(knowledge, service_id, body, moment, client=client, recall=recall)
        except Unwritable as error:
            click.echo(f"Error: the database cannot be read ({error})", err=True)
            return 2
        except Refused as error:
            refused = True
            _tell_refused(path, error, as_json)
            continue
        if as_json:
            click.echo(json.dumps(explained(answered, knowledge), ensure_ascii=False))
        else:
            _print(path, answered)
    return 1 if refused else 0


def _client(config: Config, knowledge: Knowledge, name: str | None) -> Client:
    if name is None:
        return LOCAL
    registered = read_clients(config.clients, knowledge.services).clients if config.clients is not None else ()
    for client in registered:
        if client.name == name:
            return client
    known = ", ".join(client.name for client in registered) or "none; see --clients"
    raise ValueError(f"--client: found '{name}', expected a registered client: {known}")


def _memory(config: Config) -> CardMemory:
    """What the installation remembers; only reading, it makes no secret of its own."""
    if config.secret is None and not (config.state / "secret").is_file():
        raise ValueError(f"--memory: found no installation in {config.state}, expected the settings of the service")
    return CardMemory(Database(config.database), installation_secret(config))


def _moment(now: str | None) -> int:
    if now is None:
        return milliseconds(datetime.now(UTC))
    try:
        moment = datetime.fromisoformat(now)
    except ValueError:
        raise ValueError(f"--now: found '{now}', expected a time such as 2026-11-20T10:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"--now: found '{now}' without a time zone, expected one such as 2026-11-20T10:00:00Z")
    return milliseconds(moment)


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None


def _service(knowledge: Knowledge, body: bytes, service_id: str | None) -> str:
    if service_id is not None:
        if knowledge.service(service_id) is None:
            known = ", ".join(service.id for service in knowledge.services)
            raise NotFound(f"No service has this id. Services: {known}.")
        return service_id
    raw = read_envelope(body).fields.get("hook")
    hook = read_value(raw, "hook") if raw is not None else None
    for service in knowledge.services:
        if service.hook == hook:
            return service.id
    if hook is None:
        raise BadRequest([Issue("required", "hook: expected a CDS Hooks request, found JSON without a hook.", "hook")])
    raise NotFound("No service is for the hook of this request.")


def _tell_refused(path: str, error: Refused, as_json: bool) -> None:
    outcome = json.loads(operation_outcome(error, str(uuid4())))
    if as_json:
        click.echo(json.dumps({"error": {"status": error.status, "outcome": outcome}}, ensure_ascii=False))
        return
    click.echo(f"{path}: refused with status {error.status}")
    for issue in outcome["issue"]:
        click.echo(f"  {issue.get('diagnostics') or issue.get('details', {}).get('text', issue['code'])}")


def explained(answered: Answer, knowledge: Knowledge) -> dict[str, Any]:
    """The explanation of an answer as plain data, as `explain --json` prints it."""
    judgement = answered.judgement
    return {
        "service": answered.request.service_id,
        "now": written(judgement.chart.now),
        "knowledge": knowledge.version,
        "outcomes": [_outcome(outcome, answered) for outcome in judgement.outcomes],
        "unreadable": unreadable_resources(judgement.chart),
        "skipped": dict(judgement.chart.skipped),
        "cards": answered.cards,
        **({"extension": answered.extension} if answered.extension else {}),
    }


def _outcome(outcome: Outcome, answered: Answer) -> dict[str, Any]:
    placement = answered.selection.placements[outcome.card.id]
    reasons, lacks = because(outcome), missing(outcome, answered.judgement)
    found: dict[str, Any] = {"card": outcome.card.id, "outcome": placement.kind}
    if outcome.indicator is not None and placement.kind in ("shown", "merged", "withheld", "suppressed"):
        shown = next((one for one in answered.selection.cards if one.id == outcome.card.id), None)
        found["indicator"] = shown.indicator if shown is not None else outcome.indicator
    if placement.reason or outcome.reason:
        found["reason"] = placement.reason or outcome.reason
    if placement.into:
        found["into"] = placement.into
    if outcome.preliminary:
        found["preliminary"] = True
    found["because"] = [
        {"condition": one.condition, "is": one.value, "facts": list(one.facts), "line": one.line} for one in reasons
    ]
    found["missing"] = [_missing(one) for one in lacks]
    found["facts"] = facts(outcome, answered.judgement, _names(outcome, reasons, lacks))
    return found


def _names(outcome: Outcome, reasons: list[Because], lacks: list[Missing]) -> list[str]:
    names = [name for one in reasons for name in one.facts] + [one.fact for one in lacks]
    if outcome.verdict in ("holds", "suppressed"):
        names += sorted(outcome.card.summary.names | outcome.card.detail.names)
    return list(dict.fromkeys(names))


def _missing(one: Missing) -> dict[str, Any]:
    found: dict[str, Any] = {"fact": one.fact, "reason": one.reason, "could_be": one.could_be}
    if one.within:
        found["within"] = one.within
    if one.details:
        found["details"] = list(one.details)
    return found


def _print(path: str, answered: Answer) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    data = explained(answered, answered.judgement.knowledge)
    console.print(f"[bold]{escape(path)}[/bold]: {data['service']} at {data['now']}, knowledge {data['knowledge']}")
    table = Table(show_lines=False, expand=True)
    for heading in ("card", "outcome", "because", "missing"):
        narrow = heading in ("card", "outcome")
        table.add_column(heading, overflow="fold", no_wrap=narrow, ratio=None if narrow else 1)
    for one in sorted(data["outcomes"], key=lambda one: _ORDER.index(one["outcome"])):
        indicator = one.get("indicator", "")
        kind = f"[{_STYLES.get(one['outcome'], 'none')}]{one['outcome']}[/]"
        if indicator:
            kind += f" [{_COLOURS[indicator]}]{indicator}[/]"
        reasons = [
            f"{reason['condition']} is {str(reason['is']).lower()} (line {reason['line']})"
            f"{_values(reason, one['facts'])}"
            for reason in one["because"]
        ]
        if "reason" in one:
            reasons.insert(0, one["reason"])
        if "into" in one:
            reasons.insert(0, f"a line of {one['into']}")
        table.add_row(
            one["card"], kind, escape("\n".join(reasons)), escape("\n".join(_words(lack) for lack in one["missing"]))
        )
    console.print(table)
    for resource in data["unreadable"]:
        console.print(f"not read: {escape(resource['resource'])}: {escape(resource['reason'])}")
    for card in data["cards"]:
        console.print(f"[{_COLOURS[card['indicator']]}]{card['indicator']}[/] {escape(card['summary'])}")
    if not data["cards"]:
        console.print("no cards")


def _values(reason: dict[str, Any], known: dict[str, Any]) -> str:
    """The results that a condition rests on, as ` [Potassium 2.8 mmol/L]`."""
    found = [(name, known[name]) for name in reason["facts"] if isinstance(known.get(name), dict)]
    words = [f"{name} {fact['value']} {fact.get('unit', '')}".rstrip() for name, fact in found if "value" in fact]
    return f" [{', '.join(words)}]" if words else ""


def _words(lack: dict[str, Any]) -> str:
    where = f" within {lack['within']}" if "within" in lack else ""
    details = f" ({'; '.join(lack['details'])})" if "details" in lack else ""
    return f"{lack['fact']}: {lack['reason']}{where}{details}; could be {lack['could_be']}"
