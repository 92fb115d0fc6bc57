"""The service definition of the tracker that this replaces, unchanged.

A proxy in front of port 9292, `/stats` as health path, a read-only container without capabilities.
"""

import json

from tests.servers import ROOT, needs

EXCHANGES = json.loads((ROOT / "tests" / "data" / "exchanges.json").read_text())
DOCS_URL = "https://manyfold.app/sysadmin/tracking.html"
CONTAINER = (
    *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--unshare-user", "--uid", "65532", "--gid", "65532", "--cap-drop", "ALL"),
)


def test_it_takes_the_old_one_s_place(start):
    needs("bwrap", "bubblewrap")
    server = start(under=CONTAINER, DOCS_URL=DOCS_URL).wait_until_ready()
    assert server.request("GET", "/stats").status == 200  # as its proxy asks whether it is healthy
    assert (
        server.request("GET", "/", headers={"Accept": "text/html"}).headers["Location"] == DOCS_URL
    )
    reports = [
        each["request"]
        for each in EXCHANGES
        if each["original"]["status"] == 201 and each["ours"] == "same"
    ]
    for sent in reports:
        passed_on = {
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "https",
            "Via": "1.1 proxy",
        }
        answer = server.request("POST", sent["path"], sent["body"], sent["headers"] | passed_on)
        assert answer.status == 201
    assert server.stats()["instances"] == len({json.loads(sent["body"])["id"] for sent in reports})
    assert server.request("GET", "/badge").status == 302
    code, _ = server.stop()
    assert code == 0
    assert "192.0.2.7" not in server.output
