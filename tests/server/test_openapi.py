"""The description of the API, compared with the server by a fuzzer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = ("--config-file", Path(__file__).with_name("schemathesis.toml"))
OPTIONS = ("--max-examples=25", "--generation-database=none", "--no-color")


@pytest.mark.parametrize("environ", [{}, {"CONFIG_FILE": "docs/examples/manyfold.toml"}])
def test_a_fuzzer_finds_no_response_that_the_description_does_not_allow(start, tmp_path, environ):
    server = start(**environ).wait_until_ready()
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
