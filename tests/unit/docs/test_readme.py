import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from collector.conf import CONNECTION_BYTES, CONNECTIONS, INSTANCE_BYTES, conf

ROOT = Path(__file__).parents[3]
TEXTS = [
    *(ROOT / name for name in ("README.md", "OPERATING.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / "benchmarks" / "README.md", *(ROOT / "collector" / "docs" / "pages").glob("*.md")),
]
README = TEXTS[0].read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [Requirement(each) for each in PROJECT["dependencies"]]
SERVER = [Requirement(each) for each in PROJECT["optional-dependencies"]["serve"]]
each_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.mark.parametrize(("mark", "packages"), [("", REQUIRED), (" (server)", SERVER)])
def test_the_readme_has_a_row_for_every_dependency(mark, packages):
    table = README.split("## Dependencies")[1]
    rows = re.findall(rf"^\| ([\w-]+){re.escape(mark)} \|.*\|.*\|$", table, re.MULTILINE)
    assert set(rows) - {"package"} == {package.name for package in packages}


def test_there_are_at_most_ten_dependencies():
    assert len({package.name for package in REQUIRED + SERVER}) <= 10


def test_every_dependency_is_pinned_to_a_version_that_the_project_allows():
    requirements = (ROOT / "requirements.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", requirements, re.MULTILINE))
    for package in REQUIRED + SERVER:
        assert pinned[package.name] in package.specifier


@each_text
def test_every_link_to_a_file_has_a_target(path):
    for link in re.findall(r"\]\((?!https?:|#|{)([^)#]+)", path.read_text()):
        assert (path.parent / link).exists(), link


@each_text
def test_every_path_that_a_text_names_exists(path):
    folders = "benchmarks|clients|collector|deploy|simulation|tests|tracking_site"
    for name in re.findall(rf"`((?:{folders})/[\w./-]*)", path.read_text()):
        assert (ROOT / name).exists(), name


def test_the_memory_that_operating_names_is_the_ceiling():
    text = (ROOT / "OPERATING.md").read_text()
    stated = re.search(
        r"million instances that is (\d+) MiB; with `MAX_INSTANCES=100000`, (\d+)", text
    )
    ceilings = [conf.memory_ceiling - fewer * INSTANCE_BYTES for fewer in (0, 900_000)]
    assert [int(number) for number in stated.groups()] == [-(-each // 2**20) for each in ceilings]
    assert f"{CONNECTIONS:,} connections" in text
    assert f"{CONNECTION_BYTES:,} each" in text
