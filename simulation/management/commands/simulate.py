"""`manage.py simulate` lets a made-up fleet report to a running server."""

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

from simulation.fleet import Fleet, Version
from simulation.fleet_options import add_fleet_options, fleet_from

TIMEOUT = 30  # seconds for one request
SHA = "0000000"


class Sender:
    """Sends requests to one server, on several connections at once."""

    def __init__(self, url: str, connections: int) -> None:
        self.url = urlsplit(url)
        self.statuses: Counter[str] = Counter()
        self.pool = ThreadPoolExecutor(connections)
        self.local = threading.local()
        self.connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Wait for the last responses, and close the connections."""
        self.pool.shutdown()
        for connection in self.connections:
            connection.close()

    def send(self, path: str, bodies: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Send each body; yield the status of each response, or "failed" if there is none."""
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
        if not hasattr(self.local, "connection"):
            secure = self.url.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            self.local.connection = kind(self.url.netloc, timeout=TIMEOUT)
            self.connections.append(self.local.connection)
        connection: http.client.HTTPConnection = self.local.connection
        return connection


class Command(BaseCommand):
    """Sends the reports of one day after the other, as fast as the server responds."""

    help = (
        "Let a made-up fleet report to a running server. Its instances upgrade, opt out and are "
        "reinstalled. The reports of all days arrive today, and the server counts them as today's."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "url",
            nargs="?",
            default="http://127.0.0.1:8000",
            help="where the server is (default: %(default)s)",
        )
        add_fleet_options(parser, instances=1000, days=30)
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
            raise CommandError("This command needs tqdm. Run: pip install tqdm") from None
        if options["at_once"] < 1:
            raise CommandError("The number for --at-once must be at least 1.")
        check_url(options["url"])
        if not options["anywhere"]:
            refuse_other_machines(options["url"])
        fleet = fleet_from(options)
        sender = Sender(options["url"], options["at_once"])
        bar = tqdm(unit=" reports", total=count_reports(fleet), file=self.stderr)
        with closing(sender), bar:
            for day in range(fleet.days):
                for status in sender.send("/", map(body, reports(fleet, day))):
                    bar.update()
                    if status != "201":
                        bar.set_postfix(sender.statuses)
                opt_outs = sender.send("/forget", ({"id": each} for each in fleet.opt_outs(day)))
                deque(opt_outs, maxlen=0)
        counts = ", ".join(f"{name}: {count:,}" for name, count in sorted(sender.statuses.items()))
        self.stdout.write(f"Responses by status: {counts}")


def reports(fleet: Fleet, day: int) -> Iterator[tuple[str, Version]]:
    """Yield the reports of a day, from instances and from test machines."""
    yield from fleet.reports(day)
    yield from fleet.ci(day)


def count_reports(fleet: Fleet) -> int:
    """Return how many reports a fleet sends."""
    return sum(1 for day in range(fleet.days) for _ in reports(fleet, day))


def body(report: tuple[str, Version]) -> dict[str, Any]:
    """Return what an instance sends."""
    instance, version = report
    return {"id": instance, "version": {**version, "sha": SHA}}


def check_url(url: str) -> None:
    """Raise CommandError if this is not the URL of a server."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of the port, or of an IPv6 address
        valid = False
    if not valid:
        raise CommandError(f"{url!r} is not a URL. Write one like http://127.0.0.1:8000.")


def refuse_other_machines(url: str) -> None:
    """Raise CommandError unless every address of the server is on this machine."""
    host = urlsplit(url).hostname
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CommandError(f"The name {host} has no address.") from error
    if not all(ipaddress.ip_address(each[4][0]).is_loopback for each in found):
        raise CommandError(f"{host} is another machine. If it is yours, add --anywhere.")
