from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from tracking_site.responses import SHORT, Pieces, Response


def send(body, **headers):
    """Return the pieces in which a response is sent."""
    sock = Pieces()
    request = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: True)
    response = Response(request, sock, Config())
    response.start_response("200 OK", list(headers.items()))
    for part in body:
        response.write(part)
    response.close()
    return sock


def test_a_short_body_is_sent_together_with_its_head():
    (piece,) = send([b"body"], **{"Content-Length": "4"})
    assert piece.startswith(b"HTTP/1.1 200 OK\r\n")
    assert piece.endswith(b"\r\n\r\nbody")


def test_only_the_first_part_of_a_body_is_sent_together_with_the_head():
    head, second, end = send([b"one", b"two"])
    assert head.endswith(b"\r\n\r\n3\r\none\r\n")
    assert second + end == b"3\r\ntwo\r\n0\r\n\r\n"


def test_a_response_without_a_body_has_its_head_sent():
    (head,) = send([], **{"Content-Length": "0"})
    assert head.endswith(b"\r\n\r\n")


def test_a_long_body_is_sent_without_a_copy():
    body = b"x" * (SHORT + 1)
    head, sent = send([body], **{"Content-Length": str(len(body))})
    assert head.endswith(b"\r\n\r\n")
    assert sent is body


def test_a_body_that_is_no_bytes_is_refused():
    with pytest.raises(TypeError, match="is not a byte"):
        send(["body"])
