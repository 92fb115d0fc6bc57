from unittest.mock import Mock

import pytest

from collector.cache.tally import Unavailable
from tracking_site import housekeeping


class Stop(BaseException):
    """Ends an endless loop."""


def test_housekeeping_continues_after_any_exception(monkeypatch, caplog):
    failing, job = Mock(side_effect=ValueError), Mock()
    monkeypatch.setattr(housekeeping, "JOBS", (failing, job))
    monkeypatch.setattr(housekeeping.time, "sleep", Mock(side_effect=[None, None, Stop]))
    with pytest.raises(Stop):
        housekeeping.run_forever()
    assert failing.call_count == job.call_count == 2
    assert len(caplog.records) == 2


def test_housekeeping_survives_a_failure_to_find_what_there_is_to_do(monkeypatch, caplog):
    monkeypatch.setattr(housekeeping, "records", Mock(side_effect=ValueError))
    housekeeping.run(housekeeping.JOBS)
    assert {record.name for record in caplog.records} == {"tracking_site.housekeeping"}


def test_housekeeping_logs_nothing_while_the_store_is_unavailable(monkeypatch, caplog):
    job = Mock()
    monkeypatch.setattr(housekeeping, "JOBS", (Mock(side_effect=Unavailable), job))
    housekeeping.run(housekeeping.JOBS)
    job.assert_called_once()
    assert caplog.records == []
