"""What a server says of itself."""

from django.http import HttpRequest, HttpResponse

from collector import __version__
from collector.cache import records
from collector.conf import conf
from collector.fingerprint import fingerprint
from collector.numbers.answers import Health, Status
from collector.views.endpoint import Endpoint, answer


def health() -> Health:
    """That it is alive, what code it runs, and how that is set."""
    settings = {name: value for name, value, _ in conf.in_force()}
    return Health("alive", __version__, conf.revision, fingerprint(), settings)


class Healthz(Endpoint):
    """Alive: true of a process that answers, whatever its store does."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer(health())


class Ready(Endpoint):
    """Can take reports: 503 while the store is away."""

    def get(self, request: HttpRequest) -> HttpResponse:
        records().probe()
        return answer(Status("ready"))
