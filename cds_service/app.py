"""The web application: what is served at which address, put together from the parts that do the work."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask

from cds_service.config import Config
from cds_service.health import health
from cds_service.hooks.call import answer
from cds_service.hooks.errors import Unavailable
from cds_service.hooks.feedback import FeedbackEntry
from cds_service.hooks.views import Clock, answer_errors, cds_hooks, system_clock
from cds_service.knowledge.knowledge import Knowledge
from cds_service.store.feedback import FeedbackStore, Unwritable


def create_app(config: Config, knowledge: Knowledge, clock: Clock = system_clock) -> Flask:
    """The application that answers CDS Hooks calls from `knowledge`.

    It opens no connection: the database is first used by the process that answers.
    """
    app = Flask("cds_service", static_folder=None)
    store = FeedbackStore(config.database)

    def call(service_id: str, body: bytes, now: int) -> bytes:
        return answer(knowledge, service_id, body, now).body

    def save_feedback(service_id: str, entries: Sequence[FeedbackEntry]) -> None:
        try:
            store.save(service_id, entries)
        except Unwritable as error:
            raise Unavailable(["The feedback could not be stored."]) from error

    answer_errors(app, config.max_body)
    app.register_blueprint(cds_hooks(knowledge.services, call, save_feedback, clock=clock, max_body=config.max_body))
    app.register_blueprint(health(knowledge.version, store.writable))
    return app
