from unittest.mock import Mock

import pytest

from collector.cache import Unavailable
from tracking_site import housekeeping, logs


class Stop(BaseException):
    """Ends an endless loop."""


def test_housekeeping_continues_after_any_exception(monkeypatch, caplog):
    failing, job = Mock(side_effect=ValueError("secret")), Mock()
    monkeypatch.setattr(housekeeping, "jobs", lambda: [failing, job])
    monkeypatch.setattr(housekeeping.time, "sleep", Mock(side_effect=[None, None, Stop]))
    monkeypatch.setattr(logs.redacting_filter, "reports", {})  # nothing was logged before
    caplog.handler.addFilter(logs.redacting_filter)
    with pytest.raises(Stop):
        housekeeping.run_forever()
    assert failing.call_count == job.call_count == 2
    assert caplog.messages[0].startswith("housekeeping failed, ValueError at ")
    assert "secret" not in caplog.text


def test_housekeeping_logs_nothing_while_the_store_is_unavailable(caplog):
    job = Mock()
    housekeeping.run([Mock(side_effect=Unavailable), job])
    job.assert_called_once()
    assert caplog.records == []
