"""Tests of what a project of one's own is promised, and of its settings that change pages."""

import re
import subprocess
import sys

import pytest


@pytest.mark.parametrize("stand_alone", [True, False])
def test_the_docs_promise_only_what_the_app_or_its_server_does(client, settings, stand_alone):
    settings.HEADCOUNT_STAND_ALONE = stand_alone
    page = " ".join(client.get("/docs").content.decode().split())
    for promise in ("no cookie,", "access log is off", "freed within a minute", "gunicorn, which"):
        assert (promise in page) == stand_alone
    assert ("Ask whoever operates the site." in page) != stand_alone
    assert ("The commands below check the stand-alone server." in page) != stand_alone


# Django decides once in a process whether it translates.
VISIT = """
import django
from django.conf import settings
from tracking_site import settings as ours
settings.configure(
    **{name: value for name, value in vars(ours).items() if name.isupper()}
    | {"USE_I18N": True, "MIDDLEWARE": ["django.middleware.locale.LocaleMiddleware"]}
)
django.setup()
from collector.cache import records
from django.test import Client
for number in range(1200):
    records().put(number, {"app": "1", "image": None, "arch": None})
for path in ("/dashboard", "/badge.svg", "/docs"):
    print(Client().get(path, headers={"Accept-Language": "de"}).content.decode())
"""


def test_numbers_are_english_whatever_language_a_visitor_prefers():
    command = [sys.executable, "-c", VISIT]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "1,200" in printed
    assert "1.200" not in printed
    assert not re.search(r'="\d+,\d', printed)
