"""Fixtures: a browser, and servers with different numbers to show."""

import os
import shutil
from contextlib import ExitStack, contextmanager
from functools import cache

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.visitor import Visitor
from tests.servers import Server, needs

CONFIG = "docs/examples/manyfold.toml"
SERVERS = {
    "none": {},
    "one": {"INSTANCES": "1"},
    "300": {
        "INSTANCES": "300",
        "DAYS": "30",
        "GAP": "5",
        "CONFIG_FILE": CONFIG,
    },
    "20,000": {"INSTANCES": "20000", "DAYS": "3"},
    "one version": {"INSTANCES": "300", "DAYS": "9", "RELEASES": "1"},
    "400 versions": {"INSTANCES": "2000", "DAYS": "3", "RELEASES": "1400"},  # few of each
    "hostile": {"INSTANCES": "40", "DAYS": "9", "HOSTILE": "1"},
    "failing": {"wsgi": "tests.server.failing"},
}
# Without these, the browser itself sends requests to the internet.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


# Not for the whole session: playwright runs an event loop, to which Django objects in other tests.
@pytest.fixture(scope="module")
def browser():
    """Debian's chromium without windows, which starts in half the time."""
    needs("chromium-headless-shell", "chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell"),
            args=ARGUMENTS,
            chromium_sandbox=os.geteuid() != 0,  # the sandbox does not work for root
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server_named():
    """Return one of SERVERS, which starts at the first call."""
    with ExitStack() as stack:

        @cache
        def start(name):
            server = Server(**{"wsgi": "tests.browser.filled"} | SERVERS[name])
            stack.callback(server.stop)
            return server.wait_until_ready()

        yield start


@pytest.fixture
def visit(browser, server_named):
    """Return a visitor who opens a path; the options are those of Browser.new_context."""

    @contextmanager
    def begin(name, path="/dashboard", status=200, **options):
        with browser.new_context(**options) as context:
            yield Visitor(context.new_page(), server_named(name)).open(path, status)

    return begin
