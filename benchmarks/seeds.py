"""The seeds of the corpora: bodies and raw requests.

`fuzz` replaces ID in each input by another id. All ids begin with MARK, which no line that a server
prints may contain; the requests have it wherever a client can put text.
"""

import json

MARK = "5ca1ab1e"
ID = f"{MARK}-cba8-4204-b352-71fc1062fd95"
FIELDS = ("app", "sha", "image", "arch")
REPORT = (
    f'{{"id":"{ID}","version":{{"app":"0.91.0","sha":"0a1b2c3",'
    '"image":"ghcr.io/manyfold3d/manyfold","arch":"x86_64-linux"}}'
).encode()


def _body(version: str, more: str = "") -> bytes:
    return f'{{"id":"{ID}","version":{version}{more}}}'.encode()


_SHORT = '{"app":"1","sha":""}'
_ANSWERS = (
    '{"database":"postgresql","users":12,"sso":true,"photos":5000}', '{"users":0,"photos":1}',
    '{"database":"\\u0073qlite","sso":false}', '{"sso":null}', '{"users":1,"users":6}', "null",
    "{}", '{"users":99999999999999999999999}', '{"unknown":[{}]}', '{"sso":1}', "[]",
)  # fmt: skip
BODIES = (
    *(_body(_SHORT, f',"answers":{answers}') for answers in _ANSWERS),
    REPORT, b'{"id":"%s"}' % ID.encode(), b'{"id":"%s"}' % ID.upper().encode(), _body(_SHORT),
    *map(_body, (
        '{"app":"1","sha":"","image":null,"arch":null}',
        '{"app":"","sha":"","image":"","arch":""}', '{"app":"1","sha":"","app":"2","sha":null}',
        '{"app":"\\u0031\\u002f","sha":"\\\\"}', '{"app":"\\ud83d\\ude00","sha":""}',
        '{"app":"\\u0000","sha":""}', '{"app":"é","sha":""}', '{"app":"a\nb","sha":""}',
        '{"app":"=1+1","sha":"","image":"<script>","arch":"%s"}', '{"app":1,"sha":{}}',
        "null", '"1"', "[]",
    )),
    *(_body(_SHORT, f',"more":{more}') for more in (
        '[{"a":{"b":[1,-2.5e3,true,null]}}]', "[" * 900 + "]" * 900,
        '{"a":' * 500 + "1" + "}" * 500, "9" * 2000, "1e999", "NaN", '"\\ud800"',
    )),
    _body(_SHORT, ',"id":1'),
    *(_body(json.dumps({"app": "1", "sha": "", field: "x" * 255})) for field in FIELDS),
    b'{"version":{"app":"1","sha":""}}',
    b'{"id":"%s","version":{"app":"1","sha":"\xff"}}' % ID.encode(),
    b'{"id":"%s","\xff":1}' % ID.encode(), b'{"id":{"id":{"id":[]}}}', b'{"id":"my-server"}',
    b"\xef\xbb\xbf" + REPORT, REPORT.decode().encode("utf-16"),
    REPORT.decode().encode("utf-32-le"), REPORT + REPORT, b"[" + REPORT + b"]",
    b" " * 4000 + b"{}", b"\0" * 4097, b"[" * 4096, b"id=1&version=2", b"null", b"0", b'""', b"",
)  # fmt: skip
BODY_TOKENS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"null", b"true", b"NaN", b"-Infinity", b"-",
    b"1e400", b"0.1", b"{}", b"[]", b'""', b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\\x", b"/*",
    b"\xef\xbb\xbf", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8",
    b'"id":', b'"version":', *(b'"%b":' % field.encode() for field in FIELDS), b'"app":"2",',
    b'"version":{"app":"3","sha":""},', b'"%b"' % ID.encode(), b"x" * 256, b"[" * 1000,
)  # fmt: skip


def _head(first: str, *lines: str) -> bytes:
    agent = f"User-Agent: {MARK}/1.0"
    return "\r\n".join([first, f"Host: {MARK}.example", agent, *lines, "", ""]).encode("latin-1")


def _get(*lines: str) -> bytes:
    return _head("GET / HTTP/1.1", *lines)


def _post(*lines: str, body: bytes = REPORT, path: str = "/") -> bytes:
    return _head(f"POST {path} HTTP/1.1", "Content-Type: application/json", *lines) + body


_LENGTH = f"Content-Length: {len(REPORT)}"
_CHUNKED = "Transfer-Encoding: chunked"
_STATS = _head(f"GET /stats?app={MARK} HTTP/1.1")
_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(REPORT), REPORT)
_PATHS = ("/", "/dashboard", "/badge.svg", "/metrics", "/static/collector/page.css")
RAW = (
    # Valid requests, alone and several in a row.
    _post(_LENGTH), _STATS, *(_head(f"GET {path} HTTP/1.1") for path in _PATHS),
    *(_head(f"HEAD {path} HTTP/1.1") for path in _PATHS),
    _head("OPTIONS * HTTP/1.1"), _head("GET / HTTP/1.0"), _STATS * 20, _post(_LENGTH) * 5,
    _post(_LENGTH) + _STATS + _post(_LENGTH, path="/forget"),
    _post(_LENGTH, "Connection: close") + _post(_LENGTH), _post(_LENGTH, "Expect: 100-continue"),
    _post(_LENGTH, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"),
    # Lengths: two different, two equal, with chunks, none, too short, too long, not a number.
    _post(_LENGTH, "Content-Length: 5"), _post(_LENGTH, _LENGTH), _post(_LENGTH, _CHUNKED),
    _post(_LENGTH, _CHUNKED, body=_CHUNKS), _post(_CHUNKED, _LENGTH, body=b"0\r\n\r\n" + _STATS),
    _post(),
    *(_post(f"Content-Length: {length}") for length in (
        "5", "4000", "18446744073709551616", "-1", "+5", "0x10", "5 5", "5,5", "\xb2", "",
    )),
    # Chunks.
    *(_post(_CHUNKED, body=body) for body in (
        _CHUNKS, _CHUNKS + _STATS, b"5;a=b;c=\"d\"\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n", b"1\r\nx\r\n" * 9000, b"-1\r\nx\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n", b"f" * 40 + b"\r\nhello",
        b"0\r\n" + b"T: x\r\n" * 1000 + b"\r\n", b"0\r\nContent-Length: 5\r\n\r\n",
    )),
    *(_post(f"Transfer-Encoding: {coding}", body=_CHUNKS) for coding in (
        "gzip, chunked", "chunked, chunked", "\x0bchunked", MARK,
    )),
    _post("Transfer-Encoding: identity"), _post("Transfer-Encoding : chunked", body=_CHUNKS),
    _head("POST / HTTP/1.0", _CHUNKED) + _CHUNKS,
    # Lines and their ends.
    _STATS.replace(b"\r\n", b"\n"), _STATS.replace(b"\r\n", b"\r"), b"\r\n" + _STATS,
    b"\r\n\r\n" + _STATS, _get(f"X: {MARK}", f" {MARK}"),
    *(_get(line) for line in (
        f"X: {MARK}\0", f"X: \xe9\xff{MARK}", MARK, f"{MARK} x: y", f": {MARK}",
        f"X: {MARK * 600}", f"X: {MARK * 10_000}",
    )),
    *(_get(*(f"X-{number}: {MARK}" for number in range(count))) for count in (63, 3000)),
    b"GET /" + b"x" * 100_000,
    # Targets, methods and versions.
    *(_head(f"GET {target} HTTP/1.1") for target in (
        f"/{MARK * 600}", f"/{MARK * 10_000}", f"http://{MARK}.example/stats", "http://[::1/",
        "//stats", f"/%ff%00%2e%2e/{MARK}?%ff=%&;&&a[]=#x", "/static/../../etc/passwd",
        "/stats?" + "&".join(["app=x*"] * 30), "/badge.svg?label=%3Cscript%3E&color=%22&app=%00",
        "/stats?" + "&" * 2000, "stats", "*", " /", "/ extra",
    )),
    *map(_head, (
        f"CONNECT {MARK}.example:443 HTTP/1.1", "TRACE / HTTP/1.1", f"{MARK.upper()} / HTTP/1.1",
        "get / http/1.1", "GET / HTTP/1.9", "GET / HTTP/3.0", f"GET / HTTP/{MARK}",
    )),
    b"GET /\r\n\r\n", b"GET /\r\n", b"GET / HTTP/1.1\r\n\r\n",
    # Headers with a meaning of their own.
    _get(f"Host: other.{MARK}"), _get("Connection: Host, close, keep-alive"),
    _get(f"Expect: {MARK}"),
    _get("X-Forwarded-Proto: https", "X-Forwarded-Ssl: off", "SCRIPT_NAME: /x"),
    _get("Content-Type: text/plain; charset=undefined", "Content-Length: 0"),
    _head("GET /docs HTTP/1.1", "If-None-Match: W/\"x\", *, \"", "If-Modified-Since: never"),
    _head("GET /static/collector/page.css HTTP/1.1", "Range: bytes=5-1,-0,99999999999999999999-"),
    _head("GET /nothing HTTP/1.1", "Accept: text/html;q=x, */*;q=1e999, ;;,/"),
    _get(f"Cookie: a={MARK}; \"=;;", "Authorization: Basic ==", "Range: x"),
    # Other protocols.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"PROXY TCP4 203.0.113.9 203.0.113.10 56324 443\r\n" + _STATS,
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + _STATS,
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)),
    b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 20_000, b"\r\n" * 20_000, b"",
)  # fmt: skip
RAW_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\xff", b":", b";", b",",
    b"GET ", b"HEAD ", b"POST ", b"OPTIONS ", b"/stats", b"/stats/history.csv", b"/dashboard",
    b"/forget", b"?app=", b"&release=0.8*", b"&family=", b"%00", b"%ff", b"/../", b"#", b"http://x",
    b" HTTP/1.0\r\n", b" HTTP/1.1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"chunked", b"5;a=b\r\nhello\r\n", b"0\r\n\r\n", b"Connection: close\r\n", b"Host: x\r\n",
    b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"Accept: text/html\r\n",
    b"Content-Type: application/json\r\n", b"If-None-Match: *\r\n", b"Upgrade: h2c\r\n",
    b"X: y\r\n" * 70, b"X: y\r\n ", b"x" * 5000, _STATS, _post(_LENGTH),
)  # fmt: skip
