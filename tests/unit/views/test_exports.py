from datetime import timedelta

import pytest


def test_stats_has_its_keys_in_the_order_of_the_replaced_service(report, stats):
    report()
    assert list(stats()) == [
        *("instances", "versions", "images", "architectures", "others", "established", "folded"),
        *("since", "warming_up", "window_days", "last_reported"),
    ]


def test_stats_answers_the_same_at_each_of_its_paths(client, report):
    report()
    assert len({client.get(path).content for path in ("/stats", "/stats/", "/stats.json")}) == 1


def test_stats_counts_what_the_filters_match_and_ignores_other_parameters(report, stats):
    report(app="1", arch="arm")
    report(app="2", arch="arm")
    report(app="1", arch="x86")
    assert stats("?app=1&arch=arm")["instances"] == 1
    assert stats("?app=1&app=2")["instances"] == 3
    assert stats("?app=1")["architectures"] == {"arm": 1, "x86": 1}
    assert stats("?app=nothing") == stats("?app=*&arch=nothing")
    assert stats("?utm_source=x&_=1") == stats()


@pytest.mark.parametrize(("query", "field"), [("app=x&" * 4, "app"), ("x&" * 1100, None)])
def test_stats_refuses_too_many_values_of_a_filter_and_too_many_parameters(client, query, field):
    response = client.get(f"/stats?{query}")
    assert (response.status_code, response.json().get("field")) == (400, field)
    assert response["Access-Control-Allow-Origin"] == "*"


def test_stats_that_the_client_has_are_not_sent_again(client, report):
    report()
    etag = client.get("/stats")["ETag"]
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = client.get("/stats", headers={"If-None-Match": tag})
        assert (response.status_code, response.content) == (304, b"")
        assert response["ETag"] == etag
        assert response["Cache-Control"] == "no-cache"
        assert response["Access-Control-Allow-Origin"] == "*"
        assert not {"Content-Type", "Content-Length"} & response.headers.keys()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("If-Match", '"other"'),
        ("If-Unmodified-Since", "Tue, 10 Mar 2026 12:00:00 GMT"),
        ("If-Modified-Since", "Tue, 10 Mar 2026 12:00:00 GMT"),
    ],
)
def test_stats_ignores_all_other_conditions(client, header, value):
    assert client.get("/stats", headers={header: value}).status_code == 200


@pytest.mark.parametrize("what", ["report", "day"])
def test_stats_are_sent_again_after_a_report_and_on_the_next_day(clock, client, report, what):
    report()
    etag = client.get("/stats")["ETag"]
    if what == "report":
        report()
    else:
        clock.shift(timedelta(days=1))
    assert client.get("/stats", headers={"If-None-Match": etag}).status_code == 200


def test_stats_a_filter_for_everything_and_the_badge_agree(client, report):
    for number in range(1, 4):
        report(app=f"1.{number}.0")
        counts = [client.get(path).json()["instances"] for path in ("/stats", "/stats?app=*")]
        badge = client.get("/badge.json?app=*").json()["message"]
        assert [*counts, badge] == [number, number, f"{number}, warming up"]
