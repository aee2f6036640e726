"""The web application: what is served at which address, put together from the parts that do the work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask

from cds_service.check import require_proof
from cds_service.config import Config, installation_secret, require_public_url
from cds_service.health import health
from cds_service.hooks.authentication import Authenticator
from cds_service.hooks.clients import LOCAL, Clients
from cds_service.hooks.completion import Completion
from cds_service.hooks.cors import allow_origins
from cds_service.hooks.read_clients import read_clients
from cds_service.hooks.views import Clock, answer_errors, cds_hooks, system_clock
from cds_service.installation import Installation, discoveries
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import fingerprint, load_knowledge
from cds_service.openapi import openapi
from cds_service.operating.audit import Audit
from cds_service.operating.failures import Failures
from cds_service.operating.logs import log_call
from cds_service.operating.metrics import Metrics, metrics
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackStore
from cds_service.store.memory import CardMemory
from cds_service.store.seen import SeenTokens

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)


def create_app(config: Config, knowledge: Knowledge, clock: Clock = system_clock) -> Flask:
    """The application that answers CDS Hooks calls from `knowledge`.

    It opens no connection: the database is first used by the process that answers. Raises KnowledgeError when the file
    of registered clients has mistakes; ConfigError when it lacks the public URL that is needed beyond this machine, or
    there is no secret and none can be made.
    """
    app = Flask("cds_service", static_folder=None)
    registered = config.clients is not None
    clients = read_clients(config.clients, knowledge.services) if config.clients is not None else Clients()
    require_public_url(config, clients.public_url)
    if registered and clients.public_url is None:
        _log.warning("no public_url is registered: the audience of tokens is compared with the host that a call names")
    database = Database(config.database)
    remembered = CardMemory(database, installation_secret(config))
    trust = Authenticator(clients, SeenTokens(database).first_time, config.ca_bundle, config.state / "key-sets")
    ids = [service.id for service in knowledge.services]
    counted = Metrics(ids)
    audit = Audit(config.audit, partial(counted.failed, "audit")) if config.audit is not None else None
    installation = Installation(
        knowledge=knowledge,
        clients=clients,
        discoveries=discoveries(knowledge, clients.clients or [LOCAL]),
        authenticator=trust if registered else None,
        completion=Completion(config.fhir_seconds, config.max_body, config.ca_bundle),
        keys=remembered,
        memory=remembered if config.memory else None,
        feedback=FeedbackStore(database),
        observers=(log_call, counted.observe, *([audit.observe] if audit is not None else [])),
        note_failure=Failures(counted.failed).note,
    )
    answer_errors(app, config.max_body)
    app.register_blueprint(cds_hooks(installation, ids, clock=clock, max_body=config.max_body))
    app.register_blueprint(health(knowledge.version, lambda: _problems(database)))
    app.register_blueprint(metrics(counted))
    app.register_blueprint(openapi(knowledge.services, secured=registered))
    app.wsgi_app = _below(urlsplit(clients.public_url or "").path.rstrip("/"), app.wsgi_app)  # type: ignore[assignment, method-assign]
    allow_origins(app, {origin for client in clients.clients for origin in client.origins})
    return app


def builder(config: Config) -> Callable[[], Flask]:
    """What makes the application from the files as they are: at first when they have no mistakes, later, with the old
    application still serving, only when the cases of changed cards pass too. Raises KnowledgeError or ConfigError.
    """
    tried: set[str] = set()

    def build() -> Flask:
        files = fingerprint(config.cards, with_cases=True)
        knowledge = load_knowledge(config.cards)
        if tried and files not in tried:
            require_proof(knowledge)
        app = create_app(config, knowledge)
        tried.add(files)
        return app

    return build


def _below(folder: str, answer: WSGIApplication) -> WSGIApplication:
    """`answer` for addresses below `folder` too, for a proxy that passes on the whole path of the public URL."""

    def answer_below(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(f"{folder}/"):
            environ = {
                **environ,
                "SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + folder,
                "PATH_INFO": path[len(folder) :],
            }
        return answer(environ, start_response)

    return answer_below if folder else answer


def _problems(database: Database) -> list[str]:
    return (
        [] if database.writable() else ["The database cannot be written: feedback is refused, nothing is remembered."]
    )
