"""No one is kept: no live object holds an id, and nothing remains of a forgotten report."""

from uuid import uuid4

import pytest

from tests import servers

VERSION = "version-of-one"


@pytest.fixture
def server(start, request):
    environ = getattr(request, "param", {})
    return start(wsgi=servers.INSTRUMENTED, **environ).wait_until_ready()


def report(server):
    """Report as a new instance; return its id."""
    id = str(uuid4())
    body = servers.report(id, app=VERSION, sha=f"sha-of-{id}")
    assert server.post(body).status == 201
    assert server.stats()["instances"] == 1  # the server caches these statistics
    return id


def holders(server, text):
    """Return how many live objects hold a text, without those of the request itself."""
    unrelated = server.instrument("count_text", str(uuid4()))
    return server.instrument("count_text", text) - unrelated


def digests(server, id):
    """Return how many live objects are the digest of an id."""
    return server.instrument("count_digest", server.instrument("inverted_digest", id))


def test_the_search_finds_what_a_live_object_holds(server):
    report(server)
    assert holders(server, VERSION) >= 1
    assert holders(server, "version-of-none") == 0
    server.instrument("forward", 8)
    assert server.request("GET", "/stats/history").status == 200
    assert holders(server, VERSION) >= 1  # the history counts it


def test_no_live_object_holds_the_id_or_the_sha(server):
    id = report(server)
    assert holders(server, id) == 0  # the SHA contains the id
    assert digests(server, id) == 1


def test_no_live_object_holds_what_was_requested(server):
    id = str(uuid4())
    for path in (f"/{id}", f"/stats?app={id}"):
        server.request("GET", path, headers={"Content-Type": f"a/b; charset={id}"})
    server.request("GET", "/healthz")
    report(server)  # which makes the filtered statistics stale
    assert holders(server, id) == 0


@pytest.mark.parametrize(
    "server", [{}, {"CONFIG_FILE": "docs/examples/manyfold.toml"}], indirect=True
)
def test_erasing_a_report_leaves_neither_digest_nor_version(server):
    id = report(server)
    assert server.post({"id": id}, "/forget").status == 204
    assert server.instrument("number_of_keys") == 0
    assert digests(server, id) == 0
    servers.wait_until(lambda: not holders(server, VERSION))


@pytest.mark.parametrize("server", [{"HISTORY_DAYS": "0"}], indirect=True)
def test_expiry_leaves_neither_digest_nor_version_if_no_request_arrives(server):
    id = report(server)
    digest = server.instrument("inverted_digest", id)
    server.instrument("forward", 8)
    # To read this number frees nothing.
    servers.wait_until(lambda: not server.instrument("number_of_keys"))
    assert server.instrument("count_digest", digest) == 0
    server.instrument("forward", 1)  # until then, the summary of the latest day is kept
    servers.wait_until(lambda: not holders(server, VERSION))
