"""`collector` in another project: one of `startproject`, with what it has by default around it."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.servers import ROOT, Server, free_port

PACKAGED = ("collector", "pyproject.toml", "README.md", "LICENSE")
REPORT = {
    "id": "fdb45536-cba8-4204-b352-71fc1062fd95",
    "version": {"app": "1", "sha": "x", "image": None, "arch": "arm"},
}


def snippets():
    """What OPERATING.md says to add to the settings and to the URLs."""
    section = (ROOT / "OPERATING.md").read_text().split("## In a Django project of yours")[1]
    return re.findall(r"^```python\n(.*?)^```", section.split("\n## ")[0], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project that follows OPERATING.md; its environment."""
    root = tmp_path_factory.mktemp("project")
    source, installed, folder = root / "source", root / "installed", root / "folder"
    source.mkdir()
    for name in PACKAGED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", installed]
    subprocess.run([*pip, source], check=True)
    folder.mkdir()
    python = {**os.environ, "PYTHONPATH": str(installed), "PYTHONUNBUFFERED": "1"}
    python.pop("DJANGO_SETTINGS_MODULE", None)
    django = [sys.executable, "-m", "django", "startproject", "shop", folder]
    subprocess.run(django, cwd=folder, env=python, check=True)
    for name, snippet in zip(("settings.py", "urls.py"), snippets(), strict=True):
        with (folder / "shop" / name).open("a") as file:
            file.write(snippet)
    return folder, python


@pytest.fixture(scope="module")
def shop(project):
    folder, python = project
    port = free_port()
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    server = Server(command=command, cwd=folder, port=port, **python)
    server.wait_for("Starting development server").answers("/usage/readyz")
    yield server
    server.process.terminate()
    server.process.wait()
    server.stop()


def test_its_check_finds_nothing(project):
    folder, python = project
    check = [sys.executable, "manage.py", "check"]
    told = subprocess.run(check, cwd=folder, env=python, capture_output=True, text=True, check=True)
    assert "no issues" in told.stdout


def test_it_takes_reports_under_its_prefix_without_a_token(shop):
    assert shop.post(REPORT, "/usage/").status == 201
    assert b'"instances":1' in shop.request("GET", "/usage/stats").content
    assert shop.post({"id": REPORT["id"]}, "/usage/forget").status == 204


def test_its_pages_link_under_the_prefix_and_have_their_style(shop):
    for path in ("/usage/dashboard", "/usage/docs", "/usage/docs/clients", "/usage/docs/api"):
        page = shop.request("GET", path)
        assert page.status == 200
        links = re.findall(r'href="(/[^"#?]*)', page.content.decode())
        assert {"/usage/dashboard", "/static/collector/page.css"} <= set(links)
        for link in links:
            assert link.startswith(("/usage/", "/static/"))
            assert shop.request("GET", link).status == 200


def test_what_is_around_it_is_as_before(shop):
    assert shop.request("GET", "/admin/").status == 302
    assert shop.request("POST", "/admin/login/").status == 403  # there, a token is asked for
