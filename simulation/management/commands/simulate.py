"""Let a made-up fleet report to a running server."""

import http.client
import ipaddress
import json
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from simulation.arguments import add_fleet_arguments, fleet_from
from simulation.fleet import Fleet

TIMEOUT = 30  # seconds for one request
SHA = "0000000"


class Sender:
    """Sends requests to one server from several threads, each on a connection of its own."""

    def __init__(self, url: str, threads: int) -> None:
        self.url = urlsplit(url)
        self.outcomes: Counter[str] = Counter()
        self.pool = ThreadPoolExecutor(threads)
        self.thread = threading.local()
        self.connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Wait for the last answers, and close the connections."""
        self.pool.shutdown()
        for connection in self.connections:
            connection.close()

    def send(self, path: str, bodies: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Send each body, and yield the status of each answer, or "failed" without one."""
        for outcome in self.pool.map(lambda body: self._send(path, body), bodies):
            self.outcomes[outcome] += 1
            yield outcome

    def _send(self, path: str, body: dict[str, Any]) -> str:
        connection = self._connection()
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", self.url.path.rstrip("/") + path, json.dumps(body), headers)
            response = connection.getresponse()
            response.read()
            return str(response.status)
        except (OSError, http.client.HTTPException):
            connection.close()
            return "failed"

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self.thread, "connection"):
            secure = self.url.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            self.thread.connection = kind(self.url.netloc, timeout=TIMEOUT)
            self.connections.append(self.thread.connection)
        connection: http.client.HTTPConnection = self.thread.connection
        return connection


class Command(BaseCommand):
    """Plays the days of a fleet, one after the other, as fast as the server answers."""

    help = (
        "Let a made-up fleet report to a running server. Instances are installed, upgraded, "
        "reinstalled and tested, and some opt out. The server counts all reports as today's."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "url",
            nargs="?",
            default="http://127.0.0.1:8000",
            help="URL of the server (default: %(default)s)",
        )
        add_fleet_arguments(parser, instances=1000, days=30)
        parser.add_argument(
            "--at-once", type=int, default=16, help="number of connections (default: %(default)s)"
        )
        parser.add_argument(
            "--anywhere", action="store_true", help="allow a server on another machine"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            raise CommandError("This command needs tqdm: run `pip install tqdm`.") from None
        if not options["anywhere"]:
            refuse_other_machines(options["url"])
        fleet, days = fleet_from(options), range(options["days"])
        sender = Sender(options["url"], options["at_once"])
        bar = tqdm(unit=" reports", total=total(fleet, days), file=self.stderr)
        with closing(sender), bar:
            for day in days:
                reports = (report(*each) for each in (*fleet.reports(day), *fleet.ci(day)))
                for outcome in sender.send("/", reports):
                    bar.update()
                    if outcome != "201":
                        bar.set_postfix(sender.outcomes)
                erased = sender.send("/forget", ({"id": id_} for id_ in fleet.opt_outs(day)))
                deque(erased, maxlen=0)
        counts = (f"{status}: {count:,}" for status, count in sorted(sender.outcomes.items()))
        self.stdout.write(f"answers {', '.join(counts)}")


def total(fleet: Fleet, days: Iterable[int]) -> int:
    """Return how many reports a fleet sends on these days."""
    return sum(1 for day in days for _ in (*fleet.reports(day), *fleet.ci(day)))


def refuse_other_machines(url: str) -> None:
    """Raise CommandError unless every address of the server is on this machine."""
    host = urlsplit(url).hostname
    if not host:
        raise CommandError(f"{url!r} is not a URL; write one like http://127.0.0.1:8000.")
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        raise CommandError(f"{host} is not found.") from error
    if not all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found):
        raise CommandError(f"{host} is another machine; if it is yours, add --anywhere.")


def report(id_: str, version: dict[str, str | None]) -> dict[str, Any]:
    """Return the body of a report."""
    return {"id": id_, "version": {**version, "sha": SHA}}
