"""`collector` from its wheel, in the project that `startproject` creates, with its defaults."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.servers import ID, ROOT, Server, free_port, report

# Then all pages of the project need a login, but for those of `collector`.
LOGIN = 'MIDDLEWARE += ["django.contrib.auth.middleware.LoginRequiredMiddleware"]\n'
PACKAGED = ("collector", "pyproject.toml", "README.md", "LICENSE")


def snippets():
    """Return what OPERATING.md adds to the settings and to the URLs."""
    section = (ROOT / "OPERATING.md").read_text().split("## In your own Django project")[1]
    return re.findall(r"^```python\n(.*?)^```", section.split("\n## ")[0], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built as the workflow builds it."""
    root = tmp_path_factory.mktemp("wheel")
    source = root / "source"
    source.mkdir()
    for name in PACKAGED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", root, source]
    subprocess.run(pip, check=True)
    (path,) = root.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory, wheel):
    """A project that follows OPERATING.md, served by Django."""
    root = tmp_path_factory.mktemp("project")
    installed, folder = root / "installed", root / "folder"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", installed]
    subprocess.run([*pip, wheel], check=True)
    folder.mkdir()
    python = {**os.environ, "PYTHONPATH": str(installed), "PYTHONUNBUFFERED": "1"}
    python.pop("DJANGO_SETTINGS_MODULE", None)
    django = [sys.executable, "-m", "django", "startproject", "shop", folder]
    subprocess.run(django, cwd=folder, env=python, check=True)
    for name, snippet in zip(("settings.py", "urls.py"), snippets(), strict=True):
        with (folder / "shop" / name).open("a") as file:
            file.write(snippet + LOGIN * (name == "settings.py"))
    port = free_port()
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    server = Server(command=command, cwd=folder, port=port, **python)
    server.wait_for("Starting development server").wait_for_response("/usage/readyz")
    yield server
    server.stop()


def test_the_wheel_has_the_app_and_nothing_else(wheel):
    files = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert {path.parts[0].partition("-")[0] for path in files} == {"collector", "headcount"}
    names = {path.relative_to("collector") for path in files if path.parts[0] == "collector"}
    checkout = {
        path.relative_to(ROOT / "collector")
        for path in (ROOT / "collector").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == checkout


def test_the_checks_of_the_project_find_nothing(shop):
    assert "System check identified no issues (0 silenced)." in shop.output


def test_the_project_accepts_reports_under_a_prefix_without_a_csrf_token_or_a_login(shop):
    assert shop.post(report(ID), "/usage/").status == 201
    assert b'"instances":1' in shop.request("GET", "/usage/stats").content
    assert shop.post({"id": ID}, "/usage/forget").status == 204


def test_every_link_in_the_pages_has_the_prefix_and_works(shop):
    for path in ("/usage/dashboard", "/usage/docs", "/usage/docs/clients"):
        page = shop.request("GET", path)
        assert page.status == 200
        links = re.findall(r'href="(/[^"#?]*)', page.content.decode())
        assert {"/usage/dashboard", "/static/collector/page.css"} <= set(links)
        for link in links:
            assert link.startswith(("/usage/", "/static/"))
            assert shop.request("GET", link).status == 200


def test_the_rest_of_the_project_works_as_before(shop):
    assert shop.request("GET", "/admin/").status == 302
    assert shop.request("POST", "/admin/login/").status == 403  # the login requires a CSRF token
