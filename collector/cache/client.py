"""One client a process and server: a few connections, and answers within two seconds."""

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
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as Late
from redis.retry import Retry

from collector.cache.base import Unavailable

SCRIPT = Path(__file__).with_name("store.lua").read_bytes()
SCRIPT_NAME = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()  # as EVALSHA has it
TIMEOUT = 0.9  # seconds to connect, and to be answered
CONNECTIONS = 16  # the server runs one script at a time, so more would only wait there
PAUSE = 1  # seconds for which a store that did not answer is not asked again
log = logging.getLogger(__name__)


class Client:
    """Sends commands to one server, from any thread or greenlet; see `client`."""

    def __init__(self, url: str) -> None:
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

    def _ask(self, *command: Any) -> Any:
        """Ask on an idle connection; if the server closed that meanwhile, on a new one."""
        try:
            connection = self.idle.pop()
        except IndexError:
            return self._ask_on(self._connection(), *command)
        try:
            return self._ask_on(connection, *command)
        except Broken:
            self.idle.clear()
            return self._ask_on(self._connection(), *command)

    def _connection(self) -> Connection:
        return self.pool.connection_class(**self.pool.connection_kwargs)

    def _ask_on(self, connection: Connection, *command: Any) -> Any:
        try:
            connection.send_command(*command)  # type: ignore[no-untyped-call]
            answer = connection.read_response()
        except ReadOnlyError:  # after a failover, the name leads elsewhere
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        except ResponseError:
            self.idle.append(connection)
            raise
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        self.idle.append(connection)
        return answer

    def _unavailable(self, error: Exception) -> Unavailable:
        """Log what is wrong once, and ask no more for a moment if nobody answered."""
        if isinstance(error, (Broken, Late, OSError)):
            self.away_until = time.monotonic() + PAUSE
        # Of the server's sentence only its code, such as MISCONF: the rest may quote what was sent.
        code = str(error).partition(" ")[0][:20]
        what = f"{type(error).__name__} {code if code.isupper() else ''}".rstrip()
        if what != self.told:
            log.warning("The store does not take reports: %s", what)
            self.told = what
        return Unavailable(what)


@cache
def client(url: str) -> Client:
    """The client of this process for a server."""
    return Client(url)


# A connection is of one process only.
os.register_at_fork(after_in_child=client.cache_clear)
