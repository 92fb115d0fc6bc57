"""One client a process and server: a few connections, and answers within two seconds.

It refuses a server that would write to disk or drop records, whenever it comes back too: it may
have been started anew, and differently.
"""

import hashlib
import logging
import os
import time
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from redis import Connection, ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import (
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as Late
from redis.retry import Retry

from collector.cache.base import Unavailable
from collector.cache.demands import DEMANDS, FORBIDDEN, Demand

SCRIPT = Path(__file__).with_name("store.lua").read_bytes()
SCRIPT_NAME = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()  # as EVALSHA has it
TIMEOUT = 0.9  # seconds to connect, and to be answered
CONNECTIONS = 16  # the server runs one script at a time, so more would only wait there
PAUSE = 1  # seconds for which a store that did not answer is not asked again
log = logging.getLogger(__name__)


class Refused(RedisError):
    """The server would break a promise."""


class Client:
    """Sends commands to one server, from any thread or greenlet; see `client`."""

    def __init__(self, url: str, unchecked: bool) -> None:
        self.pool = ConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self.idle: list[Connection] = []
        self.room = BoundedSemaphore(CONNECTIONS)
        self.away_until = 0.0
        self.told = ""
        self.unchecked = unchecked

    def run(self, *arguments: Any) -> Any:
        """Run the script of the store; raises Unavailable."""
        try:
            return self.send("EVALSHA", SCRIPT_NAME, *arguments)
        except NoScriptError:
            return self.send("EVAL", SCRIPT, *arguments)

    def send(self, *command: Any) -> Any:
        """Send a command and return its answer; raises Unavailable."""
        with self.room:
            if time.monotonic() < self.away_until:
                raise Unavailable("the store did not answer a moment ago")
            try:
                answer = self._ask(*command)
            except NoScriptError:
                raise
            except (RedisError, OSError) as error:
                raise self._unavailable(error) from error
        if self.told:
            log.warning("The store is back.")
            self.told = ""
        return answer

    def unmet(self) -> list[Demand]:
        """What the server's configuration would break; raises Unavailable."""
        if self.unchecked:
            return []
        connection = self._new()
        try:
            problems = unmet(connection)
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error
        if not problems:
            self.idle.append(connection)
        return problems

    def _ask(self, *command: Any) -> Any:
        """Ask on an idle connection; if the server closed that meanwhile, on a new one."""
        try:
            connection = self.idle.pop()
        except IndexError:
            return self._ask_anew(*command)
        try:
            return self._ask_on(connection, *command)
        except Broken:
            self.idle.clear()
            return self._ask_anew(*command)

    def _ask_anew(self, *command: Any) -> Any:
        connection = self._new()
        if problems := [] if self.unchecked else unmet(connection):
            raise Refused(" ".join(f"{each.problem} {each.remedy}" for each in problems))
        return self._ask_on(connection, *command)

    def _new(self) -> Connection:
        connection: Connection = self.pool.connection_class(**self.pool.connection_kwargs)
        return connection

    def _ask_on(self, connection: Connection, *command: Any) -> Any:
        """Ask, and keep the connection if it is in order."""
        try:
            answer = ask(connection, *command)
        except ReadOnlyError:  # after a failover, the name leads elsewhere
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        except ResponseError:
            self.idle.append(connection)
            raise
        self.idle.append(connection)
        return answer

    def _unavailable(self, error: Exception) -> Unavailable:
        """Log what is wrong once, and ask no more for a moment if nobody answered."""
        if isinstance(error, (Broken, Late, OSError, Refused)):
            self.away_until = time.monotonic() + PAUSE
        why = reason(error)
        if why != self.told:
            log.warning("The store takes no reports: %s", why)
            self.told = why
        return Unavailable(why)


def ask(connection: Connection, *command: Any) -> Any:
    """Send a command and return its answer; a connection on which that failed is closed."""
    try:
        connection.send_command(*command)  # type: ignore[no-untyped-call]
        return connection.read_response()
    except ResponseError:
        raise
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise


def unmet(connection: Connection) -> list[Demand]:
    """The demands that the server at the other end does not meet."""
    try:
        told = {each.option: ask(connection, "CONFIG", "GET", each.option) for each in DEMANDS}
    except ResponseError:
        return [FORBIDDEN]
    return [each for each in DEMANDS if told[each.option][1:] != [each.value.encode()]]


def reason(error: Exception) -> str:
    """What is wrong, without the server's sentence: that may quote what was sent."""
    if isinstance(error, Refused):
        return str(error)
    code = str(error).partition(" ")[0][:20]  # such as MISCONF
    return f"{type(error).__name__} {code if code.isupper() else ''}".rstrip()


@cache
def client(url: str, unchecked: bool = False) -> Client:
    """The client of this process for a server; `unchecked`: its configuration is not looked at."""
    return Client(url, unchecked)


# A connection is of one process only.
os.register_at_fork(after_in_child=client.cache_clear)
