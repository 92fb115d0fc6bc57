"""One client a process and server: a few connections, and answers within two seconds.

It refuses a server that would write to disk or drop records, whenever it comes back too: it may
have been started anew, and differently.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from redis import Connection, ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import (
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as Late
from redis.retry import Retry

from collector.cache.base import InvalidURL, Unavailable
from collector.cache.server_requirements import FORBIDDEN, REQUIREMENTS, ServerRequirement

SCRIPT = Path(__file__).with_name("store.lua").read_bytes()
NAME = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()  # as EVALSHA has it
TIMEOUT = 0.9  # seconds to connect, and to be answered
CONNECTIONS = 32  # the server runs one script at a time, so more would only wait there
WRITES = {b"put", b"probe"}  # what a store without memory, or a replica, refuses
OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}  # that a URL may have
PING = b"PING\r\n"
PAUSE = 1  # seconds for which a store that did not answer is not asked again
log = logging.getLogger(__name__)
T = TypeVar("T")


class Refused(RedisError):
    """The server would break a promise."""


class Slot:
    """Room for one connection; it is opened when it is needed, and looked at before it is used."""

    def __init__(self, pool: ConnectionPool, unchecked: bool) -> None:
        self.pool = pool
        self.unchecked = unchecked
        self.connection: Connection | None = None
        self.refusals = 0  # of the server, when its options were looked at

    def ask(self, command: bytes) -> Any:
        """Send a command and return its answer; anew, if the server closed the connection."""
        if self.connection is not None:
            with suppress(Broken):
                return self._ask(command)
        self.look()
        return self._ask(command)

    def look(self) -> None:
        """Raise Refused if the server would break a promise."""
        if problems := self.unmet():
            raise Refused(" ".join(f"{each.problem} {each.remedy}" for each in problems))

    def unmet(self) -> list[ServerRequirement]:
        """The demands that the server does not meet; if it meets all, the connection is kept."""
        try:
            if self.connection is not None:
                with suppress(Broken):  # the server closed it: the next one is new
                    self._ask(PING)
            self._ask(PING)
            problems = [
                each for each in REQUIREMENTS if not self.unchecked and not self._meets(each)
            ]
        except ResponseError as error:
            self.close()
            unknown = str(error).lower().startswith("unknown command")
            if not unknown and not isinstance(error, NoPermissionError):
                raise
            problems = [FORBIDDEN]
        if problems:
            self.close()
        return problems

    def _meets(self, demand: ServerRequirement) -> bool:
        told = self._ask(packed(b"CONFIG", b"GET", demand.option.encode()))
        return bool(told[1:] == [demand.value.encode()])

    def close(self) -> None:
        """End the connection; the next one looks at the server's options first."""
        if self.connection is not None:
            self.connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py left it so
            self.connection = None

    def _ask(self, command: bytes) -> Any:
        if self.connection is None:
            self.connection = self.pool.connection_class(**self.pool.connection_kwargs)
        connection = self.connection
        try:
            connection.send_packed_command([command])
            return connection.read_response()
        except ReadOnlyError:  # after a failover, the name leads elsewhere
            self.close()
            raise
        except ResponseError:
            raise
        except BaseException:
            self.close()
            raise


class Client:
    """Sends commands to one server, from any thread or greenlet; see `client`."""

    def __init__(self, url: str, unchecked: bool) -> None:
        pool = _pool(url)
        self.slots = [Slot(pool, unchecked) for _ in range(CONNECTIONS)]
        # One for each slot in the list. A Semaphore takes some 30 us more when many have to wait.
        self.free: SimpleQueue[None] = SimpleQueue()
        for _ in self.slots:
            self.free.put(None)
        self.away_until = 0.0
        self.told = ""
        self.refusals = 0

    def run(self, *arguments: bytes) -> Any:
        """Run the script of the store; raises Unavailable."""
        try:
            answer = self._with_slot(lambda slot: slot.ask(packed(b"EVALSHA", NAME, *arguments)))
        except NoScriptError:
            answer = self._with_slot(lambda slot: slot.ask(packed(b"EVAL", SCRIPT, *arguments)))
        if self.told and arguments[2] in WRITES:
            log.warning("The store takes reports again.")
            self.told = ""
        return answer

    def unmet(self) -> list[ServerRequirement]:
        """What the server's configuration would break; raises Unavailable."""
        return self._with_slot(Slot.unmet)

    def look(self) -> None:
        """Raise Unavailable if the server would break a promise by now."""
        self._with_slot(Slot.look)

    def _with_slot(self, use: Callable[[Slot], T]) -> T:
        self.free.get()
        slot = self.slots.pop()  # the last one used: no more are opened than are needed at once
        try:
            if time.monotonic() < self.away_until:
                raise Unavailable("the store did not answer a moment ago")
            if slot.refusals != self.refusals:
                slot.close()
                slot.refusals = self.refusals
            return use(slot)
        except NoScriptError:
            raise
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error
        finally:
            self.slots.append(slot)
            self.free.put(None)

    def _unavailable(self, error: Exception) -> Unavailable:
        """Log what is wrong once, and ask no more for a moment if nobody answered."""
        if isinstance(error, (Broken, Late, OSError, Refused)):
            self.away_until = time.monotonic() + PAUSE
        if isinstance(error, Refused):
            self.refusals += 1
        why = reason(error)
        if why != self.told:
            log.warning("The store takes no reports: %s", why)
            self.told = why
        return Unavailable(why)


def _pool(url: str) -> ConnectionPool:
    """What opens connections; raises InvalidURL. An option of the URL would win over ours."""
    try:
        parts = urlsplit(url)
        unknown = parse_qs(parts.query).keys() - OPTIONS
        number = parts.path.lstrip("/") if parts.scheme != "unix" else ""
        if unknown or (number and not number.isdecimal()):
            raise ValueError
        return ConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    except ValueError:
        raise InvalidURL("The URL of the store cannot be used.") from None


def packed(*command: bytes) -> bytes:
    """A command as it is sent; redis-py takes five times as long to write one."""
    parts = [b"*%d\r\n" % len(command)]
    parts += [b"$%d\r\n%b\r\n" % (len(each), each) for each in command]
    return b"".join(parts)


def reason(error: Exception) -> str:
    """What is wrong, without the server's sentence: that may quote what was sent."""
    if isinstance(error, Refused):
        return str(error)
    code = str(error).partition(" ")[0][:20]  # such as MISCONF
    return f"{type(error).__name__} {code if code.isupper() else ''}".rstrip()


@cache
def client(url: str, unchecked: bool) -> Client:
    """The client of this process for a server; `unchecked`: its configuration is not looked at."""
    return Client(url, unchecked)


# A connection is of one process only.
os.register_at_fork(after_in_child=client.cache_clear)
