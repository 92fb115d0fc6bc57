"""The image: the steps of the Dockerfile in an empty folder, and its CMD in its own environment.

This needs no container engine. It does not test what an engine adds: the base image, the user and
the network.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from string import Template

import pytest

from collector.fingerprint import fingerprint
from tests.servers import ROOT, Server, free_port, report


def instructions():
    """Return the instructions of the Dockerfile, each with its arguments."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]


class Stage:
    """A folder that represents the root of an image, with its environment."""

    def __init__(self, root):
        self.root = root
        self.env = {"PATH": "/usr/bin:/bin"}
        self.options = {}

    def inside(self, text):
        """Return a text in which the absolute paths of the image are in the folder."""
        return re.sub(r"(?<![\w.])/(venv|app)\b", rf"{self.root}/\1", text)

    def workdir(self, path):
        self.cwd = self.root / path.strip("/")
        self.cwd.mkdir(parents=True, exist_ok=True)

    def copy(self, arguments):
        *names, into = shlex.split(arguments)
        if names[0].startswith("--from="):
            return  # the stages share a folder here: a Python environment cannot be moved
        allowed = (ROOT / ".dockerignore").read_text().splitlines()
        assert "**/__pycache__" in allowed
        ignored = shutil.ignore_patterns("__pycache__")
        for name in names:
            assert f"!{name}" in allowed
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.cwd / into, ignore=ignored)
            else:
                shutil.copy(ROOT / name, self.cwd / into)

    def run(self, command):
        command = re.sub(r"^python\b", sys.executable, self.inside(command))
        # How this machine reaches the package index is not part of the image.
        network = {
            name: value
            for name, value in os.environ.items()
            if re.match(r"(PIP|SSL|REQUESTS)_|https?_proxy|no_proxy", name, re.IGNORECASE)
        }
        subprocess.run(["sh", "-ec", command], cwd=self.cwd, env=network | self.env, check=True)

    def set(self, arguments):
        for pair in shlex.split(arguments):
            name, value = pair.split("=", 1)
            self.env[name] = self.inside(Template(value).safe_substitute(self.env))

    def command(self, text):
        """Return a command of the image with the full path of its program."""
        program, *arguments = json.loads(text)
        return [shutil.which(program, path=self.env["PATH"]), *arguments]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image that the Dockerfile builds."""
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
    """A server started by the CMD of the image, on a free port."""
    port = free_port()
    command, env = image.command(image.options["CMD"]), image.env | {"PORT": str(port)}
    server = Server(command=command, cwd=image.cwd, port=port, **env)
    yield server.wait_until_ready()
    server.stop()


def test_the_image_listens_on_port_9292_without_root_and_without_a_shell(image):
    assert image.env["PORT"] == image.options["EXPOSE"] == "9292"
    assert image.options["USER"] == "65532:65532"
    assert image.options["CMD"].startswith("[")
    assert "CMD [" in image.options["HEALTHCHECK"]


def test_the_image_contains_only_what_it_needs(image):
    names = {path.name for path in image.cwd.iterdir()}
    assert names == {"LICENSE", "gunicorn.conf.py", "manage.py", "static", "tracking_site"}


def test_a_container_accepts_reports(container):
    assert container.post(report()).status == 201
    assert container.stats()["instances"] == 1


def test_static_files_in_a_container_are_hashed_and_compressed(container):
    page = container.request("GET", "/docs").content.decode()
    (path,) = re.findall(r'href="(/static/collector/page\.[0-9a-f]{12}\.css)"', page)
    style = container.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert style.headers["Content-Encoding"] == "gzip"
    assert "immutable" in style.headers["Cache-Control"]


def test_a_container_shows_the_fingerprint_of_its_code(image, container):
    health = json.loads(container.request("GET", "/healthz").content)
    assert health["fingerprint"] == fingerprint()
    assert health["revision"] == image.env["REVISION"] == ""


@pytest.mark.parametrize("port", ["its own", "another"])
def test_the_health_check_fails_if_no_server_listens(image, container, port):
    command = image.command(image.options["HEALTHCHECK"].split("CMD ")[1])
    env = image.env | {"PORT": str(container.port if port == "its own" else free_port())}
    healthy = subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0
    assert healthy == (port == "its own")
