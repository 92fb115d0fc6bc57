"""The environment variables of a deployment: one table, read in one place.

Everything an operator can set is a field here. The README's table is compared with it by a test.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from django.core.exceptions import ImproperlyConfigured
from msgspec import Meta

SECRETS = ("REDIS_URL", "SECRET_KEY")  # never quoted: a URL may hold a password


class Environment(msgspec.Struct, frozen=True, rename="upper"):
    """What can be set, its type and bounds, and its default."""

    port: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=65535,
                description="TCP port, then on every interface; unset: 127.0.0.1:8000",
            ),
        ]
        | None
    ) = None
    web_concurrency: Annotated[
        int, Meta(ge=1, description="Worker processes; more than 1 need `REDIS_URL`")
    ] = 1
    max_instances: Annotated[
        int, Meta(ge=1, description="Installations kept at once; further new ones get a 503")
    ] = 1_000_000
    retention_days: Annotated[
        int,
        Meta(
            ge=1,
            le=365,
            description="Whole UTC days a report counts after the day it came",
        ),
    ] = 7
    history_days: Annotated[
        int, Meta(ge=0, le=90, description="Days of which one aggregate is kept; 0: none")
    ] = 90
    min_group: Annotated[
        int,
        Meta(ge=1, description="A value that fewer installations report is not listed by name"),
    ] = 1
    hide_app: Annotated[
        str, Meta(description="Regular expression: versions that match are not listed by name")
    ] = ""
    hide_image: Annotated[
        str, Meta(description="Regular expression: images that match are not listed by name")
    ] = ""
    hide_arch: Annotated[
        str,
        Meta(description="Regular expression: architectures that match are not listed by name"),
    ] = ""
    project_name: Annotated[
        str, Meta(min_length=1, description="Name of the software whose installations report")
    ] = "Manyfold"
    public_url: Annotated[
        str,
        Meta(
            description="Where this is reached, prefix included, as docs write it; unset: 127.0.0.1"
        ),
    ] = ""
    path_prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~-]+)*$",
            description="Path under which a proxy serves this, such as `/tracker`; it strips that",
        ),
    ] = ""
    docs_url: Annotated[
        str, Meta(description="Where `GET /` sends a browser; unset: the docs served here")
    ] = ""
    static_root: Annotated[
        str, Meta(description="Folder with the files that `manage.py collectstatic` collected")
    ] = ""
    revision: Annotated[
        str,
        Meta(description="Revision of the source, shown by `/healthz`; published images have it"),
    ] = ""
    redis_url: Annotated[
        str,
        Meta(
            pattern="^$|^(redis|rediss|unix)://",
            description="Redis or Valkey that keeps the reports; unset: memory of this process",
        ),
    ] = ""
    redis_unchecked: Annotated[
        bool,
        Meta(description="Take a store without asking it whether it writes to disk"),
    ] = False
    secret_key: Annotated[
        str,
        Meta(
            description="Makes the digests of ids in the store; without one, random at each start"
        ),
    ] = ""


def read(environ: Mapping[str, str]) -> Environment:
    """The table filled from `environ`; an empty variable counts as unset.

    Raises ImproperlyConfigured, naming the variable and what it may be.
    """
    given = {name: value for name, value in environ.items() if value}
    try:
        environment = msgspec.convert(given, Environment, strict=False)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at ")
        problem = problem[0].lower() + problem[1:]
        name = path.strip("`$.")
        said = "does not fit" if name in SECRETS else f"is {given[name]!r}"
        raise ImproperlyConfigured(f"The environment variable {name} {said}: {problem}.") from None
    if environment.redis_url and not environment.secret_key:
        raise ImproperlyConfigured(
            "REDIS_URL is set and SECRET_KEY is not: without the same one in every process, each "
            "would count its own. Set SECRET_KEY to a random text of 50 characters."
        )
    return environment
