"""The command line. A command reads its arguments here and does its work in a module that it alone loads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cds_service import __version__
from cds_service.config import Config, ConfigError, read_config

_CARDS = click.option(
    "--cards", metavar="FOLDER", help="Folder of card definitions, instead of the one that came along."
)


@click.group()
@click.version_option(__version__, prog_name="cds-service")
def main() -> None:
    """Clinical decision support for leg weakness over CDS Hooks."""


@main.command()
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", help="Port to listen on (default 8080).")
@click.option("--workers", help="How many processes answer (default 2).")
@_CARDS
def serve(**given: Any) -> None:
    """Run the service under gunicorn. Every option is a variable too, such as CDS_SERVICE_PORT."""
    from cds_service.app import create_app
    from cds_service.knowledge.load import load_knowledge
    from cds_service.knowledge.reading import KnowledgeError
    from cds_service.server import serve as run

    config = _config(**given)
    try:
        knowledge = load_knowledge(config.cards)
    except KnowledgeError as error:
        raise click.ClickException(f"the knowledge has mistakes; the service does not start.\n{error}") from None
    run(create_app(config, knowledge), config)


@main.command()
@click.argument("patient", required=False)
def demo(patient: str | None) -> None:
    """Start the service, send it a patient over HTTP, print the cards, stop.

    PATIENT is the name of a synthetic patient that came along, or a file with a FHIR Bundle.
    """
    from rich.console import Console

    from cds_service.demo import DEFAULT_PATIENT, DemoError, run_demo

    try:
        run_demo(patient or DEFAULT_PATIENT, Console())
    except DemoError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("requests", metavar="REQUEST.json…", nargs=-1, required=True)
@click.option("--service", "service_id", metavar="ID", help="Service to ask (default: the one of the request's hook).")
@click.option("--now", metavar="TIME", help="When it is, such as 2026-11-20T10:00:00Z (default: now).")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each request.")
@_CARDS
def explain(
    requests: tuple[str, ...], service_id: str | None, now: str | None, as_json: bool, cards: str | None
) -> None:
    """Say of each card why it did or did not appear. A dash reads the request from standard input."""
    from cds_service.explain_requests import run_explain

    sys.exit(run_explain(_config(cards=cards).cards, requests, service_id=service_id, now=now, as_json=as_json))


@main.command()
@click.option("--card", "only", metavar="ID", multiple=True, help="Run the cases of this card alone; may be repeated.")
@click.option("--mutate", is_flag=True, help="Then change the knowledge place by place: do the cases notice?")
@_CARDS
def check(only: tuple[str, ...], *, mutate: bool, cards: str | None) -> None:
    """Check the knowledge: schema, conditions, units, codes, sources, and all cases."""
    from cds_service.check import run_check
    from cds_service.mutate import run_mutate

    folder = _config(cards=cards).cards
    failed = run_check(folder, only)
    if failed and mutate:
        click.echo("Nothing was changed: the check must pass first.")
    sys.exit(failed or (run_mutate(folder, only) if mutate else 0))


@main.command()
@click.argument("release", metavar="FOLDER")
@_CARDS
def rxnorm(release: str, cards: str | None) -> None:
    """Build the table of clinical drugs from a RxNorm release.

    FOLDER is an unpacked RxNorm Current Prescribable Content (or full) release: RXNCONSO.RRF and RXNREL.RRF, in it or
    in its folder rrf.
    """
    from cds_service.rxnorm import run_rxnorm

    sys.exit(run_rxnorm(Path(release), _config(cards=cards).cards))


@main.command()
@click.option("--into", metavar="FOLDER", default="docs/cards", show_default=True, help="Where the pages are written.")
@_CARDS
def pages(into: str, cards: str | None) -> None:
    """Write what each card does, for people, as Markdown pages made from the definitions."""
    from cds_service.pages import run_pages

    sys.exit(run_pages(_config(cards=cards).cards, Path(into)))


def _config(**given: Any) -> Config:
    try:
        return read_config(**given)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
