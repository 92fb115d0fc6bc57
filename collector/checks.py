"""System checks: a setting that cannot work stops `manage.py check` and the start.

Ids are stable: collector.E001 and so on for errors, W014 and so on for warnings, which are told at
the start and stop nothing; each message says what to write.
"""

import os
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from collector.cache.base import InvalidURL, TallyCache, Unavailable
from collector.conf import DAY, conf
from collector.reports.fields import COUNTED

TAG = "collector"
REDIS_CACHE = "collector.cache.redis.RedisCache"
GROUPS = Path("/sys/fs/cgroup")  # control groups, version 2; memory.max has bytes, or "max"
OWN_GROUP = Path("/proc/self/cgroup")


@register(TAG)
def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Every problem of the settings, at once."""
    return [*_cache(), *_store(), *_listing(), *_disk(), *_texts(), *_machine()]


@register(TAG, deploy=True)
def check_deployment(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """What is wrong with a server that others are to report to; for `check --deploy`."""
    return [*_address(), *_proxy()]


def _cache() -> Iterator[CheckMessage]:
    alias = conf.cache_alias
    if alias not in settings.CACHES:
        yield Error(
            f"CACHES has no entry {alias!r}, which is to hold the reports.",
            hint='Add one with BACKEND "collector.cache.memory.MemoryCache".',
            id="collector.E001",
        )
        return
    entry = conf.cache
    if entry["BACKEND"] == REDIS_CACHE and find_spec("redis") is None:
        yield Error(
            f"CACHES[{alias!r}] keeps reports in a store, and its client is not installed.",
            hint="Run `pip install redis`.",
            id="collector.E018",
        )
    elif _backend() is None:
        yield Error(
            f"CACHES[{alias!r}] keeps no tally: its BACKEND is {entry['BACKEND']}.",
            hint='Use "collector.cache.memory.MemoryCache".',
            id="collector.E002",
        )
    timeout = entry.get("TIMEOUT")
    if not isinstance(timeout, int) or timeout <= 0 or timeout % DAY:
        yield Error(
            f"CACHES[{alias!r}] has TIMEOUT {timeout!r}: reports are kept for whole days.",
            hint=f"Write the days of retention in seconds, 7 * {DAY} for a week.",
            id="collector.E003",
        )
    if entry.get("OPTIONS", {}).get("GRANULARITY") != DAY:
        yield Error(
            f"CACHES[{alias!r}] does not end its days at midnight UTC.",
            hint=f'Write "OPTIONS": {{"GRANULARITY": {DAY}}}.',
            id="collector.E004",
        )
    others = (other for name, other in settings.CACHES.items() if name != alias)
    if any(_place(other) == _place(entry) for other in others):
        yield Error(
            f"CACHES[{alias!r}] has its BACKEND and LOCATION in common with another cache, whose "
            "entries would be counted as reports.",
            hint='Give it a LOCATION of its own, such as "records".',
            id="collector.E010",
        )


def _backend() -> type[TallyCache] | None:
    """The class that keeps the reports, if it is one that can."""
    try:
        backend = import_string(conf.cache["BACKEND"])
    except (ImportError, KeyError):
        return None
    return backend if issubclass(backend, TallyCache) else None


def _store() -> Iterator[CheckMessage]:
    backend = _backend()
    if backend is None or not backend.shared:
        return
    try:
        unmet = backend.unmet_requirements(conf.cache)
    except InvalidURL as error:
        yield Error(
            str(error),
            hint="Write REDIS_URL as redis://:password@host:port/number, rediss:// for TLS, or as "
            "unix://:password@/path; `/`, `?`, `#` and `@` in a password as %2F, %3F, %23 and "
            "%40. Options are db, ssl_ca_certs, ssl_certfile and ssl_keyfile.",
            id="collector.E020",
        )
        return
    except Unavailable as error:
        yield checks.Warning(
            f"The store is away: {error}.",
            hint="Start it; nothing else needs to be started again. Or correct REDIS_URL, with its "
            "password and files, and start this again.",
            id="collector.W020",
        )
        return
    for each in unmet:
        yield Error(each.problem, hint=each.remedy, id="collector.E019")


def _place(entry: Any) -> tuple[Any, Any]:
    return entry["BACKEND"], entry.get("LOCATION", "")


def _listing() -> Iterator[CheckMessage]:
    if not isinstance(conf.min_group, int) or conf.min_group < 1:
        yield Error(
            f"HEADCOUNT_MIN_GROUP is {conf.min_group!r}.",
            hint="Write a whole number, 1 or more.",
            id="collector.E005",
        )
    for field, pattern in conf.hide.items():
        if field not in COUNTED:
            yield Error(
                f"HEADCOUNT_HIDE names the field {field!r}, which is not counted.",
                hint=f"Use {', '.join(COUNTED)}.",
                id="collector.E006",
            )
        try:
            re.compile(pattern)
        except re.error as error:
            yield Error(
                f"HEADCOUNT_HIDE has no regular expression for {field}: {error}.",
                hint="Write one in Python's syntax, or leave it empty.",
                id="collector.E007",
            )


def _disk() -> Iterator[CheckMessage]:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        yield Error(
            "PROMETHEUS_MULTIPROC_DIR is set: metrics would be written to disk.",
            hint="Unset it.",
            id="collector.E012",
        )


def _texts() -> Iterator[CheckMessage]:
    if not conf.project_name:
        yield Error(
            "HEADCOUNT_PROJECT_NAME is empty.",
            hint="Write the name of the software whose installations report.",
            id="collector.E008",
        )
    if not conf.public_url.startswith(("https://", "http://")):
        yield Error(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}.",
            hint="Write a URL that begins with https:// or http://.",
            id="collector.E011",
        )
    if conf.docs_url and not conf.docs_url.startswith(("https://", "http://", "/")):
        yield Error(
            f"HEADCOUNT_DOCS_URL is {conf.docs_url!r}.",
            hint="Write a URL that begins with https://, or leave it empty.",
            id="collector.E009",
        )


def _machine() -> Iterator[CheckMessage]:
    backend = _backend()
    workers = os.environ.get("WEB_CONCURRENCY", "1")
    if workers not in ("", "1") and not (backend and backend.shared):
        yield Error(
            f"WEB_CONCURRENCY is {workers}: each process would count its own reports.",
            hint="Unset it, or set REDIS_URL.",
            id="collector.E013",
        )
    try:
        needed, there = conf.memory_ceiling, memory()
    except (ImportError, AttributeError, KeyError, TypeError, ValueError):
        return  # the entry of CACHES is wrong, and told as such
    if needed > there:
        yield checks.Warning(
            f"{conf.max_instances:,} installations may take {needed >> 20} MiB of memory; there "
            f"are {there >> 20}.",
            hint="Lower MAX_INSTANCES, or give it more memory.",
            id="collector.W014",
        )


def memory() -> int:
    """Bytes that this process may take: the machine's, or what a control group leaves of them."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [path.read_text().strip() for path in _limits() if path.exists()]
    return min([machine, *(int(limit) for limit in limits if limit != "max")])


