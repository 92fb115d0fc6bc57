import sys

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks

from collector.cache.connection import client
from tests.servers import free_port


@pytest.fixture(autouse=True)
def _public_url(settings):
    settings.HEADCOUNT_PUBLIC_URL = "https://count.example"


def problem_ids():
    """Return the ids of the problems with a deployment, each of which must have a hint."""
    messages = run_checks(tags=["collector"], include_deployment_checks=True)
    assert all(message.hint for message in messages)
    return [message.id.removeprefix("collector.") for message in messages]


def entry(**changes):
    return {"CACHES": {"records": django_settings.CACHES["records"] | changes}}


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({}, []),
        ({"CACHES": {}}, ["E001"]),
        ({"HEADCOUNT_CACHE": "elsewhere"}, ["E001"]),
        (
            {"CACHES": {"records": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}},
            ["E002", "E003"],
        ),
        (entry(BACKEND="collector.cache.MemoryCache"), ["E002"]),
        (entry(TIMEOUT=300), ["E003"]),
        (entry(TIMEOUT=None), ["E003"]),
        (entry(TIMEOUT=0), ["E003"]),
        (
            {"CACHES": dict.fromkeys(("default", "records"), django_settings.CACHES["records"])},
            ["E010"],
        ),
        ({"HEADCOUNT_MIN_GROUP": 0}, ["E005"]),
        ({"HEADCOUNT_MIN_GROUP": "3"}, ["E005"]),
        ({"HEADCOUNT_HIDE": {"sha": "x"}}, ["E006"]),
        ({"HEADCOUNT_HIDE": {"app": "("}}, ["E007"]),
        ({"HEADCOUNT_PROJECT_NAME": ""}, ["E008"]),
        ({"HEADCOUNT_PUBLIC_URL": ""}, ["E011", "W016"]),
        ({"HEADCOUNT_DOCS_URL": "example.org"}, ["E009"]),
        ({"HEADCOUNT_SOURCE_URL": "javascript:alert(1)"}, ["E022"]),
        ({"HEADCOUNT_PUBLIC_URL": "http://127.0.0.1:8000"}, ["W015"]),
        ({"HEADCOUNT_PUBLIC_URL": "http://count.example"}, ["W016"]),
        ({"FORCE_SCRIPT_NAME": "/tracker"}, ["W018"]),
        ({"USE_X_FORWARDED_HOST": True}, ["W017"]),
        ({"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, ["W017"]),
    ],
)
def test_an_invalid_setting_is_reported(settings, changes, ids):
    for name, value in changes.items():
        setattr(settings, name, value)
    assert problem_ids() == ids


@pytest.mark.parametrize(
    ("name", "value", "ids"),
    [
        ("WEB_CONCURRENCY", "", []),
        ("WEB_CONCURRENCY", "1", []),
        ("WEB_CONCURRENCY", "2", ["E013"]),
        ("PROMETHEUS_MULTIPROC_DIR", "/anywhere", ["E012"]),
    ],
)
def test_a_second_worker_and_metrics_on_disk_are_errors(monkeypatch, name, value, ids):
    monkeypatch.setenv(name, value)
    assert problem_ids() == ids


@pytest.fixture
def use_store(settings):
    """Put the reports in a store, with a client that knows nothing about the store yet."""

    def use(url, **options):
        client.cache_clear()
        options = django_settings.CACHES["records"]["OPTIONS"] | options
        backend = "collector.cache.redis.RedisCache"
        settings.CACHES = entry(BACKEND=backend, LOCATION=url, OPTIONS=options)["CACHES"]

    return use


def test_with_a_store_several_workers_are_accepted(use_store, monkeypatch, redis_server):
    use_store(redis_server.url)
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    monkeypatch.setattr("collector.checks.available_memory", lambda: 2**40)
    assert problem_ids() == []


