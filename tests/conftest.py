import json
import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client
from hypothesis import HealthCheck, settings

from collector.cache import records
from tests.servers import Server
from tests.store.redis_server import RedisServer

pytest.register_assert_rewrite("tests.unit.cache.model")
NOON = "2026-03-10T12:00:00Z"
VERSION = {"app": "0.91.0", "sha": "0a1b2c3", "image": "ghcr.io/x/y", "arch": "x86_64-linux"}


# Few examples while someone waits, many in CI. No deadline: tests must not depend on the speed of
# the machine.
EXAMPLES = 100 if os.environ.get("CI") else 20
settings.register_profile(
    "suite",
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still at noon until the test moves it."""
    with time_machine.travel(NOON, tick=False) as coordinates:
        records().clear()
        yield coordinates


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    records().clear()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real store, shared by all tests that do not break it."""
    server = RedisServer()
    with pytest.MonkeyPatch.context() as patch:
        # A busy machine must not look like an outage.
        patch.setattr("collector.cache.connection.TIMEOUT", 30)
        yield server
    server.stop()


@pytest.fixture
def set_cache_options(settings: Any) -> Callable[..., None]:
    """Put the reports into another cache, which has further OPTIONS."""

    def change(**options: Any) -> None:
        entry = settings.CACHES["records"]
        options = entry["OPTIONS"] | options
        settings.CACHES = {"records": entry | {"LOCATION": f"{options}", "OPTIONS": options}}

    return change


@pytest.fixture
def post(client: Client) -> Callable[..., HttpResponse]:
    """Send a body: bytes unchanged, anything else as JSON."""

    def send(body: Any, path: str = "/", content_type: str = "application/json") -> HttpResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(data))}
        return client.generic("POST", path, data, content_type, **headers)

    return send


@pytest.fixture
def report(post: Callable[..., HttpResponse]) -> Callable[..., str]:
    """Report as an instance, a new one unless its id is given; return the id."""

    def send(id: str | None = None, **version: Any) -> str:
        id = id or str(uuid4())
        assert post({"id": id, "version": VERSION | version}).status_code == 201
        return id

    return send


@pytest.fixture
def stats(client: Client) -> Callable[..., Any]:
    """Return the statistics for a query."""

    def fetch(query: str = "") -> Any:
        response = client.get(f"/stats{query}")
        assert response.status_code == 200
        return json.loads(response.content)

    return fetch


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Start servers with arguments for gunicorn and an environment; they stop after the test."""
    servers = []

    def begin(*arguments: Any, **options: Any) -> Server:
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that all tests of a module share."""
    running = Server().wait_until_ready()
    yield running
    running.stop()
