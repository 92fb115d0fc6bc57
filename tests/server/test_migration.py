"""The service definition of the tracker that this server replaces, unchanged.

It has a proxy in front of port 9292, `/stats` as its health check, and a read-only container
without capabilities.
"""

import json

from tests.servers import ROOT, needs

EXCHANGES = json.loads((ROOT / "tests" / "data" / "exchanges.json").read_text())
DOCS_URL = "https://manyfold.app/sysadmin/tracking.html"
CONTAINER = (
    *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--unshare-user", "--uid", "65532", "--gid", "65532", "--cap-drop", "ALL"),
)


def test_the_server_runs_unchanged_in_place_of_the_tracker_before_it(start):
    needs("bwrap", "bubblewrap")
    server = start(under=CONTAINER, DOCS_URL=DOCS_URL).wait_until_ready()
    assert server.request("GET", "/stats").status == 200  # the health check
    browser = {"Accept": "text/html"}
    assert server.request("GET", "/", headers=browser).headers["Location"] == DOCS_URL
    accepted = [
        each["request"]
        for each in EXCHANGES
        if each["original"]["status"] == 201 and each["ours"] == "same"
    ]
    proxied = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Via": "1.1 proxy"}
    for sent in accepted:
        headers = sent["headers"] | proxied
        assert server.request("POST", sent["path"], sent["body"], headers).status == 201
    assert server.stats()["instances"] == len({json.loads(sent["body"])["id"] for sent in accepted})
    assert server.request("GET", "/badge").status == 302
    code, _ = server.stop()
    assert code == 0
    assert "192.0.2.7" not in server.output
