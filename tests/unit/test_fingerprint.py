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


def of_the_copy(*names):
    return fingerprint.fingerprint.__wrapped__(*names)


def test_the_fingerprint_changes_with_the_names_of_code_files(copy):
    (copy / "more.py").touch()
    more = of_the_copy()
    (copy / "more.py").rename(copy / "other.py")
    assert len({fingerprint.fingerprint(), more, of_the_copy()}) == 3


@pytest.mark.parametrize(
    ("name", "is_code", "stores"),
    [
        ("reports/parsing.py", True, True),
        ("questions.py", True, True),
        ("views/ingest.py", True, True),
        ("cache/store.lua", True, True),
        ("numbers/stats.py", True, False),
        ("static/collector/page.css", False, False),
        ("templates/collector/frame.html", False, False),
        ("docs/pages/docs.md", False, False),
        (".DS_Store", False, False),
        ("._apps.py", False, False),
        ("__pycache__/new.pyc", False, False),
    ],
)
def test_only_code_changes_the_fingerprint_and_only_code_that_stores_reports_the_count(
    copy, name, is_code, stores
):
    storing = of_the_copy(*fingerprint.STORING)
    assert of_the_copy() == fingerprint.fingerprint()
    (copy / name).parent.mkdir(exist_ok=True)
    with (copy / name).open("a") as file:
        file.write("\n")
    assert (of_the_copy() != fingerprint.fingerprint()) == is_code
    assert (of_the_copy(*fingerprint.STORING) != storing) == stores
    assert len(of_the_copy()) == fingerprint.DIGITS


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
