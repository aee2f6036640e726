"""Cross-origin calls: which browser clients may call the addresses of CDS Hooks (checklist, CORS-01 and CORS-02).

The fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol) has a browser ask first, without credentials:
that question is answered before anybody looks for a JWT.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from flask import Flask, Response, request
from flask_cors import CORS

from cds_service.hooks.views import CORRELATION_HEADER

_ADDRESSES: Final = re.compile(r"/cds-services(?:/[^/]+(?:/feedback)?)?/?\Z")
_METHODS: Final = ("GET", "POST")
_HEADERS: Final = ("authorization", "content-type")
_REMEMBERED: Final = 600
"""Seconds for which a browser may remember the answer to its question."""


def allow_origins(app: Flask, origins: Collection[str]) -> None:
    """Let pages of `origins` (such as `https://ehr.example.org`) call discovery, the services and feedback.

    No other address of `app` is opened, no other origin, none at all without `origins`. Cookies and other credentials
    of the browser play no part. Raises ValueError for `*`: an origin is named.
    """
    if not origins:
        return
    if "*" in origins:
        raise ValueError("expected origins such as https://ehr.example.org, found *")
    CORS(
        app,
        resources={_ADDRESSES: {}},
        origins=[re.compile(rf"{re.escape(origin)}\Z", re.IGNORECASE) for origin in origins],
        methods=_METHODS,
        allow_headers=_HEADERS,
        expose_headers=[CORRELATION_HEADER],
        max_age=_REMEMBERED,
        supports_credentials=False,
        always_send=False,
        vary_header=False,
        intercept_exceptions=False,
    )

    @app.after_request
    def _vary(answer: Response) -> Response:
        if _ADDRESSES.match(request.path):
            answer.vary.add("Origin")  # for every origin, and for none: a cache keeps their answers apart
        return answer
