"""The one exception for a request that gets an error response."""

from collections.abc import Mapping


class Refusal(Exception):
    """A request is refused: what is wrong and what to do, and in which field, if it is in one.

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
