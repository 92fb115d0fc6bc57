"""System checks: an invalid setting makes `manage.py check` fail and aborts startup.

Ids are stable: collector.E001 and so on are errors; collector.W001 and so on are warnings, which
abort nothing. Every message has a hint that says what to write instead, and names Django settings;
the stand-alone server reads them from environment variables, most of which lack the HEADCOUNT_.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from collector.cache.base import InvalidURL, TallyCache
from collector.cache.tally import Unavailable
from collector.conf import DAY, conf
from collector.config import InvalidConfig
from collector.numbers import archive

TAG = "collector"
START_TAG = "collector_start"  # of checks that abort only the start, and not a later worker
REDIS_CACHE = "collector.cache.redis.RedisCache"


@register(TAG)
def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: object
) -> list[CheckMessage]:
    """Return every problem with the settings."""
    return [*_cache(), *_config(), *_texts()]


@register(TAG, deploy=True)
def check_deployment(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: object
) -> list[CheckMessage]:
    """Return every problem with a server to which the public reports; for `check --deploy`."""
    return [*_public_url(), *check_store()]


def _cache() -> Iterator[CheckMessage]:
    alias = conf.cache_alias
    if alias not in settings.CACHES:
        yield Error(
            f"CACHES has no entry {alias!r}, which must hold the reports.",
            hint='Add one with the BACKEND "collector.cache.memory.MemoryCache".',
            id="collector.E001",
        )
        return
    entry = conf.cache
    if entry["BACKEND"] == REDIS_CACHE and find_spec("redis") is None:
        yield Error(
            f"CACHES[{alias!r}] needs the package `redis`, which is not installed.",
            hint="Run `pip install redis`.",
            id="collector.E002",
        )
    elif _backend() is None:
        yield Error(
            f"CACHES[{alias!r}] has the BACKEND {entry['BACKEND']!r}, which cannot count reports.",
            hint='Use "collector.cache.memory.MemoryCache".',
            id="collector.E003",
        )
    timeout = entry.get("TIMEOUT")
    if not isinstance(timeout, int) or timeout <= 0 or timeout % DAY:
        yield Error(
            f"CACHES[{alias!r}] has an invalid TIMEOUT: {timeout!r} is not a number of whole days.",
            hint=f"Write the retention in seconds, such as 7 * {DAY} for seven days.",
            id="collector.E004",
        )
    others = (other for name, other in settings.CACHES.items() if name != alias)
    if any(_location(other) == _location(entry) for other in others):
        yield Error(
            f"CACHES[{alias!r}] has the same BACKEND and LOCATION as another cache, whose "
            "entries would be counted as reports.",
            hint='Give it a LOCATION of its own, such as "records".',
            id="collector.E005",
        )


def check_store() -> Iterator[CheckMessage]:
    """Yield every problem with the store, if there is one. This connects to it."""
    backend = _backend()
    if backend is None or not backend.shared:
        return
    try:
        unmet = backend.unmet_requirements(conf.cache)
    except InvalidURL as error:
        yield Error(
            str(error),
            hint="Write the LOCATION (or REDIS_URL) as redis://:password@host:port/number, with "
            "rediss:// for TLS, or as unix://:password@/path. In a password, write `/`, `?`, `#` "
            "and `@` as %2F, %3F, %23 and %40. The options are db, ssl_ca_certs, ssl_certfile and "
            "ssl_keyfile.",
            id="collector.E006",
        )
    except Unavailable as error:
        yield checks.Warning(
            f"The store is unavailable: {error}.",
            hint="Start the store; this server then finds it without a restart. Or correct the "
            "LOCATION in CACHES (or REDIS_URL), including its password and files, and restart this "
            "server. Headcount's systemd unit blocks a store on another host until IPAddressAllow "
            "has its address.",
            id="collector.W001",
        )
    else:
        for each in unmet:
            yield Error(each.problem, hint=each.remedy, id="collector.E007")


def _config() -> Iterator[CheckMessage]:
    min_group = getattr(settings, "HEADCOUNT_MIN_GROUP", 1)
    if not isinstance(min_group, int) or min_group < 1:
        yield Error(
            f"HEADCOUNT_MIN_GROUP is {min_group!r}.",
            hint="Write a whole number, 1 or more.",
            id="collector.E008",
        )
    for setting, key in (("QUESTIONS", "questions"), ("HIDE", "hide")):
        if hasattr(settings, f"HEADCOUNT_{setting}"):
            yield Error(
                f"HEADCOUNT_{setting} is not used any more.",
                hint=f"Write {key!r} into HEADCOUNT_CONFIG_FILE, a TOML file or a mapping.",
                id="collector.E009",
            )
    try:
        _ = conf.config
    except InvalidConfig as error:
        yield Error(
            f"HEADCOUNT_CONFIG_FILE is invalid. {error}",
            hint="Correct it, or unset HEADCOUNT_CONFIG_FILE. docs/examples/ has two examples.",
            id="collector.E010",
        )


def _texts() -> Iterator[CheckMessage]:
    if not conf.public_url.startswith(("https://", "http://")):
        yield Error(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}, which is not a URL.",
            hint="Write a URL that begins with https:// or http://.",
            id="collector.E011",
        )
    if conf.docs_url and not conf.docs_url.startswith(("https://", "http://", "/")):
        yield Error(
            f"HEADCOUNT_DOCS_URL is {conf.docs_url!r}, which is not a URL.",
            hint="Write a URL that begins with https://, or leave it empty.",
            id="collector.E012",
        )
    if conf.source_url and not conf.source_url.startswith(("https://", "http://")):
        yield Error(
            f"HEADCOUNT_SOURCE_URL is {conf.source_url!r}, which is not a URL.",
            hint="Write a URL that begins with https:// or http://, or leave it empty.",
            id="collector.E013",
        )


def _public_url() -> Iterator[CheckMessage]:
    url = urlsplit(conf.public_url)
    if url.hostname in ("127.0.0.1", "localhost", "::1"):
        yield checks.Warning(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}, and the docs tell clients to use it.",
            hint="Set HEADCOUNT_PUBLIC_URL (or PUBLIC_URL) to the URL at which clients reach it.",
            id="collector.W002",
        )
    elif url.scheme != "https":
        yield checks.Warning(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}, so reports are sent unencrypted.",
            hint="Put a proxy with HTTPS in front, and write https:// in HEADCOUNT_PUBLIC_URL (or "
            "PUBLIC_URL).",
            id="collector.W003",
        )
    prefix = settings.FORCE_SCRIPT_NAME or ""
    if not url.path.rstrip("/").endswith(prefix):
        yield checks.Warning(
            f"HEADCOUNT_PUBLIC_URL is {conf.public_url!r}, without the path prefix {prefix}.",
            hint="Add the path prefix to HEADCOUNT_PUBLIC_URL (or PUBLIC_URL).",
            id="collector.W004",
        )


def _backend() -> type[TallyCache] | None:
    """Return the class of the cache that holds the reports, or None if it cannot count them."""
    try:
        backend = import_string(conf.cache["BACKEND"])
    except (ImportError, KeyError):
        return None
    return backend if issubclass(backend, TallyCache) else None


def _location(entry: Mapping[str, object]) -> tuple[object, object]:
    return entry["BACKEND"], entry.get("LOCATION", "")


@register(START_TAG)
def check_history_folder(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: object
) -> list[CheckMessage]:
    """Return every file in HISTORY_FOLDER that cannot be used. Later, such a file is left out."""
    return [
        Error(
            f"HEADCOUNT_HISTORY_FOLDER is {conf.history_folder!r}. {problem}",
            hint="Make HEADCOUNT_HISTORY_FOLDER (or HISTORY_FOLDER) a folder that can be read. "
            "Remove the file, or replace it by a copy of /stats/archive.csv.",
            id="collector.E014",
        )
        for problem in archive.current().problems
    ]
