"""Views for Django's 404, 400 and 500 error handlers."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from collector.refusal import Refusal
from collector.views.endpoint import Endpoint, error_response, finish


class ErrorView(Endpoint):
    """Returns the same error to every method."""

    status = 500
    problem = ""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        problem = self.problem.format(docs=reverse("collector-docs"))
        refusal = Refusal(problem, status=self.status)
        return finish(request, error_response(request, refusal))


not_found = ErrorView.as_view(status=404, problem="There is nothing here; the docs are at {docs}.")
bad_request = ErrorView.as_view(status=400, problem="The request is malformed.")
server_error = ErrorView.as_view(problem="The server failed; try again later.")
