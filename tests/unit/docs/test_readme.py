import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from collector.conf import CONNECTION_BYTES, CONNECTIONS, INSTANCE_BYTES, conf

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALWAYS = {Requirement(each).name for each in PROJECT["dependencies"]}
SERVER = {Requirement(each).name for each in PROJECT["optional-dependencies"]["serve"]}


@pytest.mark.parametrize(("mark", "packages"), [("", ALWAYS), (" (server)", SERVER)])
def test_every_package_has_its_row_and_no_other(mark, packages):
    table = README.split("## What it stands on")[1]
    rows = re.findall(rf"^\| ([\w-]+){re.escape(mark)} \|.*\|.*\|$", table, re.MULTILINE)
    assert set(rows) - {"package"} == packages


def test_there_are_ten_at_most():
    assert len(ALWAYS | SERVER) <= 10


def test_each_is_pinned():
    pinned = dict(
        re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    )
    for each in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["serve"]]:
        wanted = Requirement(each)
        assert pinned[wanted.name] in wanted.specifier


def test_every_module_is_on_the_map():
    modules = {path.name for path in (ROOT / "collector").glob("*.py")} - {"__init__.py", "apps.py"}
    told = set(re.findall(r"(\w+\.py)`", (ROOT / "CONTRIBUTING.md").read_text()))
    assert modules <= told


def test_every_link_leads_somewhere():
    for name in (
        "README.md",
        "OPERATING.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "benchmarks/README.md",
    ):
        text = (ROOT / name).read_text()
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert ((ROOT / name).parent / link).exists(), f"{name}: {link}"


def test_the_memory_that_operating_names_is_the_ceiling():
    text = (ROOT / "OPERATING.md").read_text()
    told = re.search(
        r"million instances that is (\d+) MiB; with `MAX_INSTANCES=100000`, (\d+)", text
    )
    ceilings = [conf.memory_ceiling - fewer * INSTANCE_BYTES for fewer in (0, 900_000)]
    assert [int(number) for number in told.groups()] == [-(-each // 2**20) for each in ceilings]
    assert f"{CONNECTIONS:,} connections" in text
    assert f"{CONNECTION_BYTES:,} each" in text
