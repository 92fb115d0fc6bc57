"""The files in `deploy/` and the root that others run, each checked by its own program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from collector.conf import MAX_ENTRIES
from tests.servers import ROOT, needs
from tests.store.redis_server import RedisServer

CHECKER = Path(sys.executable).with_name("check-jsonschema")
SCALE = yaml.safe_load((ROOT / "compose.scale.yaml").read_text())["services"]
COMPOSE = (ROOT / "compose.yaml").read_text()
SERVICE = (ROOT / "deploy" / "headcount.service").read_text()


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("compose-spec", "compose.yaml"),
        ("compose-spec", "compose.scale.yaml"),
        ("github-workflows", ".github/workflows/ci.yml"),
    ],
)
def test_it_is_as_its_published_schema_says(schema, name):
    checked = [CHECKER, "--builtin-schema", f"vendor.{schema}", ROOT / name]
    subprocess.run(checked, check=True, capture_output=True)


def test_the_unit_is_one_that_systemd_takes_and_finds_hardened(tmp_path):
    needs("systemd-analyze", "systemd")
    unit = tmp_path / "headcount.service"
    gunicorn = Path(sys.executable).with_name("gunicorn")
    unit.write_text(SERVICE.replace("/opt/headcount/.venv/bin/gunicorn", str(gunicorn)))
    socket = tmp_path / "headcount.socket"
    socket.write_text((ROOT / "deploy" / "headcount.socket").read_text())
    verified = ["systemd-analyze", "verify", unit, socket]
    told = subprocess.run(verified, check=True, capture_output=True, text=True)
    assert "headcount" not in told.stderr
    security = ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit]
    subprocess.run(security, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/headcount.service"])
def test_the_memory_that_it_gives_is_what_the_installations_need(name):
    from collector.conf import conf

    given = re.search(r"(?:mem_limit: |MemoryMax=)(\d+)M", (ROOT / name).read_text(), re.IGNORECASE)
    assert conf.max_instances == MAX_ENTRIES
    assert int(given[1]) * 2**20 >= conf.memory_ceiling


def test_no_service_of_compose_may_do_more_than_it_needs():
    services = re.findall(r"^  (headcount|caddy):\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    assert [name for name, _ in services] == ["headcount", "caddy"]
    for _, service in services:
        assert "read_only: true" in service
        assert "cap_drop: [ALL]" in service
        assert "no-new-privileges:true" in service


def test_the_store_of_compose_is_one_that_is_taken(start):
    store = SCALE["valkey"]
    store_server = RedisServer(*store["command"][1:])
    server = start("--workers", "2", REDIS_URL=store_server.url, SECRET_KEY="x" * 50)
    server.wait_until_ready().stop()
    store_server.stop()
    assert store["read_only"]
    assert store["cap_drop"] == ["ALL"]
    assert SCALE["headcount"]["environment"]["REDIS_URL"] == "redis://valkey:6379/0"


def test_the_pinned_image_of_the_workflow_has_a_python_that_we_support():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    (version,) = re.findall(r"container: python:(3\.\d+)-", workflow)
    assert version in ("3.11", "3.12", "3.13")
    assert ".ci/run" in workflow
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
