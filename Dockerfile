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
    && rm -r wheels
ENV PATH="/home/cds/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    CDS_SERVICE_DATABASE=sqlite:////var/lib/cds-service/cds-service.sqlite3
VOLUME /var/lib/cds-service
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
CMD ["cds-service", "serve", "--host", "0.0.0.0", "--port", "8080"]