@pytest.mark.parametrize(
    ("option", "value", "required"),
    [("save", "60 1", ""), ("maxmemory-policy", "volatile-ttl", "noeviction")],
)
def test_a_store_that_breaks_a_promise_is_an_error_unless_it_is_unchecked(
    use_store, redis_server, option, value, required
):
    use_store(redis_server.url)
    redis_server.client.config_set(option, value)
    try:
        (message,) = run_checks(tags=["collector"])
        use_store(redis_server.url, UNCHECKED=True)
        assert problem_ids() == []
    finally:
        redis_server.client.config_set(option, required)
    assert message.id == "collector.E019"
    assert f"`redis-cli CONFIG SET {option} {required or repr('')}`" in message.hint


@pytest.mark.parametrize("unchecked", [False, True])
def test_an_unavailable_store_is_a_warning_that_names_what_may_block_it(use_store, unchecked):
    use_store(f"redis://127.0.0.1:{free_port()}/0", UNCHECKED=unchecked)
    (message,) = run_checks(tags=["collector"])
    assert message.id == "collector.W020"
    assert "REDIS_URL" in message.hint
    assert "IPAddressAllow" in message.hint  # of the systemd unit


def test_a_missing_database_is_a_warning(use_store, redis_server):
    use_store(redis_server.url.replace("/0", "/99"))
    assert problem_ids() == ["W020"]


@pytest.mark.parametrize(
    "url",
    [
        *(f"redis://:hunter{separator}2@127.0.0.1/0" for separator in "/#?"),
        *("redis://127.0.0.1:99999/0", "redis://[::1/0", "redis://127.0.0.1/abc"),
        *(
            f"redis://127.0.0.1/0?{option}"
            for option in ("socket_timeout=30", "protocol=3", "db=x")
        ),
    ],
)
def test_an_invalid_url_is_an_error_that_does_not_quote_it(use_store, url):
    use_store(url)
    (message,) = run_checks(tags=["collector"])
    assert message.id == "collector.E020"
    assert "hunter" not in str(message)


def test_a_missing_client_package_is_an_error(use_store, monkeypatch):
    use_store("redis://127.0.0.1")
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "collector.cache.redis", raising=False)
    monkeypatch.delitem(sys.modules, "collector.cache.connection", raising=False)
    monkeypatch.setattr("collector.checks.find_spec", lambda name: None)
    assert problem_ids() == ["E018"]


@pytest.mark.parametrize(
    ("limits", "ids"),
    [
        ({}, []),
        ({"": "max", "a": "max", "a/b": "max"}, []),
        ({"a/b": str(2**30)}, []),
        ({"a/b": str(2**28)}, ["W014"]),
        ({"a": str(2**28), "a/b": "max"}, ["W014"]),
        ({"": str(2**28)}, ["W014"]),
    ],
)
def test_too_little_memory_in_any_control_group_is_a_warning(monkeypatch, tmp_path, limits, ids):
    monkeypatch.setattr("collector.checks.CONTROL_GROUPS", tmp_path / "groups")
    monkeypatch.setattr("collector.checks.OWN_CONTROL_GROUP", tmp_path / "own")
    (tmp_path / "own").write_text("0::/a/b\n")
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)
    for group, limit in limits.items():
        (tmp_path / "groups" / group / "memory.max").write_text(f"{limit}\n")
    assert problem_ids() == ids


@pytest.mark.parametrize(
    ("with_store", "workers", "mebibytes", "hints"),
    [
        (False, "1", 617, []),
        (False, "1", 500, ["Lower MAX_INSTANCES, or provide more memory."]),
        (True, "1", 500, []),
        (True, "1", 400, ["Provide more memory."]),
        (True, "4", 1500, ["Lower WEB_CONCURRENCY, or provide more memory."]),
        (True, "4", 1900, []),
    ],
)
def test_the_memory_warning_counts_workers_and_advises_what_helps(
    use_store, redis_server, monkeypatch, with_store, workers, mebibytes, hints
):
    if with_store:
        use_store(redis_server.url)
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    monkeypatch.setattr("collector.checks.available_memory", lambda: mebibytes * 2**20)
    assert [message.hint for message in run_checks(tags=["collector"])] == hints
