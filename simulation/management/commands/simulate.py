"""Lets a made-up fleet report to a running server."""

import http.client
import ipaddress
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.conf import conf
from simulation.answers import made_up
from simulation.arguments import add_fleet_arguments, fleet_from
from simulation.fleet import Fleet, Version

TIMEOUT = 30  # seconds for one request
SHA = "0000000"


class Sender:
    """Sends requests to one server over several connections, and counts the statuses."""

    def __init__(self, url: SplitResult, connections: int) -> None:
        self.url = url
        self.statuses: Counter[str] = Counter()
        self.pool = ThreadPoolExecutor(connections)
        self.thread = threading.local()
        self.connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Wait for the last answers and close the connections."""
        self.pool.shutdown()
        for connection in self.connections:
            connection.close()

    def send(self, path: str, bodies: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Send each body, and yield the status of each answer, or "failed" if there is none."""
        for status in self.pool.map(lambda body: self._send(path, body), bodies):
            self.statuses[status] += 1
            yield status

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
        """Return the connection of this thread."""
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
        "Let a made-up fleet report to a running server. The fleet grows and upgrades, and "
        "instances opt out or are installed anew. The server counts all reports as today's."
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
            "--at-once",
            type=int,
            default=16,
            help="number of connections (default: %(default)s)",
        )
        parser.add_argument(
            "--anywhere", action="store_true", help="allow a server on another machine"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            raise CommandError("This command needs tqdm: pip install tqdm") from None
        fleet = fleet_from(options)
        url = parse_url(options["url"])
        if not options["anywhere"]:
            require_this_machine(url)
        if options["at_once"] < 1:
            raise CommandError("--at-once must be 1 or more.")
        sender = Sender(url, options["at_once"])
        bar = tqdm(unit=" reports", total=number_of_reports(fleet), file=self.stderr)
        with closing(sender), bar:
            for day in range(fleet.days):
                reports = (
                    body(name, version) for name, version in (*fleet.reports(day), *fleet.ci(day))
                )
                for status in sender.send("/", reports):
                    bar.update()
                    if status != "201":
                        bar.set_postfix(sender.statuses)
                for _ in sender.send("/forget", ({"id": name} for name in fleet.opt_outs(day))):
                    pass  # `send` is a generator: it sends while someone iterates over it
        answers = ", ".join(f"{status}: {n:,}" for status, n in sorted(sender.statuses.items()))
        self.stdout.write(f"answers {answers}")


def body(name: str, version: Version) -> dict[str, Any]:
    """Return a report; it has answers if there are questions."""
    report: dict[str, Any] = {"id": name, "version": {**version, "sha": SHA}}
    if conf.questions:
        report["answers"] = made_up(conf.questions, name)
    return report


def number_of_reports(fleet: Fleet) -> int:
    """Return how many reports a fleet sends."""
    return sum(1 for day in range(fleet.days) for _ in (*fleet.reports(day), *fleet.ci(day)))


def parse_url(url: str) -> SplitResult:
    """Return the parts of a server's URL. Raises CommandError if the URL is invalid."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise CommandError(f"{url!r} is not a valid URL; write one like http://127.0.0.1:8000.")
    return parts


def require_this_machine(url: SplitResult) -> None:
    """Raise CommandError unless every address of the host is one of this machine."""
    try:
        found = socket.getaddrinfo(url.hostname, url.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CommandError(f"{url.hostname} cannot be resolved.") from error
    if not all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found):
        raise CommandError(
            f"{url.hostname} is another machine; if the server is yours, add --anywhere."
        )
