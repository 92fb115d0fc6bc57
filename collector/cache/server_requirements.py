"""What a store must be set to, so that it is as forgetful as memory."""

from typing import NamedTuple


class ServerRequirement(NamedTuple):
    """An option of the server, the only value that will do, and what another would break."""

    option: str
    value: str
    problem: str

    @property
    def remedy(self) -> str:
        """What to do, with the command to run."""
        value = self.value or "''"
        return (
            f"Run `redis-cli CONFIG SET {self.option} {value}` there, and write "
            f"`{self.option} {value}` into its configuration."
        )


class Forbidden(ServerRequirement):
    """The configuration cannot be read."""

    @property
    def remedy(self) -> str:
        """What to do, with the setting to write."""
        wanted = ", ".join(f"`{each.option} {each.value or repr('')}`" for each in REQUIREMENTS)
        return f"Make sure of {wanted}, and say so with REDIS_UNCHECKED=1."


REQUIREMENTS = [
    ServerRequirement("save", "", "The store would write to disk: its option `save` is on."),
    ServerRequirement(
        "appendonly", "no", "The store would write to disk: its option `appendonly` is on."
    ),
    ServerRequirement(
        "maxmemory-policy",
        "noeviction",
        "The store would drop records when its memory is full, and nobody would know.",
    ),
]
FORBIDDEN = Forbidden("", "", "The store does not tell its configuration: CONFIG is forbidden.")
