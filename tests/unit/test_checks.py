import re
import sys
from unittest.mock import Mock

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks

from collector.cache.connection import client
from collector.cache.redis import RedisCache
from collector.cache.tally import Unavailable
from collector.checks import check_store
from tests.servers import free_port


@pytest.fixture(autouse=True)
def _public_url(settings):
    settings.HEADCOUNT_PUBLIC_URL = "https://count.example"


def problem_ids():
    """Return the ids of the problems with a deployment, each of which must have a hint."""
    messages = run_checks(tags=["collector"], include_deployment_checks=True)
    for message in messages:  # a hint names a Django setting before the variable of our server
        assert message.hint
        assert not re.search(r"(?<!\(or )\b(PUBLIC_URL|QUESTIONS|REDIS_URL)\b", message.hint)
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
            ["E003", "E004"],
        ),
        (entry(BACKEND="collector.cache.MemoryCache"), ["E003"]),
        (entry(TIMEOUT=300), ["E004"]),
        (entry(TIMEOUT=None), ["E004"]),
        (entry(TIMEOUT=0), ["E004"]),
        (
            {"CACHES": dict.fromkeys(("default", "records"), django_settings.CACHES["records"])},
            ["E005"],
        ),
        ({"HEADCOUNT_MIN_GROUP": 0}, ["E008"]),
        ({"HEADCOUNT_MIN_GROUP": "3"}, ["E008"]),
        ({"HEADCOUNT_HIDE": {"app": "x"}}, ["E009"]),
        ({"HEADCOUNT_QUESTIONS": ""}, ["E009"]),
        ({"HEADCOUNT_CONFIG_FILE": {"version": 2}}, ["E010"]),
        ({"HEADCOUNT_CONFIG_FILE": 7}, ["E010"]),
        ({"HEADCOUNT_CONFIG_FILE": "nowhere.toml"}, ["E010"]),
        ({"HEADCOUNT_PUBLIC_URL": ""}, ["E011", "W003"]),
        ({"HEADCOUNT_DOCS_URL": "example.org"}, ["E012"]),
        ({"HEADCOUNT_SOURCE_URL": "javascript:alert(1)"}, ["E013"]),
        ({"HEADCOUNT_PUBLIC_URL": "http://127.0.0.1:8000"}, ["W002"]),
        ({"HEADCOUNT_PUBLIC_URL": "http://count.example"}, ["W003"]),
        ({"FORCE_SCRIPT_NAME": "/tracker"}, ["W004"]),
    ],
)
def test_an_invalid_setting_is_reported(settings, changes, ids):
    for name, value in changes.items():
        setattr(settings, name, value)
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


def test_a_check_connects_to_the_store_only_when_it_is_asked_for(use_store, monkeypatch):
    use_store(f"redis://127.0.0.1:{free_port()}/0")
    connect = Mock(side_effect=Unavailable)
    monkeypatch.setattr(RedisCache, "unmet_requirements", connect)
    assert [each.id for each in run_checks()] == ["caches.E001"]  # there is no other cache
    assert run_checks(tags=["collector"]) == []
    connect.assert_not_called()
    assert problem_ids() == ["W001"]
    connect.assert_called_once()


def test_a_store_that_breaks_a_promise_is_an_error_unless_it_is_unchecked(use_store, redis_server):
    use_store(redis_server.url)
    redis_server.client.config_set("save", "60 1")
    try:
        (message,) = check_store()
        use_store(redis_server.url, UNCHECKED=True)
        assert problem_ids() == []
    finally:
        redis_server.reset()
    assert message.id == "collector.E007"
    assert "`redis-cli CONFIG SET save ''`" in message.hint


@pytest.mark.parametrize("unchecked", [False, True])
def test_an_unavailable_store_is_a_warning_that_names_what_may_block_it(use_store, unchecked):
    use_store(f"redis://127.0.0.1:{free_port()}/0", UNCHECKED=unchecked)
    (message,) = check_store()
    assert message.id == "collector.W001"
    assert "LOCATION in CACHES (or REDIS_URL)" in message.hint
    assert "IPAddressAllow" in message.hint  # of the systemd unit


def test_a_missing_database_is_a_warning(use_store, redis_server):
    use_store(redis_server.url.replace("/0", "/99"))
    assert problem_ids() == ["W001"]


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
    (message,) = check_store()
    assert message.id == "collector.E006"
    assert "hunter" not in str(message)


def test_a_missing_client_package_is_an_error(use_store, monkeypatch):
    use_store("redis://127.0.0.1")
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "collector.cache.redis", raising=False)
    monkeypatch.delitem(sys.modules, "collector.cache.connection", raising=False)
    monkeypatch.setattr("collector.checks.find_spec", lambda name: None)
    assert problem_ids() == ["E002"]
