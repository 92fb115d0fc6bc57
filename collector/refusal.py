"""The exception that a view raises to send an error response."""

from collections.abc import Mapping


class Refusal(Exception):
    """A request is refused. It has the problem with its remedy, and the field, if it is in one.

    The response has this status and these headers.
    """

    def __init__(
        self,
        problem: str,
        field: str | None = None,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field
        self.status = status
        self.headers = dict(headers or {})
