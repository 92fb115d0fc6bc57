"""Runs the tests that Django has for its own cache backends against ours.

They are in Django's source distribution, which is downloaded. With REDIS_URL in the environment,
they also run against RedisCache, in that database, which they clear.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

import django
from django.conf import settings
from django.test.utils import override_settings, setup_databases, setup_test_environment

ROOT = Path(__file__).parents[1]
# CacheFull protects live keys, so that our caches do not cull.
EXCLUDED = ("test_cull", "test_zero_cull", "test_cull_delete_when_store_empty")


def download(folder: str) -> Path:
    """Download the installed version of Django, and return the folder of its tests."""
    requirement = f"Django=={django.__version__}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "Django"]
    subprocess.run([*pip, "--dest", folder, requirement], check=True)  # noqa: S603  a fixed command
    (archive,) = Path(folder).glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return Path(folder, archive.name.removesuffix(".tar.gz"), "tests")


def suite_for(name: str, location: str) -> unittest.TestSuite:
    """Return Django's tests, bound to one of our backends."""
    from cache.tests import BaseCacheTests, caches_setting_for_tests
    from django.test import TestCase

    caches = caches_setting_for_tests(
        BACKEND=f"collector.cache.{name}", LOCATION=location, exclude={"cull", "zero_cull"}
    )
    bases = (BaseCacheTests, TestCase)
    case = type(name.split(".")[1] + "Tests", bases, dict.fromkeys(EXCLUDED))
    return unittest.defaultTestLoader.loadTestsFromTestCase(override_settings(CACHES=caches)(case))


def main() -> int:
    """Run the tests, and return the exit status."""
    backends = {"memory.MemoryCache": ""}
    if url := os.environ.get("REDIS_URL"):
        backends["redis.RedisCache"] = url
    with tempfile.TemporaryDirectory() as folder:
        sys.path[:0] = [str(ROOT), str(download(folder))]
        settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            DEFAULT_AUTO_FIELD="django.db.models.AutoField",
            INSTALLED_APPS=["cache"],
            SECRET_KEY="only for these tests",  # noqa: S106  it protects nothing
        )
        django.setup()
        setup_test_environment()
        setup_databases(verbosity=0, interactive=False)
        suite = unittest.TestSuite(suite_for(*backend) for backend in backends.items())
        result = unittest.TextTestRunner(verbosity=1).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
