"""The environment variables of the stand-alone server, in one table.

Everything that an operator can set is a field here. A test compares the README's table with it.
"""

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

# What is no longer a variable, and the key of the configuration file in its place.
MOVED = {
    "QUESTIONS": "[questions.NAME]",
    "HIDE_APP": "`app` in [hide]",
    "HIDE_IMAGE": "`image` in [hide]",
    "HIDE_ARCH": "`arch` in [hide]",
}


class Environment(msgspec.Struct, frozen=True, rename="upper"):
    """The name, type, bounds, meaning and default of each environment variable."""

    port: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=65535,
                description="TCP port on all interfaces. Unset: port 8000 on 127.0.0.1 only",
            ),
        ]
        | None
    ) = None
    web_concurrency: Annotated[
        int, Meta(ge=1, description="Number of worker processes. More than 1 requires `REDIS_URL`")
    ] = 1
    max_instances: Annotated[
        int,
        Meta(
            ge=1,
            description="Largest number of instances. When it is reached, new instances get a 503",
        ),
    ] = 1_000_000
    retention_days: Annotated[
        int,
        Meta(
            ge=1,
            le=365,
            description="Number of whole UTC days that a report counts after the day on which it "
            "arrives",
        ),
    ] = 7
    history_days: Annotated[
        int, Meta(ge=0, le=90, description="Number of past days in the history. 0: no history")
    ] = 90
    history_folder: Annotated[
        str,
        Meta(
            description="Folder of saved copies of `/stats/archive.csv`, which the server reads "
            "and never writes. Unset: no history before the start"
        ),
    ] = ""
    min_group: Annotated[
        int,
        Meta(
            ge=1,
            description="Values that fewer instances report are not listed by name. "
            "`min_group` in `CONFIG_FILE` takes precedence",
        ),
    ] = 1
    project_name: Annotated[
        str, Meta(min_length=1, description="Name of the software whose instances report")
    ] = "Manyfold"
    public_url: Annotated[
        str,
        Meta(
            description="URL at which clients reach this server, including any path prefix; the "
            "docs quote it. Unset: an address on 127.0.0.1"
        ),
    ] = ""
    path_prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~-]+)*$",
            description="Path under which a proxy serves this server, such as `/tracker`. The proxy"
            " must strip it",
        ),
    ] = ""
    docs_url: Annotated[
        str,
        Meta(
            description="Page to which `GET /` redirects a browser. Unset: the docs on this server"
        ),
    ] = ""
    source_url: Annotated[
        str,
        Meta(
            pattern="^$|^https?://",
            description="URL of the source code that this server runs. Each page links to it. "
            "Unset: no link",
        ),
    ] = ""
    contact: Annotated[
        str,
        Meta(
            description="Who is responsible for this server and how to reach them, in one line; "
            "the docs quote it. Unset: the docs say that nobody is named"
        ),
    ] = ""
    config_file: Annotated[
        str,
        Meta(
            description="TOML file with questions, names to hide and releases, read again when it "
            "changes. Unset: none"
        ),
    ] = ""
    static_root: Annotated[
        str,
        Meta(
            description="Folder of the files that `manage.py collectstatic` collects. Unset: not "
            "collected"
        ),
    ] = ""
    revision: Annotated[
        str,
        Meta(
            description="Revision of the source code, which `/healthz` shows. Published images set "
            "it"
        ),
    ] = ""
    redis_url: Annotated[
        str,
        Meta(
            pattern="^$|^(redis|rediss|unix)://",
            description="URL of the Redis or Valkey store that holds the reports. Unset: they are "
            "in this process's memory",
        ),
    ] = ""
    redis_unchecked: Annotated[
        bool,
        Meta(description="Whether to use a store without checking that it writes nothing to disk"),
    ] = False
    secret_key: Annotated[
        str,
        Meta(description="Key for the digests of ids in the store. Unset: random at each startup"),
    ] = ""


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
        problem = problem[0].lower() + problem[1:]
        name = path.strip("`$.")
        state = "is invalid" if name in SECRETS else f"is {present[name]!r}"
        raise ImproperlyConfigured(f"The environment variable {name} {state}: {problem}.") from None
    if environment.redis_url and not environment.secret_key:
        raise ImproperlyConfigured(
            "REDIS_URL is set, but SECRET_KEY is not. All processes need the same key to count "
            "together. Set SECRET_KEY to a random text of 50 characters."
        )
    if environment.web_concurrency > 1 and not environment.redis_url:
        raise ImproperlyConfigured(
            f"{environment.web_concurrency} workers are refused. {ONE_PROCESS}"
        )
    return environment
