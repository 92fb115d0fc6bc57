from datetime import timedelta

import pytest


def test_stats_has_its_keys_in_the_order_of_the_replaced_service(report, stats):
    report()
    assert list(stats()) == [
        *("instances", "versions", "images", "architectures", "others", "established", "folded"),
        *("since", "warming_up", "window_days", "last_reported"),
    ]


def test_stats_counts_what_the_filters_match_and_ignores_other_parameters(report, stats):
    for app, arch in (("1", "arm"), ("2", "arm"), ("3", "arm"), ("1", "x86")):
        report(app=app, arch=arch)
    assert stats("?app=1&app=2&arch=arm")["versions"] == {"1": 1, "2": 1}
    assert stats("?utm_source=x&_=1") == stats()


@pytest.mark.parametrize(("query", "field"), [("app=x&" * 4, "app"), ("x&" * 1100, None)])
def test_stats_refuses_too_many_values_of_a_filter_and_too_many_parameters(client, query, field):
    response = client.get(f"/stats?{query}")
    assert (response.status_code, response.json().get("field")) == (400, field)
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("what", ["report", "day"])
def test_stats_are_sent_again_after_a_report_and_on_the_next_day(clock, client, report, what):
    report()
    etag = client.get("/stats")["ETag"]
    if what == "report":
        report()
    else:
        clock.shift(timedelta(days=1))
    assert client.get("/stats", headers={"If-None-Match": etag}).status_code == 200
