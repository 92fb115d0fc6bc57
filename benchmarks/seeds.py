"""Where the corpora begin: bodies and raw requests, by hand, and bodies that Hypothesis makes.

ID stands for any id: `fuzz` puts another in its place each time. All begin with MARK, which may not
be in any line that a server prints; the requests say it wherever they can say something.
"""

import json
import random
from functools import lru_cache

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MARK = "5ca1ab1e"
ID = f"{MARK}-cba8-4204-b352-71fc1062fd95"
FIELDS = ("app", "sha", "image", "arch")
REPORT = (
    f'{{"id":"{ID}","version":{{"app":"0.91.0","sha":"0a1b2c3",'
    '"image":"ghcr.io/manyfold3d/manyfold","arch":"x86_64-linux"}}'
).encode()


def _body(version: str, more: str = "") -> bytes:
    return f'{{"id":"{ID}","version":{version}{more}}}'.encode()


BODIES = (
    REPORT,
    b'{"id":"%s"}' % ID.encode(),
    b'{"id":"%s"}' % ID.upper().encode(),
    _body('{"app":"1","sha":""}'),
    _body('{"app":"1","sha":"","image":null,"arch":null}'),
    _body('{"app":"","sha":"","image":"","arch":""}'),
    _body('{"app":"1","sha":"","app":"2","sha":null}'),
    _body('{"app":"1","sha":""}', ',"id":1'),
    _body('{"app":"1","sha":""}', ',"more":[{"a":{"b":[1,-2.5e3,true,null]}}]'),
    _body('{"app":"1","sha":""}', ',"more":' + "[" * 900 + "]" * 900),
    _body('{"app":"1","sha":""}', ',"more":' + '{"a":' * 500 + "1" + "}" * 500),
    _body('{"app":"1","sha":""}', ',"more":' + "9" * 2000),
    _body('{"app":"1","sha":""}', ',"more":1e999'),
    _body('{"app":"1","sha":""}', ',"more":NaN'),
    _body('{"app":"1","sha":""}', ',"more":"\\ud800"'),
    _body('{"app":"\\u0031\\u002f","sha":"\\\\"}'),
    _body('{"app":"\\ud83d\\ude00","sha":""}'),
    _body('{"app":"\\u0000","sha":""}'),
    _body('{"app":"é","sha":""}'),
    _body('{"app":"a\nb","sha":""}'),
    _body('{"app":"=1+1","sha":"","image":"<script>","arch":"%s"}'),
    *(_body(json.dumps({"app": "1", "sha": "", field: "x" * 255})) for field in FIELDS),
    _body('{"app":1,"sha":{}}'),
    _body("null"),
    _body('"1"'),
    _body("[]"),
    b'{"version":{"app":"1","sha":""}}',
    b'{"id":"%s","version":{"app":"1","sha":"\xff"}}' % ID.encode(),
    b'{"id":"%s","\xff":1}' % ID.encode(),
    b'{"id":{"id":{"id":[]}}}',
    b'{"id":"my-server"}',
    b"\xef\xbb\xbf" + REPORT,
    REPORT.decode().encode("utf-16"),
    REPORT.decode().encode("utf-32-le"),
    REPORT + REPORT,
    b"[" + REPORT + b"]",
    b" " * 4000 + b"{}",
    b"\0" * 4097,
    b"[" * 4096,
    b"id=1&version=2",
    b"null",
    b"0",
    b'""',
    b"",
)
# One a line, as the formatter has it, would take pages.
BODY_TOKENS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"null", b"true", b"NaN", b"-Infinity", b"-",
    b"1e400", b"0.1", b"{}", b"[]", b'""', b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\\x", b"/*",
    b"\xef\xbb\xbf", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8",
    b'"id":', b'"version":', *(b'"%b":' % field.encode() for field in FIELDS), b'"app":"2",',
    b'"version":{"app":"3","sha":""},', b'"%b"' % ID.encode(), b"x" * 256, b"[" * 1000,
)  # fmt: skip


@lru_cache(maxsize=1)  # it takes some ms a body
def bodies(count: int, number: int) -> tuple[bytes, ...]:
    """So many bodies that Hypothesis makes: reports, nearly reports, any JSON and any bytes."""
    made: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_bodies)
    def collect(body: bytes) -> None:
        made.append(body)

    collect()
    random.Random(number).shuffle(made)  # the first that Hypothesis makes are all small
    return tuple(made)


_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=130)
_version = st.fixed_dictionaries(
    {"app": _printable, "sha": _printable.map(lambda text: text[:64])},
    optional={"image": st.none() | _printable, "arch": st.none() | _printable, "more": _any},
)
_nearly = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, _printable | _any))
_report = st.fixed_dictionaries({"id": st.just(ID), "version": _version}, optional={"more": _any})
_nearly_report = st.fixed_dictionaries({"id": st.just(ID) | _any, "version": _nearly | _any})
_texts = (_report | _nearly_report | _any).flatmap(
    lambda value: st.sampled_from((json.dumps(value), json.dumps(value, ensure_ascii=False)))
)
_bodies = _texts.map(str.encode) | st.binary(max_size=200)


def _head(first: str, *lines: str) -> bytes:
    agent = f"User-Agent: {MARK}/1.0"
    return "\r\n".join([first, f"Host: {MARK}.example", agent, *lines, "", ""]).encode("latin-1")


def _post(*lines: str, body: bytes = REPORT, path: str = "/") -> bytes:
    return _head(f"POST {path} HTTP/1.1", "Content-Type: application/json", *lines) + body


_LENGTH = f"Content-Length: {len(REPORT)}"
_CHUNKED = "Transfer-Encoding: chunked"
_GET = _head(f"GET /stats?app={MARK} HTTP/1.1")
_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(REPORT), REPORT)
RAW = (
    # What is right, alone and several in a row.
    _post(_LENGTH),
    _GET,
    *(
        _head(f"{method} {path} HTTP/1.1")
        for method in ("GET", "HEAD")
        for path in ("/", "/dashboard", "/badge.svg", "/metrics", "/static/collector/page.css")
    ),
    _head("OPTIONS * HTTP/1.1"),
    _head("GET / HTTP/1.0"),
    _GET * 20,
    _post(_LENGTH) * 5,
    _post(_LENGTH) + _GET + _post(_LENGTH, path="/forget"),
    _post(_LENGTH, "Connection: close") + _post(_LENGTH),
    _post(_LENGTH, "Expect: 100-continue"),
    _post(_LENGTH, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"),
    # Lengths: two that differ, two that agree, with chunks, none, too short, too long, no number.
    _post(_LENGTH, "Content-Length: 5"),
    _post(_LENGTH, _LENGTH),
    _post(_LENGTH, _CHUNKED),
    _post(_LENGTH, _CHUNKED, body=_CHUNKS),
    _post(_CHUNKED, _LENGTH, body=b"0\r\n\r\n" + _GET),
    _post(),
    _post("Content-Length: 5"),
    _post("Content-Length: 4000"),
    _post("Content-Length: 18446744073709551616"),
    *(_post(f"Content-Length: {no}") for no in ("-1", "+5", "0x10", "5 5", "5,5", "\xb2", "")),
    # Chunks.
    _post(_CHUNKED, body=_CHUNKS),
    _post(_CHUNKED, body=_CHUNKS) + _GET,
    _post(_CHUNKED, body=b"5;a=b;c=\"d\"\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
    _post(_CHUNKED, body=b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"),
    _post(_CHUNKED, body=b"5\nhello\n0\n\n"),
    _post(_CHUNKED, body=b"5\r\nhello0\r\n\r\n"),
    _post(_CHUNKED, body=b"1\r\nx\r\n" * 9000),
    _post(_CHUNKED, body=b"-1\r\nx\r\n0\r\n\r\n"),
    _post(_CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    _post(_CHUNKED, body=b"f" * 40 + b"\r\nhello"),
    _post(_CHUNKED, body=b"0\r\n" + b"T: x\r\n" * 1000 + b"\r\n"),
    _post(_CHUNKED, body=b"0\r\nContent-Length: 5\r\n\r\n"),
    _post("Transfer-Encoding: identity"),
    _post("Transfer-Encoding: gzip, chunked", body=_CHUNKS),
    _post("Transfer-Encoding: chunked, chunked", body=_CHUNKS),
    _post("Transfer-Encoding: \x0bchunked", body=_CHUNKS),
    _post(f"Transfer-Encoding: {MARK}", body=_CHUNKS),
    _post("Transfer-Encoding : chunked", body=_CHUNKS),
    _head("POST / HTTP/1.0", _CHUNKED) + _CHUNKS,
    # Lines and what they end with.
    _GET.replace(b"\r\n", b"\n"),
    _GET.replace(b"\r\n", b"\r"),
    b"\r\n" + _GET,
    b"\r\n\r\n" + _GET,
    _head("GET / HTTP/1.1", f"X: {MARK}", f" {MARK}"),
    _head("GET / HTTP/1.1", f"X: {MARK}\0"),
    _head("GET / HTTP/1.1", f"X: \xe9\xff{MARK}"),
    _head("GET / HTTP/1.1", f"{MARK}"),
    _head("GET / HTTP/1.1", f"{MARK} x: y"),
    _head("GET / HTTP/1.1", f": {MARK}"),
    _head("GET / HTTP/1.1", *(f"X-{number}: {MARK}" for number in range(63))),
    _head("GET / HTTP/1.1", *(f"X-{number}: {MARK}" for number in range(3000))),
    _head("GET / HTTP/1.1", f"X: {MARK * 600}"),
    _head("GET / HTTP/1.1", f"X: {MARK * 10_000}"),
    _head(f"GET /{MARK * 600} HTTP/1.1"),
    _head(f"GET /{MARK * 10_000} HTTP/1.1"),
    b"GET /" + b"x" * 100_000,
    # Targets, methods and versions.
    _head(f"GET http://{MARK}.example/stats HTTP/1.1"),
    _head("GET http://[::1/ HTTP/1.1"),
    _head("GET //stats HTTP/1.1"),
    _head(f"GET /%ff%00%2e%2e/{MARK}?%ff=%&;&&a[]=#x HTTP/1.1"),
    _head("GET /static/../../etc/passwd HTTP/1.1"),
    _head("GET /stats?" + "&".join(["app=x*"] * 30) + " HTTP/1.1"),
    _head("GET /badge.svg?label=%3Cscript%3E&color=%22&app=%00 HTTP/1.1"),
    _head("GET /stats?" + "&" * 2000 + " HTTP/1.1"),
    _head("GET stats HTTP/1.1"),
    _head("GET * HTTP/1.1"),
    _head("GET  / HTTP/1.1"),
    _head("GET / extra HTTP/1.1"),
    _head(f"CONNECT {MARK}.example:443 HTTP/1.1"),
    _head("TRACE / HTTP/1.1"),
    _head(f"{MARK.upper()} / HTTP/1.1"),
    _head("get / http/1.1"),
    _head("GET / HTTP/1.9"),
    _head("GET / HTTP/3.0"),
    _head(f"GET / HTTP/{MARK}"),
    b"GET /\r\n\r\n",
    b"GET /\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    # Headers with a meaning of their own.
    _head("GET / HTTP/1.1", f"Host: other.{MARK}"),
    _head("GET / HTTP/1.1", "Connection: Host, close, keep-alive"),
    _head("GET / HTTP/1.1", f"Expect: {MARK}"),
    _head("GET / HTTP/1.1", "X-Forwarded-Proto: https", "X-Forwarded-Ssl: off", "SCRIPT_NAME: /x"),
    _head("GET / HTTP/1.1", "Content-Type: text/plain; charset=undefined", "Content-Length: 0"),
    _head("GET /docs HTTP/1.1", "If-None-Match: W/\"x\", *, \"", "If-Modified-Since: never"),
    _head("GET /static/collector/page.css HTTP/1.1", "Range: bytes=5-1,-0,99999999999999999999-"),
    _head("GET /nothing HTTP/1.1", "Accept: text/html;q=x, */*;q=1e999, ;;,/"),
    _head("GET / HTTP/1.1", f"Cookie: a={MARK}; \"=;;", "Authorization: Basic ==", "Range: x"),
    # What is no HTTP/1.1 at all.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"PROXY TCP4 203.0.113.9 203.0.113.10 56324 443\r\n" + _GET,
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + _GET,
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)),
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\0" * 20_000,
    b"\r\n" * 20_000,
    b"",
)  # fmt: skip
# One a line, as the formatter has it, would take pages.
RAW_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\xff", b":", b";", b",",
    b"GET ", b"HEAD ", b"POST ", b"OPTIONS ", b"/stats", b"/stats/history.csv", b"/dashboard",
    b"/forget", b"?app=", b"&release=0.8*", b"&family=", b"%00", b"%ff", b"/../", b"#", b"http://x",
    b" HTTP/1.0\r\n", b" HTTP/1.1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"chunked", b"5;a=b\r\nhello\r\n", b"0\r\n\r\n", b"Connection: close\r\n", b"Host: x\r\n",
    b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"Accept: text/html\r\n",
    b"Content-Type: application/json\r\n", b"If-None-Match: *\r\n", b"Upgrade: h2c\r\n",
    b"X: y\r\n" * 70, b"X: y\r\n ", b"x" * 5000, _GET, _post(_LENGTH),
)  # fmt: skip
