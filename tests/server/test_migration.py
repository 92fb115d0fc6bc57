"""Headcount in place of the tracker that it replaces, with the service definition unchanged.

A proxy is in front of it, `/stats` is the health path, and the container is read-only and has no
capabilities.
"""

import json

from tests.servers import ROOT, needs

EXCHANGES = json.loads((ROOT / "tests" / "data" / "exchanges.json").read_text())
DOCS_URL = "https://manyfold.app/sysadmin/tracking.html"
CONTAINER = (
    *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--unshare-user", "--uid", "65532", "--gid", "65532", "--cap-drop", "ALL"),
)
PROXY_HEADERS = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "Via": "1.1 proxy",
}


def test_the_server_replaces_the_old_tracker_in_its_container(start):
    needs("bwrap", "bubblewrap")
    server = start(under=CONTAINER, DOCS_URL=DOCS_URL).wait_until_ready()
    assert server.request("GET", "/stats").status == 200  # the health check of the proxy
    root = server.request("GET", "/", headers={"Accept": "text/html"})
    assert root.headers["Location"] == DOCS_URL
    reports = [
        each["request"]
        for each in EXCHANGES
        if each["original"]["status"] == 201 and each["ours"] == "same"
    ]
    for report in reports:
        headers = report["headers"] | PROXY_HEADERS
        assert server.request("POST", report["path"], report["body"], headers).status == 201
    ids = {json.loads(report["body"])["id"] for report in reports}
    assert server.stats()["instances"] == len(ids)
    assert server.request("GET", "/badge").status == 302
    code, _ = server.stop()
    assert code == 0
    assert "192.0.2.7" not in server.output
