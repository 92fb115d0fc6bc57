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

from simulation.fleet import Fleet

TIMEOUT = 30  # seconds for one request
SHA = "0000000"


class Sender:
    """Sends reports to one server, some at once, a kept connection each; `came` counts statuses."""

    def __init__(self, url: str, at_once: int) -> None:
        self.url = urlsplit(url)
        self.came: Counter[str] = Counter()
        self.pool = ThreadPoolExecutor(at_once)
        self.mine = threading.local()
        self.connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Wait for the last answers and close the connections."""
        self.pool.shutdown()
        for connection in self.connections:
            connection.close()

    def send(self, path: str, bodies: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Send each body; the status of each answer, "failed" if there was none."""
        for outcome in self.pool.map(lambda body: self._send(path, body), bodies):
            self.came[outcome] += 1
            yield outcome

    def _send(self, path: str, body: dict[str, Any]) -> str:
        connection = getattr(self.mine, "connection", None)
        if connection is None:
            secure = self.url.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            connection = self.mine.connection = kind(self.url.netloc, timeout=TIMEOUT)
            self.connections.append(connection)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", self.url.path.rstrip("/") + path, json.dumps(body), headers)
            response = connection.getresponse()
            response.read()
            return str(response.status)
        except (OSError, http.client.HTTPException):
            connection.close()
            return "failed"


class Command(BaseCommand):
    """Plays the days of a fleet, one after the other, as fast as the server answers."""

    help = (
        "Let a made-up fleet report to a running server: it grows, upgrades, opts out, is "
        "installed anew and tested. The server counts all days as today."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000", help="of the server")
        parser.add_argument("--installations", type=int, default=1000, help="after the last day")
        parser.add_argument("--days", type=int, default=30, help="that are played")
        parser.add_argument(
            "--releases", type=int, default=14, help="published before and meanwhile"
        )
        parser.add_argument("--seed", type=int, default=0, help="the same seed, the same fleet")
        parser.add_argument("--at-once", type=int, default=16, help="connections")
        parser.add_argument("--anywhere", action="store_true", help="also to another machine")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            raise CommandError("This needs tqdm: pip install tqdm") from None
        if not options["anywhere"]:
            refuse_others(options["url"])
        fleet = Fleet(
            options["installations"], options["days"], options["releases"], options["seed"]
        )
        sender = Sender(options["url"], options["at_once"])
        bar = tqdm(unit=" reports", total=total(fleet, options["days"]), file=self.stderr)
        with closing(sender), bar:
            for day in range(options["days"]):
                reports = (_report(*sent) for sent in (*fleet.reports(day), *fleet.ci(day)))
                for outcome in sender.send("/", reports):
                    bar.update()
                    if outcome != "201":
                        bar.set_postfix(sender.came)
                forgotten = sender.send("/forget", ({"id": name} for name in fleet.opt_outs(day)))
                deque(forgotten, maxlen=0)
        told = ", ".join(f"{status}: {count:,}" for status, count in sorted(sender.came.items()))
        self.stdout.write(f"answers {told}")


def total(fleet: Fleet, days: int) -> int:
    """How many reports a fleet sends."""
    return sum(1 for day in range(days) for _ in (*fleet.reports(day), *fleet.ci(day)))


def refuse_others(url: str) -> None:
    """Raise CommandError unless the server is on this machine."""
    host = urlsplit(url).hostname
    if not host:
        raise CommandError(f"{url!r} is no URL; write one like http://127.0.0.1:8000.")
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host))
    except OSError as error:
        raise CommandError(f"{host} is not found.") from error
    if not address.is_loopback:
        raise CommandError(f"{host} is another machine; if it is yours, say --anywhere.")


def _report(name: str, version: dict[str, str | None]) -> dict[str, Any]:
    return {"id": name, "version": {**version, "sha": SHA}}
