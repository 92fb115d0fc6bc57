"""Nobody is kept: no live object holds an id, and what is forgotten is gone."""

import json
import time
from uuid import uuid4

import pytest


@pytest.fixture
def instrumented(start, request):
    server = start(
        "-c",
        "tests/server/instrumented.conf.py",
        wsgi="tests.server.instrumented",
        **getattr(request, "param", {}),
    ).wait_until_ready()

    def ask(name, argument=""):
        return json.loads(server.request("POST", f"/instrument/{name}", str(argument)).content)

    server.ask = ask
    return server


def report(server, id):
    version = {"app": "version-of-one", "sha": f"sha-of-{id}", "image": None, "arch": "arm"}
    assert server.post({"id": id, "version": version}).status == 201
    assert server.stats()["instances"] == 1  # which makes numbers of it, and remembers them


def holders(server, text):
    """Live objects with this text, without those of the question itself."""
    unrelated = server.ask("holders", str(uuid4()))
    return server.ask("holders", text) - unrelated


def assert_gone(server, text):
    """After the next housekeeping, no live object has this text."""
    until = time.monotonic() + 30
    while holders(server, text):
        assert time.monotonic() < until


def test_the_search_finds_what_is_kept(instrumented):
    report(instrumented, str(uuid4()))
    assert holders(instrumented, "version-of-one") >= 1
    assert holders(instrumented, "version-of-none") == 0
    instrumented.ask("forward", 8)
    assert instrumented.request("GET", "/stats/history").status == 200
    assert holders(instrumented, "version-of-one") >= 1  # counted in the aggregate of its day


def test_no_live_object_holds_the_id(instrumented):
    id = str(uuid4())
    report(instrumented, id)
    assert holders(instrumented, id) == 0
    assert instrumented.ask("digests", instrumented.ask("digest", id)) == 1


def test_no_live_object_holds_what_is_not_kept(instrumented):
    id = str(uuid4())
    report(instrumented, id)
    assert holders(instrumented, f"sha-of-{id}") == 0


def test_no_live_object_holds_what_was_asked_for(instrumented):
    id = str(uuid4())
    for path in (f"/{id}", f"/stats?app={id}"):
        instrumented.request("GET", path, headers={"Content-Type": f"a/b; charset={id}"})
    instrumented.request("GET", "/healthz")
    report(instrumented, str(uuid4()))  # so that the answer of the filter is forgotten too
    assert holders(instrumented, id) == 0


def test_forgetting_leaves_neither_digest_nor_version(instrumented):
    id = str(uuid4())
    report(instrumented, id)
    assert instrumented.post({"id": id}, "/forget").status == 204
    assert instrumented.ask("keys") == 0
    assert instrumented.ask("digests", instrumented.ask("digest", id)) == 0
    assert_gone(instrumented, "version-of-one")


@pytest.mark.parametrize("instrumented", [{"HISTORY_DAYS": "0"}], indirect=True)
def test_expiry_leaves_neither_on_a_server_that_nobody_visits(instrumented):
    id = str(uuid4())
    report(instrumented, id)
    digest = instrumented.ask("digest", id)
    instrumented.ask("forward", 8)
    until = time.monotonic() + 30
    while instrumented.ask("keys"):  # which looks and touches nothing
        assert time.monotonic() < until
    assert instrumented.ask("digests", digest) == 0
    assert_gone(instrumented, "version-of-one")


def test_a_restart_forgets_everything(start):
    first = start().wait_until_ready()
    report(first, str(uuid4()))
    assert first.stats()["instances"] == 1
    first.stop()
    again = start(port=first.port).wait_until_ready()
    assert again.stats()["instances"] == 0
