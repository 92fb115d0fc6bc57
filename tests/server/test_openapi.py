"""A fuzzer that reads the description, against the server that is described."""

import json
import subprocess
import sys
from pathlib import Path

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

CONFIG = ("--config-file", Path(__file__).with_name("schemathesis.toml"))
OPTIONS = ("--max-examples=50", "--generation-database=none", "--no-color")


def test_a_fuzzer_agrees_with_the_description(server, tmp_path):
    # From a file: what is read from a server is left out of the run.
    described = tmp_path / "openapi.json"
    described.write_bytes(server.request("GET", "/openapi.json").content)
    url = f"--url=http://{server.address}"
    run = subprocess.run(
        [SCHEMATHESIS, *CONFIG, "run", described, url, *OPTIONS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    operations = sum(map(len, json.loads(described.read_bytes())["paths"].values()))
    assert f"Tested: {operations}\n" in run.stdout
    assert "No issues found" in run.stdout
