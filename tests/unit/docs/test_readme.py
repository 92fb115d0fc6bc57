import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from collector.conf import INSTANCE_BYTES, records_cache
from tracking_site.environment import Environment
from tracking_site.limits import CONNECTION_BYTES, CONNECTIONS, memory_ceiling

ROOT = Path(__file__).parents[3]
TEXTS = [
    *(ROOT / name for name in ("README.md", "OPERATING.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / "benchmarks" / "README.md", *(ROOT / "collector" / "docs" / "pages").glob("*.md")),
]
README = TEXTS[0].read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
REQUIRED = [Requirement(each) for each in PROJECT["dependencies"]]
SERVER = [Requirement(each) for each in PYPROJECT["dependency-groups"]["server"]]


@pytest.mark.parametrize(("mark", "packages"), [("", REQUIRED), (" (server)", SERVER)])
def test_the_readme_has_a_row_for_every_dependency(mark, packages):
    table = README.split("## Dependencies")[1]
    rows = re.findall(rf"^\| ([\w-]+){re.escape(mark)} \|.*\|.*\|$", table, re.MULTILINE)
    assert set(rows) - {"package"} == {package.name for package in packages}


def test_there_are_at_most_ten_dependencies():
    store = [Requirement(each) for each in PROJECT["optional-dependencies"]["redis"]]
    assert len({package.name for package in REQUIRED + SERVER + store}) <= 10


def pins(name):
    """Return the version that a requirements file pins for each package."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_every_dependency_is_pinned_to_a_version_that_the_project_allows():
    pinned = pins("requirements.txt")
    for package in REQUIRED + SERVER:
        assert pinned[package.name] in package.specifier


def test_operating_says_what_each_changed_setting_does_to_the_counts():
    section = (ROOT / "OPERATING.md").read_text().split("## Upgrades and changed settings")[1]
    table = section.split("\n## ")[0]
    for field in Environment.__struct_fields__:
        assert f"`{field.upper()}`" in table


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_text_links_or_names_exists(path):
    for link in re.findall(r"\]\((?!https?:|#|{)([^)#]+)", path.read_text()):
        assert (path.parent / link).exists(), link
    folders = "benchmarks|clients|collector|deploy|simulation|tests|tracking_site"
    for name in re.findall(rf"`((?:{folders})/[\w./-]*)", path.read_text()):
        assert (ROOT / name).exists(), name


def test_the_memory_that_operating_names_is_the_ceiling(settings):
    text = " ".join((ROOT / "OPERATING.md").read_text().split())
    ceilings = [memory_ceiling() - fewer * INSTANCE_BYTES for fewer in (0, 900_000)]
    settings.CACHES = {"records": records_cache(redis_url="redis://127.0.0.1")}
    million, fewer, shared = (-(-each // 2**20) for each in (*ceilings, memory_ceiling()))
    assert f"saved days that is {million} MiB; with `MAX_INSTANCES=100000`, {fewer} MiB." in text
    assert f"so the ceiling is {shared} MiB for each worker" in text
    assert f"{CONNECTIONS:,} connections" in text
    assert f"{CONNECTION_BYTES:,} each" in text
