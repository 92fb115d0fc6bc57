import contextlib
import functools
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.server.misbehaving import Misbehaving
from tests.servers import Server


@pytest.fixture
def misbehaving() -> Iterator[Callable[..., Misbehaving]]:
    """Start servers that respond as given."""
    with contextlib.ExitStack() as stack:

        def begin(*responses) -> Misbehaving:
            server = Misbehaving(*responses)
            threading.Thread(target=functools.partial(server.serve_forever, 0.01)).start()
            for end in (server.server_close, server.shutdown, server.stopped.set):
                stack.callback(end)
            return server

        yield begin


@pytest.fixture
def fresh(server: Server) -> Iterator[Server]:
    """The real server without reports; each test erases its own."""
    assert server.stats()["instances"] == 0
    yield server
    assert server.stats()["instances"] == 0
