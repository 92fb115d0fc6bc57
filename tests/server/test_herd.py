"""A whole fleet that reports at the same moment, while others read."""

from benchmarks import herd

REPORTS = 2200
AT_ONCE = 400


def test_simultaneous_reports_are_all_counted_once_and_every_reader_gets_a_response(start):
    server = start().wait_until_ready()
    fleet = herd.Herd(server.port, herd.surfaces(), readers=50)
    fleet.run(herd.with_twins(REPORTS, seed=1), AT_ONCE)
    figures = fleet.figures(server.stats())
    assert figures.sent == REPORTS
    assert figures.instances == REPORTS * 10 // 11
    assert (figures.failed, figures.lost, figures.doubled, figures.unread) == (0, 0, 0, 0)
    assert "Traceback" not in server.output
