"""The options that make a store as forgetful as memory."""

from typing import NamedTuple


class ServerRequirement(NamedTuple):
    """An option of the server, its only acceptable value, and the problem with any other."""

    option: str
    value: str
    problem: str

    @property
    def remedy(self) -> str:
        """The command and the line of configuration that correct the option."""
        value = self.value or "''"
        return (
            f"Run `redis-cli CONFIG SET {self.option} {value}` there, and write "
            f"`{self.option} {value}` into its configuration."
        )


class ReadableConfiguration(ServerRequirement):
    """The server must allow CONFIG, or nobody can check its options."""

    @property
    def remedy(self) -> str:
        """The setting that accepts the server."""
        options = ", ".join(f"`{each.option} {each.value or repr('')}`" for each in REQUIREMENTS)
        return f"Make sure of {options}, and say so with REDIS_UNCHECKED=1."


REQUIREMENTS = [
    ServerRequirement("save", "", "The store would write to disk: its option `save` is on."),
    ServerRequirement(
        "appendonly", "no", "The store would write to disk: its option `appendonly` is on."
    ),
    ServerRequirement(
        "maxmemory-policy",
        "noeviction",
        "The store would drop reports when its memory is full, and nobody would know.",
    ),
    ServerRequirement(
        "slowlog-log-slower-than",
        "-1",
        "The store would keep the arguments of slow commands: its option "
        "`slowlog-log-slower-than` is on.",
    ),
]
READABLE_CONFIGURATION = ReadableConfiguration(
    "", "", "The store does not tell its configuration: CONFIG is forbidden."
)
