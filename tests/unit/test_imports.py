import re
import tomllib
from pathlib import Path

from importlinter import cli

ROOT = Path(__file__).parents[2]
PYPROJECT = ROOT / "pyproject.toml"
LAYERS, FORBIDDEN = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
MAP = (ROOT / "CONTRIBUTING.md").read_text().split("## The map of the code")[1]


def test_the_imports_follow_the_contracts(capsys):
    broken = cli.lint_imports(config_filename=str(PYPROJECT), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


def test_the_map_of_the_code_has_the_layers_of_the_contract():
    (table,) = re.findall(r"^\| in `collector/` \|.*?\n\n", MAP, re.MULTILINE | re.DOTALL)
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line]
    layers = [layer.split(" | ") for layer in LAYERS["layers"]]
    assert [re.findall(r"`(\w+)`", row) for row in rows] == layers


def test_the_map_of_the_code_names_what_the_app_must_not_import():
    (sentence,) = re.findall(r"`collector` never imports (.*?);", MAP)
    assert re.findall(r"`(\w+)`", sentence) == FORBIDDEN["forbidden_modules"]
