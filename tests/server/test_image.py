"""The image, built from the Dockerfile with buildah, which needs no daemon, and run as its user.

A Debian system with Python takes the place of the base image, so that no image registry is needed.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from collector.fingerprint import fingerprint
from tests.servers import ROOT, Server, free_port, needs, report

REVISION = "0a1b2c3"
# How this machine reaches the package index is not part of the image.
INDEX = [path for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
USER = ("--unshare-user", "--uid", "65532", "--gid", "65532", "--cap-drop", "ALL")


class Buildah:
    """Runs buildah, with storage of its own in a folder."""

    env = os.environ | {"BUILDAH_ISOLATION": "chroot"}

    def __init__(self, folder):
        place = ("--root", folder / "root", "--runroot", folder / "run")
        # Overlay is faster, but not every file system supports it, such as that of a container.
        overlay = ["buildah", *place, "--storage-driver", "overlay"]
        works = subprocess.run([*overlay, "from", "scratch"], capture_output=True, check=False)
        self.start = overlay if works.returncode == 0 else [*overlay[:-1], "vfs"]

    def __call__(self, *arguments):
        command = [*self.start, *arguments]
        return subprocess.check_output(command, cwd=ROOT, env=self.env, text=True).strip()


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    needs("buildah", "buildah")
    run = Buildah(tmp_path_factory.mktemp("containers"))
    yield run
    run("rm", "--all")
    run("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def image(buildah, tmp_path_factory):
    """The image, its configuration, and the folder of a container's root."""
    needs("mmdebstrap", "mmdebstrap")
    root = tmp_path_factory.mktemp("base") / "base.tar"
    # Only what the Dockerfile and these tests run; unpacked without configuration, it is fast.
    packages = "--include=python3,python3-venv,libstdc++6,base-files,coreutils,dash,findutils"
    subprocess.run(
        ["mmdebstrap", "-q", "--variant=extract", packages, codename(), root], check=True
    )
    base = buildah("from", "scratch")
    buildah("add", "-q", base, root, "/")
    buildah("commit", "-q", "--rm", base, "base")
    root.unlink()
    volumes = [f"--volume={path}:{path}:ro" for path in INDEX]
    options = ["-q", "--format=docker", "--from=base", f"--build-arg=REVISION={REVISION}", *volumes]
    buildah("build", *options, "--tag=headcount", ".")
    inspected = json.loads(buildah("inspect", "--type=image", "headcount"))
    container = buildah("from", "headcount")
    return SimpleNamespace(
        config=inspected["Docker"]["config"],
        container=container,
        root=Path(buildah("mount", container)),
    )


def codename():
    """Return the name of a Debian release: this machine's."""
    system = Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)$", system, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def server(image):
    """The command of the image on a read-only root, as the user of the image, on a free port."""
    needs("bwrap", "bubblewrap")
    binds = ("--ro-bind", image.root, "/", "--dev", "/dev", "--proc", "/proc")
    begin = ["bwrap", *binds, *USER, "--chdir", image.config["WorkingDir"], "--"]
    environ = dict(each.split("=", 1) for each in image.config["Env"])
    port = free_port()
    running = Server(
        command=[*begin, *image.config["Cmd"]], port=port, **environ | {"PORT": f"{port}"}
    )
    yield running.wait_until_ready()
    running.stop()


def test_a_container_accepts_reports_and_shows_its_code_and_its_revision(server):
    assert server.post(report()).status == 201
    assert server.stats()["instances"] == 1
    health = json.loads(server.request("GET", "/healthz").content)
    assert health["fingerprint"] == fingerprint()
    assert health["revision"] == REVISION


def test_static_files_in_a_container_are_hashed_and_compressed(server):
    page = server.request("GET", "/docs").content.decode()
    (path,) = re.findall(r'href="(/static/collector/page\.[0-9a-f]{12}\.css)"', page)
    style = server.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert style.headers["Content-Encoding"] == "gzip"
    assert "immutable" in style.headers["Cache-Control"]


def test_the_user_of_the_image_is_not_root_and_can_write_to_none_of_its_files(image, buildah):
    assert image.config["User"] == "65532:65532"
    assert buildah("run", image.container, "--", "id", "-u") == "65532"
    find = ("find", "/app", "/venv", "-writable", "-not", "-type", "l")
    assert buildah("run", image.container, "--", *find) == ""


def test_the_image_exposes_its_port_and_names_its_revision(image):
    assert image.config["ExposedPorts"].keys() == {"9292/tcp"}
    assert "PORT=9292" in image.config["Env"]
    assert image.config["Labels"]["org.opencontainers.image.revision"] == REVISION


def test_the_image_contains_only_what_it_needs(image, buildah):
    names = {path.name for path in (image.root / "app").iterdir()}
    assert names == {"LICENSE", "gunicorn.conf.py", "manage.py", "static", "tracking_site"}
    installed = buildah("run", image.container, "--", "/venv/bin/pip", "freeze", "--all")
    versions = pins(installed.replace("prometheus_client", "prometheus-client"))
    pinned = pins((ROOT / "requirements.txt").read_text())
    for name in pinned.keys() & versions.keys():
        assert versions[name] == pinned[name]
    assert not pinned.keys() - versions.keys()
    # redis requires async-timeout for the Python of Debian 12.
    assert versions.keys() - pinned.keys() <= {"pip", "setuptools", "async-timeout"}
    assert not versions.keys() & pins((ROOT / "requirements-dev.txt").read_text()).keys()


def pins(text):
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("port", ["its own", "another"])
def test_the_health_check_fails_if_no_server_listens(image, buildah, server, port):
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    number = server.port if port == "its own" else free_port()
    run = [*buildah.start, "run", f"--env=PORT={number}", image.container, "--", *command]
    failed = subprocess.run(run, env=buildah.env, capture_output=True, check=False).returncode
    assert bool(failed) == (port == "another")
