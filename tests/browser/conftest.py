"""A browser, and servers that have something to show."""

import os
import shutil
from contextlib import ExitStack, contextmanager
from functools import cache

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.visitor import Visitor
from tests.servers import Server, needs

FILLED, FAILING = "tests.browser.filled", "tests.server.failing"
STATES = {
    "none": {},
    "one": {"INSTALLATIONS": "1"},
    "300": {"INSTALLATIONS": "300", "DAYS": "90", "GAP": "9"},
    "100,000": {"INSTALLATIONS": "100000", "DAYS": "3"},
    "one version": {"INSTALLATIONS": "300", "DAYS": "9", "RELEASES": "1"},
    "400 versions": {"INSTALLATIONS": "2000", "DAYS": "9", "RELEASES": "1400"},  # few of each
    "hostile": {"INSTALLATIONS": "40", "DAYS": "9", "HOSTILE": "1"},
    "failing": {"wsgi": FAILING},
}
# The browser asks the internet for nothing of itself, and finds no name; it draws in software.
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


# Not for the whole session: beside the browser an event loop runs, and elsewhere Django minds it.
@pytest.fixture(scope="module")
def browser():
    """Debian's chromium."""
    needs("chromium", "chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=QUIET,
            chromium_sandbox=os.geteuid() != 0,  # for root it does not work
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def serving():
    """The server in a state, started when it is first asked for."""
    with ExitStack() as ending:

        @cache
        def begin(state):
            server = Server(**{"wsgi": FILLED} | STATES[state])
            ending.callback(server.stop)
            return server.wait_until_ready()

        yield begin


@pytest.fixture
def visit(browser, serving):
    """Someone who visits the server in a state; see Browser.new_context for the options."""

    @contextmanager
    def begin(state, path="/dashboard", status=200, **options):
        with browser.new_context(**options) as context:
            yield Visitor(context.new_page(), serving(state)).open(path, status)

    return begin
