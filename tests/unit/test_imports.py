import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = ROOT / "pyproject.toml"
LAYERS, FORBIDDEN = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
MAP = (ROOT / "CONTRIBUTING.md").read_text().split("## The map of the code")[1]


def test_the_imports_follow_the_contracts():
    # In a process of its own, because import-linter disables all loggers that exist.
    command = [Path(sys.executable).with_name("lint-imports"), "--config", PYPROJECT, "--no-cache"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def test_the_map_of_the_code_says_what_the_contracts_say():
    (table,) = re.findall(r"^\| in `collector/` \|.*?\n\n", MAP, re.MULTILINE | re.DOTALL)
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line]
    layers = [layer.split(" | ") for layer in LAYERS["layers"]]
    assert [re.findall(r"`(\w+)`", row) for row in rows] == layers
    (sentence,) = re.findall(r"`collector` never imports (.*?);", MAP)
    assert re.findall(r"`(\w+)`", sentence) == FORBIDDEN["forbidden_modules"]
