"""Whether the server is alive, and whether it can accept reports."""

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from collector import __version__
from collector.cache import records
from collector.conf import conf
from collector.fingerprint import fingerprint
from collector.views.endpoint import Endpoint, answer


class Status(Struct, frozen=True):
    """That the server can accept reports."""

    status: Literal["ready"]


class Health(Struct, frozen=True):
    """That the server is alive, which code it runs, and its settings."""

    status: Literal["alive"]
    release: str
    revision: Annotated[str, Meta(description="The revision of the source code, if it was set.")]
    fingerprint: Annotated[
        str, Meta(description="A digest of the code, which `manage.py fingerprint` prints too.")
    ]
    settings: dict[str, str]


def health() -> Health:
    """Return what the server says about itself."""
    settings = {name: value for name, value, _ in conf.in_force()}
    return Health("alive", __version__, conf.revision, fingerprint(), settings)


class Healthz(Endpoint):
    """Answers 200 for as long as the process runs, even if the store is unavailable."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer(health())


class Ready(Endpoint):
    """Answers 200 if the server can accept reports, and 503 while the store is unavailable."""

    def get(self, request: HttpRequest) -> HttpResponse:
        records().probe()
        return answer(Status("ready"))