def _limits() -> Iterator[Path]:
    """The files with the limits of this process's control group and of those that it is in."""
    told = OWN_GROUP.read_text() if OWN_GROUP.exists() else ""
    (own, *_) = [line[3:] for line in told.splitlines() if line.startswith("0::")] or ["/"]
    group = GROUPS / own.lstrip("/")
    yield group / "memory.max"
    for outer in group.parents:
        if outer.is_relative_to(GROUPS):
            yield outer / "memory.max"


def _address() -> Iterator[CheckMessage]:
    url = urlsplit(conf.public_url)
    if url.hostname in ("127.0.0.1", "localhost", "::1"):
        yield checks.Warning(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}: the docs tell people to report there.",
            hint="Write where this server is reached, in PUBLIC_URL.",
            id="collector.W015",
        )
    elif url.scheme != "https":
        yield checks.Warning(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}: reports are sent in the clear.",
            hint="Have a proxy in front speak HTTPS, and write https:// in PUBLIC_URL.",
            id="collector.W016",
        )

    prefix = settings.FORCE_SCRIPT_NAME or ""
    if not url.path.rstrip("/").endswith(prefix):
        yield checks.Warning(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}, without the prefix {prefix}.",
            hint="Write it with the prefix.",
            id="collector.W018",
        )


def _proxy() -> Iterator[CheckMessage]:
    trusted = ("USE_X_FORWARDED_HOST", "USE_X_FORWARDED_PORT", "SECURE_PROXY_SSL_HEADER")
    for name in trusted:
        if getattr(settings, name, None):
            yield checks.Warning(
                f"{name} is set: a header that anyone may send is believed.",
                hint="Unset it, unless the proxy in front removes it from what clients send.",
                id="collector.W017",
            )
