from collector.numbers.stats import last_reported
from tests.unit.numbers.builders import row, tally_of, without_detail


def test_last_reported_has_every_day_of_the_window():
    tally = tally_of(row(count=3), without_detail(2, day=1), today=1)
    assert last_reported(tally, 7) == {
        "1969-12-26": 0,
        "1969-12-27": 0,
        "1969-12-28": 0,
        "1969-12-29": 0,
        "1969-12-30": 0,
        "1969-12-31": 0,
        "1970-01-01": 3,
        "1970-01-02": 2,
    }
