"""Fuzzing: every input is accepted or refused, and nothing else happens."""

import pytest

from benchmarks import fuzz
from tests.servers import Server


@pytest.fixture(scope="module")
def loud():
    """A server that logs as much as it can."""
    server = Server(*fuzz.LOUD, QUESTIONS=fuzz.QUESTIONS).wait_until_ready()
    yield server
    server.stop()


@pytest.mark.parametrize(("kind", "count"), [(fuzz.Bodies, 1500), (fuzz.Raw, 600)])
def test_fuzzed_requests_are_answered_counted_and_leave_nothing(loud, kind, count):
    (worker,) = loud.workers()
    inputs = kind(loud.port, worker, seed=1)
    inputs.run(count)
    assert inputs.failures == []
    assert len(inputs.corpus.kinds) > 10
    assert inputs.statuses[201] > 0
    assert not inputs.miscounted
    assert inputs.growth < fuzz.GROWTH
    assert fuzz.accepts_a_report(loud.port)
    assert fuzz.leaks(loud.output[loud.output.index("Booting worker") :]) == []
