import sys

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks

from collector.cache.connection import client
from tests.servers import free_port

DAY = 86400


def found():
    return [message.id for message in run_checks(tags=["collector"])]


def entry(**changes):
    return {"CACHES": {"records": django_settings.CACHES["records"] | changes}}


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({}, []),
        ({"CACHES": {}}, ["collector.E001"]),
        ({"HEADCOUNT_CACHE": "elsewhere"}, ["collector.E001"]),
        (
            {"CACHES": {"records": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}},
            ["collector.E002", "collector.E003", "collector.E004"],
        ),
        (entry(BACKEND="collector.cache.MemoryCache"), ["collector.E002"]),
        (entry(TIMEOUT=300), ["collector.E003"]),
        (entry(TIMEOUT=None), ["collector.E003"]),
        (entry(TIMEOUT=0), ["collector.E003"]),
        (entry(OPTIONS={}), ["collector.E004"]),
        (entry(OPTIONS={"GRANULARITY": 3600}), ["collector.E004"]),
        (
            {"CACHES": dict.fromkeys(("default", "records"), django_settings.CACHES["records"])},
            ["collector.E010"],
        ),
        ({"HEADCOUNT_MIN_GROUP": 0}, ["collector.E005"]),
        ({"HEADCOUNT_MIN_GROUP": "3"}, ["collector.E005"]),
        ({"HEADCOUNT_HIDE": {"sha": "x"}}, ["collector.E006"]),
        ({"HEADCOUNT_HIDE": {"app": "("}}, ["collector.E007"]),
        ({"HEADCOUNT_PROJECT_NAME": ""}, ["collector.E008"]),
        ({"HEADCOUNT_PUBLIC_URL": ""}, ["collector.E011"]),
        ({"HEADCOUNT_DOCS_URL": "example.org"}, ["collector.E009"]),
    ],
)
def test_a_wrong_setting_is_found(settings, changes, ids):
    for name, value in changes.items():
        setattr(settings, name, value)
    assert found() == ids


def test_every_check_says_what_to_write(settings):
    settings.HEADCOUNT_MIN_GROUP = 0
    assert all(message.hint for message in run_checks(tags=["collector"]))


@pytest.mark.parametrize(("workers", "ids"), [("", []), ("1", []), ("2", ["collector.E013"])])
def test_a_second_worker_is_found(monkeypatch, workers, ids):
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    assert found() == ids


def store(url, **options):
    """Settings with the reports in a store, and a client that knows nothing of it yet."""
    client.cache_clear()
    old = django_settings.CACHES["records"]
    kept = {"LOCATION": url, "OPTIONS": old["OPTIONS"] | options}
    return entry(BACKEND="collector.cache.redis.RedisCache", **kept)


def test_with_a_store_there_may_be_many_workers(settings, monkeypatch, redis_server):
    settings.CACHES = store(redis_server.url)["CACHES"]
    monkeypatch.setenv("WEB_CONCURRENCY", "8")
    assert found() == []


@pytest.mark.parametrize(
    ("option", "value", "usual"),
    [("save", "60 1", ""), ("maxmemory-policy", "volatile-ttl", "noeviction")],
)
def test_a_store_that_would_break_a_promise_is_found(settings, redis_server, option, value, usual):
    settings.CACHES = store(redis_server.url)["CACHES"]
    redis_server.client.config_set(option, value)
    try:
        (message,) = run_checks(tags=["collector"])
    finally:
        redis_server.client.config_set(option, usual)
    assert message.id == "collector.E019"
    assert f"`redis-cli CONFIG SET {option} {usual or repr('')}`" in message.hint


def test_a_store_that_is_away_stops_nothing(settings):
    settings.CACHES = store(f"redis://127.0.0.1:{free_port()}/0")["CACHES"]
    assert found() == ["collector.W020"]


def test_a_store_whose_options_are_not_looked_at_must_be_there(settings, redis_server):
    redis_server.client.config_set("save", "60 1")
    try:
        settings.CACHES = store(redis_server.url, UNCHECKED=True)["CACHES"]
        assert found() == []
    finally:
        redis_server.client.config_set("save", "")
    settings.CACHES = store(f"redis://127.0.0.1:{free_port()}/0", UNCHECKED=True)["CACHES"]
    assert found() == ["collector.W020"]


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter/2@127.0.0.1/0",
        "redis://:hunter#2@127.0.0.1/0",
        "redis://:hunter?2@127.0.0.1/0",
        "redis://127.0.0.1:99999/0",
        "redis://[::1/0",
        "redis://127.0.0.1/abc",
        "redis://127.0.0.1/0?socket_timeout=30",
        "redis://127.0.0.1/0?protocol=3",
        "redis://127.0.0.1/0?db=x",
    ],
)
def test_a_url_that_leads_nowhere_is_found_and_not_quoted(settings, url):
    settings.CACHES = store(url)["CACHES"]
    (message,) = run_checks(tags=["collector"])
    assert message.id == "collector.E020"
    assert "hunter" not in str(message)


def test_a_database_that_is_not_there_is_no_forbidden_configuration(settings, redis_server):
    settings.CACHES = store(redis_server.url.replace("/0", "/99"))["CACHES"]
    assert found() == ["collector.W020"]


def test_a_store_without_its_client_is_found(settings, monkeypatch):
    settings.CACHES = store("redis://127.0.0.1")["CACHES"]
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "collector.cache.redis", raising=False)
    monkeypatch.delitem(sys.modules, "collector.cache.connection", raising=False)
    monkeypatch.setattr("collector.checks.find_spec", lambda name: None)
    assert found() == ["collector.E018"]


@pytest.mark.parametrize(
    ("limits", "ids"),
    [
        ({}, []),
        ({"": "max", "a": "max", "a/b": "max"}, []),
        ({"a/b": str(2**30)}, []),
        ({"a/b": str(2**28)}, ["collector.W014"]),
        ({"a": str(2**28), "a/b": "max"}, ["collector.W014"]),
        ({"": str(2**28)}, ["collector.W014"]),
    ],
)
def test_too_little_memory_is_found(monkeypatch, tmp_path, limits, ids):
    monkeypatch.setattr("collector.checks.GROUPS", tmp_path / "groups")
    monkeypatch.setattr("collector.checks.OWN_GROUP", tmp_path / "own")
    (tmp_path / "own").write_text("0::/a/b\n")
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)
    for group, limit in limits.items():
        (tmp_path / "groups" / group / "memory.max").write_text(f"{limit}\n")
    assert found() == ids


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"HEADCOUNT_PUBLIC_URL": "https://count.example"}, []),
        ({"HEADCOUNT_PUBLIC_URL": "http://127.0.0.1:8000"}, ["collector.W015"]),
        ({"HEADCOUNT_PUBLIC_URL": "http://count.example"}, ["collector.W016"]),
        ({"FORCE_SCRIPT_NAME": "/tracker"}, ["collector.W018"]),
        ({"USE_X_FORWARDED_HOST": True}, ["collector.W017"]),
        ({"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, ["collector.W017"]),
    ],
)
def test_what_is_wrong_with_a_deployment_is_found(settings, changes, ids):
    settings.HEADCOUNT_PUBLIC_URL = "https://count.example"
    for name, value in changes.items():
        setattr(settings, name, value)
    messages = run_checks(tags=["collector"], include_deployment_checks=True)
    assert [message.id for message in messages] == ids
    assert all(message.hint for message in messages)


def test_metrics_on_disk_are_refused(monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/anywhere")
    assert found() == ["collector.E012"]
