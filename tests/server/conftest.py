import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.misbehaving import Misbehaving
from tests.servers import ROOT, Server


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


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which the first command of the README was run."""
    for name in ("collector", "tracking_site", "gunicorn.conf.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path
