"""The description of the API, compared with the server by a fuzzer."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.servers import Server

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = ("--config-file", Path(__file__).with_name("schemathesis.toml"))
FILTERED = ("/stats", "/dashboard")
OPTIONS = ("--max-examples=25", "--generation-database=none", "--no-color")


@pytest.fixture(scope="module")
def server():
    running = Server(CONFIG_FILE="docs/examples/manyfold.toml").wait_until_ready()
    yield running
    running.stop()


def test_a_fuzzer_finds_no_response_that_the_description_does_not_allow(server, tmp_path):
    # The fuzzer omits a description that it reads from a server, so it reads a file.
    description = tmp_path / "openapi.json"
    description.write_bytes(server.request("GET", "/openapi.json").content)
    run = subprocess.run(
        [SCHEMATHESIS, *CONFIG, "run", description, f"--url=http://{server.address}", *OPTIONS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    operations = sum(map(len, json.loads(description.read_bytes())["paths"].values()))
    assert f"Tested: {operations}\n" in run.stdout
    assert "No issues found" in run.stdout


def longest(parameter):
    """Return the longest values that a parameter allows, of a character that has to be encoded."""
    schema = parameter["schema"]
    if "enum" in schema:
        return [max(schema["enum"], key=len)]
    return [schema.get("items", schema)["maxLength"] * "%"] * schema.get("maxItems", 1)


@pytest.mark.parametrize("path", FILTERED)
def test_the_longest_query_that_the_description_allows_is_not_refused(server, path):
    description = json.loads(server.request("GET", "/openapi.json").content)
    parameters = description["paths"][path]["get"]["parameters"]
    query = urlencode({each["name"]: longest(each) for each in parameters}, doseq=True)
    assert server.request("GET", f"{path}?{query}").status in (200, 302)


@pytest.mark.parametrize("query", ["app=x&app=x&app=x&app=x", f"app={131 * 'x'}", "app=%C3%A9"])
def test_a_filter_that_the_description_does_not_allow_is_refused_as_json(server, query):
    response = server.request("GET", f"/stats?{query}")
    assert response.status == 400
    assert json.loads(response.content)["field"] == "app"
