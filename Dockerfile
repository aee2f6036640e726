# The wheel is built in one stage; the other holds only what runs, owned by a user without rights.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY cards cards
COPY fixtures fixtures
COPY cds_service cds_service
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 cds \
    && install --directory --owner=cds --group=cds --mode=700 /var/lib/cds-service
USER cds
WORKDIR /home/cds
COPY --chown=cds:cds requirements.lock ./
COPY --chown=cds:cds --from=build /wheels ./wheels
RUN python -m venv venv \
    && venv/bin/pip install --no-cache-dir --requirement requirements.lock \
    && venv/bin/pip install --no-cache-dir --no-deps wheels/*.whl \
    && venv/bin/pip check \
    && rm -r wheels
# Database (when none is set), audit trail and secret are kept in /var/lib/cds-service. It listens on all addresses of
# the container, which it does only with a file of registered clients: CDS_SERVICE_CLIENTS.
ENV PATH="/home/cds/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/var/lib \
    CDS_SERVICE_HOST=0.0.0.0 \
    CDS_SERVICE_PORT=8080
VOLUME /var/lib/cds-service
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/live', timeout=4)"]
CMD ["cds-service", "serve"]
