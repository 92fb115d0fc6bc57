"""The response headers that protect the pages."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

# Pages need only our own styles, images and form: no scripts, no frames and no third parties.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
# The content types that a browser displays as a page. An SVG image can have scripts and links.
PAGES = ("text/html", "image/svg+xml")

View = Callable[[HttpRequest], HttpResponseBase]


def protect_pages(get_response: View) -> View:
    """Return a middleware that adds PAGE_HEADERS to pages, and `nosniff` to every response.

    A browser then does not guess that a response without a policy, such as JSON, is a page. A
    policy that a view has set stays.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        if response.headers.get("Content-Type", "").startswith(PAGES):
            for name, value in PAGE_HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    return middleware
