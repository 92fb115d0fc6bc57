import pytest

from tracking_site.middleware import PAGE_HEADERS


@pytest.mark.parametrize("path", ["/docs", "/dashboard", "/nothing", "/badge.svg"])
def test_a_page_has_the_headers_that_protect_it(client, path):
    response = client.get(path, headers={"Accept": "text/html"})
    assert PAGE_HEADERS.items() <= response.headers.items()
    assert response["X-Content-Type-Options"] == "nosniff"


def test_the_policy_allows_no_script_and_no_third_party():
    policy = PAGE_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "script-src" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/stats", "/nothing", "/static/collector/page.css"])
def test_a_response_that_is_no_page_only_says_that_no_browser_may_guess_its_type(client, path):
    response = client.get(path)
    response.close()
    assert response["X-Content-Type-Options"] == "nosniff"
    assert not PAGE_HEADERS.keys() & response.headers.keys()
