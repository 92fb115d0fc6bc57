"""The options that make a store as forgetful as memory."""

from typing import NamedTuple


class ServerRequirement(NamedTuple):
    """An option of the server, its only acceptable value, and the problem with any other."""

    option: str
    value: str
    problem: str
    remedy: str


def _required(option: str, value: str, problem: str) -> ServerRequirement:
    line = f"{option} {value or repr('')}"
    remedy = f"Run `redis-cli CONFIG SET {line}` there, and write `{line}` into its configuration."
    return ServerRequirement(option, value, problem, remedy)


REQUIREMENTS = [
    _required("save", "", "The store would write to disk: its option `save` is on."),
    _required("appendonly", "no", "The store would write to disk: its option `appendonly` is on."),
    _required(
        "maxmemory-policy",
        "noeviction",
        "The store would drop reports when its memory is full, and nobody would know.",
    ),
    _required(
        "slowlog-log-slower-than",
        "-1",
        "The store would keep the arguments of slow commands: its option "
        "`slowlog-log-slower-than` is on.",
    ),
]
_lines = ", ".join(f"`{each.option} {each.value or repr('')}`" for each in REQUIREMENTS)
READABLE_CONFIGURATION = ServerRequirement(
    "",
    "",
    "The store does not tell its configuration: CONFIG is forbidden.",
    f"Make sure of {_lines}, and say so with REDIS_UNCHECKED=1.",
)
