"""Health checks: one of the process, and one of the cache that holds the reports."""

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from collector import __version__
from collector.cache import records
from collector.conf import conf
from collector.fingerprint import fingerprint
from collector.views.endpoint import Endpoint, json_response


class Status(Struct, frozen=True):
    """The server accepts reports."""

    status: Literal["ready"]


class Health(Struct, frozen=True):
    """The server is alive. It runs this code with these settings."""

    status: Literal["alive"]
    release: str
    revision: Annotated[str, Meta(description="The revision of the source code, if it was set.")]
    fingerprint: Annotated[
        str, Meta(description="A digest of the code, which `manage.py fingerprint` prints too.")
    ]
    settings: dict[str, str]


class Healthz(Endpoint):
    """Returns 200 for as long as the process runs, even if the store is unavailable."""

    def get(self, request: HttpRequest) -> HttpResponse:
        settings = {name: value for name, value, _ in conf.in_force()}
        health = Health("alive", __version__, conf.revision, fingerprint(), settings)
        return json_response(health)


class Ready(Endpoint):
    """Returns 200 if the server can accept reports, and 503 while the store is unavailable."""

    def get(self, request: HttpRequest) -> HttpResponse:
        records().probe()
        return json_response(Status("ready"))
