"""The deployment files in `deploy/` and the root, each checked by the program that reads it."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from collector.conf import MAX_ENTRIES, conf, records_cache
from tests.servers import ROOT, needs
from tests.store.redis_server import RedisServer
from tracking_site.limits import memory_ceiling

CHECKER = Path(sys.executable).with_name("check-jsonschema")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
SCALE = yaml.safe_load((ROOT / "compose.scale.yaml").read_text())["services"]
RENDER = yaml.safe_load((ROOT / "render.yaml").read_text())["services"][0]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
UNITS = (
    "headcount.service",
    "headcount.socket",
    "headcount-archive.service",
    "headcount-archive.timer",
)
SERVICE = (ROOT / "deploy" / "headcount.service").read_text()


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("compose-spec", "compose.yaml"),
        ("compose-spec", "compose.scale.yaml"),
        ("github-workflows", ".github/workflows/ci.yml"),
        ("github-workflows", "deploy/archive.yml"),
    ],
)
def test_a_file_matches_its_published_schema(schema, name):
    command = [CHECKER, "--builtin-schema", f"vendor.{schema}", ROOT / name]
    subprocess.run(command, check=True, capture_output=True)


def test_systemd_accepts_the_units_and_rates_the_server_as_hardened(tmp_path):
    needs("systemd-analyze", "systemd")
    needs("curl", "curl")  # for the units that save the history
    units = [tmp_path / name for name in UNITS]
    for unit in units:
        text = (ROOT / "deploy" / unit.name).read_text()
        unit.write_text(text.replace("/opt/headcount/.venv/bin", str(Path(sys.executable).parent)))
    verify = ["systemd-analyze", "verify", *units]
    verified = subprocess.run(verify, check=True, capture_output=True, text=True)
    assert "headcount" not in verified.stderr
    security = ["systemd-analyze", "security", "--offline=true", "--threshold=15", units[0]]
    subprocess.run(security, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("changed", "issue"),
    [
        ({}, ""),
        ({"PUBLIC_URL": "http://count.example"}, "sent unencrypted"),
        ({"MIN_GROUP": "0"}, "MIN_GROUP"),
        ({"RETENTION_DAYS": "a week"}, "RETENTION_DAYS"),
    ],
)
def test_a_reload_of_the_unit_checks_the_settings_with_those_of_the_unit(changed, issue):
    """systemd gives the command the unit's variables, and takes its exit status as the result."""
    (command,) = re.findall("^ExecReload=(/.*)$", SERVICE, re.MULTILINE)
    (variables,) = re.findall("^Environment=(.*)$", SERVICE, re.MULTILINE)
    environ = dict(variable.split("=") for variable in shlex.split(variables))
    assert environ["MIN_GROUP"] == "3"
    environ |= {"PUBLIC_URL": "https://count.example", "PROJECT_NAME": "My Application"} | changed
    arguments = [sys.executable, *command.split()[1:]]
    check = subprocess.run(
        arguments, cwd=ROOT, env=environ, check=False, capture_output=True, text=True
    )
    assert (check.returncode == 0) == (not issue)
    assert issue in check.stderr
    assert ("no issues" in check.stdout) == (not issue)


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/headcount.service"])
def test_the_memory_limit_is_enough_for_the_default_number_of_instances(name):
    text = (ROOT / name).read_text()
    limit = re.search(r"(?:mem_limit: |MemoryMax=)(\d+)M", text, re.IGNORECASE)
    assert conf.max_instances == MAX_ENTRIES
    assert int(limit[1]) * 2**20 >= memory_ceiling()


def test_the_plan_of_render_has_memory_for_the_number_of_instances(settings):
    values = {each["key"]: each.get("value") for each in RENDER["envVars"]}
    settings.CACHES = {"records": records_cache(max_instances=int(values["MAX_INSTANCES"]))}
    assert RENDER["plan"] == "starter"  # it has 512 MB
    assert memory_ceiling() <= 512e6


def test_compose_and_render_ask_for_the_name_of_the_project():
    asks = "${PROJECT_NAME:?"
    assert COMPOSE["headcount"]["environment"]["PROJECT_NAME"].startswith(asks)
    assert {"key": "PROJECT_NAME", "sync": False} in RENDER["envVars"]


def test_compose_and_the_image_pass_a_folder_with_the_configuration_file(start):
    path = COMPOSE["headcount"]["environment"]["CONFIG_FILE"]
    assert {"key": "CONFIG_FILE", "value": path} in RENDER["envVars"]
    folder, name = path.rsplit("/", 1)
    assert f"./deploy/config:{folder}:ro" in COMPOSE["headcount"]["volumes"]
    assert f"COPY deploy/config {folder}\n" in (ROOT / "Dockerfile").read_text()
    file = ROOT / "deploy" / "config" / name
    assert tomllib.loads(file.read_text()) == {"version": 1}
    start(CONFIG_FILE=str(file)).wait_until_ready().stop()


def test_the_documented_override_passes_the_folder_of_the_history(tmp_path):
    text = (ROOT / "OPERATING.md").read_text()
    (override,) = re.findall("^```yaml\n(services.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "compose.override.yaml").write_text(override)
    test_a_file_matches_its_published_schema("compose-spec", tmp_path / "compose.override.yaml")
    ((name, service),) = yaml.safe_load(override)["services"].items()
    assert name in COMPOSE
    assert service["volumes"] == [f"/srv/history:{service['environment']['HISTORY_FOLDER']}:ro"]


def test_no_compose_service_has_more_rights_than_it_needs():
    assert list(COMPOSE) == ["headcount", "caddy"]
    for service in (*COMPOSE.values(), SCALE["valkey"]):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_server_accepts_the_store_of_compose(start):
    store = RedisServer(*SCALE["valkey"]["command"][1:])
    server = start("--workers", "2", REDIS_URL=store.url, SECRET_KEY="x" * 50)
    server.wait_until_ready().stop()
    store.stop()
    assert SCALE["headcount"]["environment"]["REDIS_URL"] == "redis://valkey:6379/0"


@pytest.mark.parametrize("name", ["wheel", "image"])
def test_the_workflow_publishes_only_what_was_tested_on_a_tag_with_provenance(name):
    job = WORKFLOW["jobs"][name]
    assert "test" in job["needs"]
    assert any("__version__" in step.get("run", "") for step in job["steps"])
    assert job["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert {"id-token", "attestations"} <= job["permissions"].keys()
    used = [step.get("uses", "") for step in job["steps"]]
    assert any(action.startswith("actions/attest-build-provenance@") for action in used)
