"""What Django answers itself when nothing else does."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from collector.views.endpoint import Endpoint, bodiless, refusal


class Failed(Endpoint):
    """The same refusal for every method."""

    status = 500
    problem = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return bodiless(request, refusal(request, self.status, self.problem))


not_found = Failed.as_view(status=404, problem="There is nothing here; the docs are at /docs.")
bad_request = Failed.as_view(status=400, problem="The request is malformed.")
server_error = Failed.as_view(problem="The server failed; try again later.")
