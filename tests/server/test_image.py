"""The image: the Dockerfile's own steps in empty folders, and its CMD in an environment of its own.

No container engine is needed. What an engine would add is not tested here: the base image, the
user and the network.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from string import Template

import pytest

from collector.fingerprint import fingerprint
from tests.servers import ROOT, Server, free_port


def instructions():
    """The Dockerfile's instructions, each with its arguments."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]


def ignored(_, names):
    """What is left out of a copy: compiled modules, as .dockerignore says."""
    return [name for name in names if fnmatch(name, "__pycache__")]


class Stage:
    """A folder that stands for an image's root, and its environment."""

    def __init__(self, root):
        self.root = root
        self.env = {"PATH": "/usr/bin:/bin"}
        self.options = {}

    def inside(self, text):
        """Absolute paths of the image, here."""
        return re.sub(r"(?<![\w.])/(venv|app)\b", rf"{self.root}/\1", text)

    def workdir(self, path):
        self.cwd = self.root / path.strip("/")
        self.cwd.mkdir(parents=True, exist_ok=True)

    def copy(self, arguments):
        *names, into = shlex.split(arguments)
        if names[0].startswith("--from="):
            return  # the stages share a root here: an environment of Python cannot be moved
        allowed = (ROOT / ".dockerignore").read_text().splitlines()
        for name in names:
            assert f"!{name}" in allowed
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.cwd / into, ignore=ignored)
            else:
                shutil.copy(ROOT / name, self.cwd / into)

    def run(self, command):
        command = re.sub(r"^python\b", sys.executable, self.inside(command))
        # How this machine reaches the package index is not the image's affair.
        network = {
            name: value
            for name, value in os.environ.items()
            if re.match(r"(PIP|SSL|REQUESTS)_|https?_proxy|no_proxy", name, re.IGNORECASE)
        }
        subprocess.run(["sh", "-ec", command], cwd=self.cwd, env=network | self.env, check=True)

    def set(self, arguments):
        pairs = dict(pair.split("=", 1) for pair in shlex.split(arguments))
        for name, value in pairs.items():
            self.env[name] = self.inside(Template(value).safe_substitute(self.env))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The Dockerfile, followed."""
    root = tmp_path_factory.mktemp("image")
    for instruction, arguments in instructions():
        match instruction:
            case "FROM":
                stage = Stage(root)
            case "WORKDIR":
                stage.workdir(arguments)
            case "COPY":
                stage.copy(arguments)
            case "RUN":
                stage.run(arguments)
            case "ENV" | "ARG":
                stage.set(arguments)
            case _:
                stage.options[instruction] = arguments
    return stage


@pytest.fixture(scope="module")
def container(image):
    """The image's CMD, on a free port instead of its own."""
    command = json.loads(image.options["CMD"])
    command[0] = shutil.which(command[0], path=image.env["PATH"])
    port = free_port()
    server = Server(command=command, cwd=image.cwd, port=port, **image.env | {"PORT": str(port)})
    yield server.wait_until_ready()
    server.stop()


def test_it_listens_where_the_reference_does(image):
    assert image.env["PORT"] == image.options["EXPOSE"] == "9292"


def test_it_is_not_root_and_needs_no_shell(image):
    assert image.options["USER"] == "65532:65532"
    assert image.options["CMD"].startswith("[")
    assert "CMD [" in image.options["HEALTHCHECK"]


def test_it_has_what_it_needs_and_no_more(image):
    there = {path.name for path in image.cwd.iterdir()}
    assert there == {"LICENSE", "gunicorn.conf.py", "manage.py", "static", "tracking_site"}


def test_it_takes_reports(container):
    version = {"app": "1", "sha": "x", "image": None, "arch": "arm"}
    report = {"id": "fdb45536-cba8-4204-b352-71fc1062fd95", "version": version}
    assert container.post(report).status == 201
    assert container.stats()["instances"] == 1


def test_its_static_files_are_hashed_and_compressed(container):
    page = container.request("GET", "/docs").content.decode()
    (path,) = re.findall(r'href="(/static/collector/page\.[0-9a-f]{12}\.css)"', page)
    style = container.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert style.headers["Content-Encoding"] == "gzip"
    assert "immutable" in style.headers["Cache-Control"]


def test_it_tells_the_code_that_it_was_built_from(image, container):
    told = json.loads(container.request("GET", "/healthz").content)
    assert told["fingerprint"] == fingerprint()
    assert told["revision"] == image.env["REVISION"] == ""


@pytest.mark.parametrize("port", ["its own", "another"])
def test_its_health_check_tells(image, container, port):
    _, command = image.options["HEALTHCHECK"].split("CMD ")
    command = json.loads(command)
    command[0] = shutil.which(command[0], path=image.env["PATH"])
    env = image.env | {"PORT": str(container.port if port == "its own" else free_port())}
    healthy = subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0
    assert healthy == (port == "its own")
