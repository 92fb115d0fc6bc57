import shutil
from io import StringIO

import pytest
from django.core.management import call_command

from collector import fingerprint


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package, to change. The fingerprint of the package itself is cached."""
    fingerprint.fingerprint()
    folder = shutil.copytree(fingerprint.PACKAGE, tmp_path / "collector")
    monkeypatch.setattr(fingerprint, "PACKAGE", folder)
    return folder


def of_the_copy():
    return fingerprint.fingerprint.__wrapped__()


def test_the_fingerprint_changes_with_the_names_of_code_files(copy):
    (copy / "more.py").touch()
    more = of_the_copy()
    (copy / "more.py").rename(copy / "other.py")
    assert len({fingerprint.fingerprint(), more, of_the_copy()}) == 3


@pytest.mark.parametrize(
    ("name", "is_code"),
    [
        ("reports/parsing.py", True),
        ("cache/store.lua", True),
        ("static/collector/page.css", False),
        ("templates/collector/frame.html", False),
        ("docs/pages/docs.md", False),
        (".DS_Store", False),
        ("._apps.py", False),
        ("__pycache__/new.pyc", False),
    ],
)
def test_only_code_changes_the_fingerprint(copy, name, is_code):
    assert of_the_copy() == fingerprint.fingerprint()
    (copy / name).parent.mkdir(exist_ok=True)
    with (copy / name).open("a") as file:
        file.write("\n")
    assert (of_the_copy() != fingerprint.fingerprint()) == is_code
    assert len(of_the_copy()) == fingerprint.DIGITS


@pytest.mark.parametrize(
    ("name", "stores"),
    [
        ("cache/store.lua", True),
        ("questions.py", True),
        ("reports/parsing.py", True),
        ("views/ingest.py", True),
        ("views/stats.py", False),
        ("numbers/stats.py", False),
    ],
)
def test_only_code_that_stores_reports_starts_the_count_from_zero(copy, name, stores):
    digest = fingerprint.fingerprint.__wrapped__(*fingerprint.STORING)
    with (copy / name).open("a") as file:
        file.write("\n")
    assert (fingerprint.fingerprint.__wrapped__(*fingerprint.STORING) != digest) == stores


def test_the_command_prints_the_fingerprint_that_the_server_shows(client, settings):
    settings.HEADCOUNT_REVISION = "0a1b2c3"
    printed = StringIO()
    call_command("fingerprint", stdout=printed)
    health = client.get("/healthz").json()
    assert health["fingerprint"] == printed.getvalue().strip()
    assert health["revision"] == "0a1b2c3"
    assert health["settings"]["retention_days"] == "7"
    footer = client.get("/dashboard").content.decode().split("<footer>")[1]
    assert f"revision 0a1b2c3, code {health['fingerprint']}" in footer
