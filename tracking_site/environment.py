"""The environment variables of the stand-alone server. A test compares the README's table."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from django.core.exceptions import ImproperlyConfigured
from msgspec import Meta

ONE_PROCESS = (
    "The reports are in the memory of one process, and each process would count only its own. Use "
    "one worker, which serves thousands of connections, or set REDIS_URL."
)
SECRETS = ("REDIS_URL", "SECRET_KEY")  # error messages never quote them; a URL may hold a password

# The variables that the configuration file replaced, each with its key.
MOVED = {
    "QUESTIONS": "[questions.NAME]",
    "HIDE_APP": "`app` in [hide]",
    "HIDE_IMAGE": "`image` in [hide]",
    "HIDE_ARCH": "`arch` in [hide]",
}

# The allowed content of a variable that is no number, for errors.
ALLOWED = {
    "PATH_PREFIX": "a path that begins with / and does not end with it, such as /tracker",
    "SOURCE_URL": "a URL that begins with https:// or http://",
    "CONTACT": "one line of text",
    "REDIS_URL": "a URL that begins with redis://, rediss:// or unix://",
    "REDIS_UNCHECKED": "true or false",
}
Positive = Annotated[int, Meta(ge=1)]


class Environment(msgspec.Struct, frozen=True, rename="upper"):
    """The name, type, bounds and default of each variable; the README's table says the rest."""

    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    web_concurrency: Positive = 1
    max_instances: Positive = 1_000_000
    retention_days: Annotated[int, Meta(ge=1, le=365)] = 7
    history_days: Annotated[int, Meta(ge=0, le=90)] = 90
    history_folder: str = ""
    min_group: Positive = 1
    project_name: str = ""
    public_url: str = ""
    path_prefix: Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    docs_url: str = ""
    source_url: Annotated[str, Meta(pattern="^$|^https?://")] = ""
    contact: Annotated[str, Meta(pattern=r"^[^\x00-\x1f]*$")] = ""
    config_file: str = ""
    static_root: str = ""
    revision: str = ""
    redis_url: Annotated[str, Meta(pattern="^$|^(redis|rediss|unix)://")] = ""
    redis_unchecked: bool = False
    secret_key: str = ""


def read(environ: Mapping[str, str]) -> Environment:
    """Return the settings in `environ`. An empty variable counts as unset.

    Raises ImproperlyConfigured, which names the invalid variable and says what it may be.
    """
    present = {name: value for name, value in environ.items() if value}
    for name, key in MOVED.items():
        if name in present:
            raise ImproperlyConfigured(
                f"The environment variable {name} is not used any more. Unset it, and write {key} "
                "into the file that CONFIG_FILE names."
            )
    try:
        environment = msgspec.convert(present, Environment, strict=False)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at ")
        name = path.strip("`$.")
        state = "is invalid" if name in SECRETS else f"is {present[name]!r}"
        allowed = f"it must be {ALLOWED[name]}" if name in ALLOWED else problem.lower()
        raise ImproperlyConfigured(f"The environment variable {name} {state}: {allowed}.") from None
    if environment.redis_url and len(environment.secret_key) < 32:
        raise ImproperlyConfigured(
            "REDIS_URL is set, but SECRET_KEY is missing or shorter than 32 characters. All "
            "processes need the same long key: with a short one, the digests in the store could be "
            "tried out. Set SECRET_KEY to a random text of 50 characters."
        )
    if environment.web_concurrency > 1 and not environment.redis_url:
        raise ImproperlyConfigured(
            f"{environment.web_concurrency} workers are refused. {ONE_PROCESS}"
        )
    return environment
