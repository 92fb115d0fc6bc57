# Headcount's image: one stage installs it, and another, without its source, runs it. The server needs
# no shell, no root user and no writable folder.
FROM python:3.13-slim AS base

FROM base AS build
WORKDIR /app
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY collector collector
RUN python3 -m venv /venv
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt && /venv/bin/pip install --no-deps .
RUN rm -r collector pyproject.toml requirements.txt README.md build headcount.egg-info
COPY tracking_site tracking_site
COPY manage.py gunicorn.conf.py ./
ENV STATIC_ROOT=/app/static
RUN /venv/bin/python manage.py collectstatic --no-input
RUN /venv/bin/python -m compileall -q tracking_site

FROM base
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY deploy/config /config
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin PORT=9292 STATIC_ROOT=/app/static PYTHONDONTWRITEBYTECODE=1
ARG REVISION=""
ENV REVISION=$REVISION
LABEL org.opencontainers.image.title=Headcount org.opencontainers.image.licenses=MIT org.opencontainers.image.revision=$REVISION
USER 65532:65532
EXPOSE 9292
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=3); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["gunicorn", "tracking_site.wsgi"]
