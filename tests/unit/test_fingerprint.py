import shutil
from io import StringIO

import pytest
from django.core.management import call_command

from collector import fingerprint


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package, whose fingerprint is taken; that of the package is known by then."""
    fingerprint.fingerprint()
    there = shutil.copytree(fingerprint.PACKAGE, tmp_path / "collector")
    monkeypatch.setattr(fingerprint, "PACKAGE", there)
    return there


def taken():
    return fingerprint.fingerprint.__wrapped__()


def test_a_copy_has_the_same(copy):
    assert taken() == fingerprint.fingerprint()
    assert len(taken()) == fingerprint.DIGITS


@pytest.mark.parametrize("name", ["reports.py", "docs/docs.md", "templates/collector/frame.html"])
def test_it_changes_with_any_file(copy, name):
    with (copy / name).open("a") as file:
        file.write(" ")
    assert taken() != fingerprint.fingerprint()


def test_it_changes_with_a_file_more_and_a_name(copy):
    (copy / "more.py").touch()
    more = taken()
    (copy / "more.py").rename(copy / "other.py")
    assert len({fingerprint.fingerprint(), more, taken()}) == 3


def test_what_python_compiles_is_none_of_it(copy):
    (copy / "__pycache__" / "new.pyc").parent.mkdir(exist_ok=True)
    (copy / "__pycache__" / "new.pyc").touch()
    assert taken() == fingerprint.fingerprint()


def test_the_command_prints_what_the_server_tells(client, settings):
    settings.HEADCOUNT_REVISION = "0a1b2c3"
    printed = StringIO()
    call_command("fingerprint", stdout=printed)
    told = client.get("/healthz").json()
    assert told["fingerprint"] == printed.getvalue().strip()
    assert told["revision"] == "0a1b2c3"
    assert told["settings"]["retention_days"] == "7"
    foot = client.get("/dashboard").content.decode().split("<footer>")[1]
    assert f"revision 0a1b2c3, code {told['fingerprint']}" in foot
