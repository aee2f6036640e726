"""The command line. A command reads its arguments here and does its work in a module that it alone loads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cds_service import __version__
from cds_service.config import Config, ConfigError, read_config, require_loopback

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
@click.option("--clients", metavar="FILE", help="File of registered clients; without one it listens on loopback only.")
@_CARDS
def serve(**given: Any) -> None:
    """Run the service under gunicorn. Every option is a variable too, such as CDS_SERVICE_PORT.

    SIGHUP reads the cards and the clients again; cards that have changed are served when all cases pass. SIGTERM stops
    when the calls that came are answered.
    """
    from cds_service.app import builder
    from cds_service.knowledge.reading import KnowledgeError
    from cds_service.server import serve as run

    config = _config(**given)
    try:
        require_loopback(config)
        run(builder(config), config)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except KnowledgeError as error:
        text = f"the cards or the file of clients have mistakes; the service does not start.\n{error}"
        raise click.ClickException(text) from None


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
@click.option("--client", "client_name", metavar="NAME", help="Who asks: a client of the file of registered clients.")
@click.option("--clients", metavar="FILE", help="File of registered clients.")
@click.option("--memory", is_flag=True, help="With what this installation remembers of the patient: overridden cards.")
@_CARDS
def explain(
    requests: tuple[str, ...],
    service_id: str | None,
    now: str | None,
    client_name: str | None,
    clients: str | None,
    cards: str | None,
    *,
    as_json: bool,
    memory: bool,
) -> None:
    """Say of each card why it did or did not appear. A dash reads the request from standard input."""
    from cds_service.explain_requests import Asked, run_explain

    asked = Asked(service_id=service_id, now=now, client_name=client_name, memory=memory)
    sys.exit(run_explain(_config(cards=cards, clients=clients), requests, asked, as_json=as_json))


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


@main.command()
@click.option("--folder", default="trying-out", show_default=True, help="Where the keys are, or are made.")
@click.option("--issuer", default="https://ehr.example.org/", show_default=True, help="The client, as registered.")
@click.option("--audience", required=True, metavar="URL", help="The address that is to be called with the token.")
@click.option("--alg", type=click.Choice(["ES384", "RS384"]), default="ES384", show_default=True)
@click.option("--minutes", type=click.IntRange(1, 60), default=5, show_default=True, help="How long it is valid.")
@click.option("--tenant", help="The tenant, for an issuer that has several.")
def token(folder: str, issuer: str, audience: str, alg: str, minutes: int, tenant: str | None) -> None:
    """Make a key set and a JWT, for trying out the service with a file of registered clients.

    The token is printed; what to write into the file of clients is told beside it.
    """
    from cds_service.token import TokenError, run_token

    try:
        run_token(Path(folder), issuer=issuer, audience=audience, alg=alg, minutes=minutes, tenant=tenant)
    except TokenError as error:
        raise click.ClickException(str(error)) from None


@main.command()
def migrate() -> None:
    """Bring the database to the form that this version uses. The service does it too when it first opens one."""
    from cds_service.store.commands import run_migrate

    sys.exit(run_migrate(_config()))


@main.command()
@click.option("--retention-days", help="Keep so many days (default: CDS_SERVICE_RETENTION_DAYS, 730).")
def purge(retention_days: str | None) -> None:
    """Delete feedback and shown cards that are older than the retention, and tokens that have expired."""
    from cds_service.store.commands import run_purge

    sys.exit(run_purge(_config(retention_days=retention_days)))


def _config(**given: Any) -> Config:
    try:
        return read_config(**given)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
