"""Bodies and raw requests from a corpus that grows: refused or taken, and nothing else happens."""

import pytest

from benchmarks import fuzz
from tests.servers import Server

LOUD = ("--log-level", "debug", "--access-logfile", "-")
BODIES = 1500
REQUESTS = 600


@pytest.fixture(scope="module")
def loud():
    """A server that prints all that it may."""
    server = Server(*LOUD).wait_until_ready()
    yield server
    server.stop()


@pytest.fixture(params=["bodies", "requests"])
def found(loud, request):
    """What came of the inputs."""
    (worker,) = loud.workers()
    if request.param == "bodies":
        return fuzz.Bodies(loud.port, worker, BODIES, seed=1).run(BODIES)
    return fuzz.Raw(loud.port, worker, seed=1).run(REQUESTS)


def test_all_are_answered_and_counted_and_nothing_is_left_or_printed(loud, found):
    assert found.failures == []
    assert found.kinds > 10
    assert found.statuses[201] > 0
    assert not found.miscounted
    assert found.grown < fuzz.GROWTH
    assert fuzz.takes_a_report(loud.port)
    assert fuzz.told_in(loud.output[loud.output.index("Booting worker") :]) == []
