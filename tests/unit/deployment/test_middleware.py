import pytest

from tracking_site.middleware import PAGE_HEADERS


@pytest.mark.parametrize("path", ["/docs", "/dashboard", "/nothing", "/badge.svg"])
def test_a_page_has_the_headers_that_protect_it(client, path):
    response = client.get(path, headers={"Accept": "text/html"})
    assert PAGE_HEADERS.items() <= response.headers.items()


def test_the_policy_allows_no_script_and_no_third_party():
    policy = PAGE_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "script-src" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/", "/docs", "/stats", "/nothing", "/static/collector/page.css"])
def test_no_browser_guesses_a_content_type(client, path):
    response = client.get(path)
    response.close()
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_response_that_is_no_page_has_no_headers_for_pages(client):
    assert not PAGE_HEADERS.keys() & client.get("/stats").headers.keys()
