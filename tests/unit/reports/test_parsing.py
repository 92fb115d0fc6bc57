import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.refusal import Refusal
from collector.reports.fields import FIELDS
from collector.reports.parsing import Version, parse, parse_forget

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
VERSION = {"app": "0.91.0", "sha": "0a1b2c3"}
each_field = pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)


def body(**changes):
    return json.dumps({"id": ID, "version": VERSION} | changes).encode()


def refusal(data):
    with pytest.raises(Refusal) as caught:
        parse(data)
    return caught.value


def test_a_report_has_its_id_and_the_counted_fields():
    report = parse(body())
    assert report.id == ID
    assert report.version == Version("0.91.0", None, None)


def test_the_case_of_an_id_does_not_matter():
    assert parse(body(id=ID.upper())).id == ID
    assert parse_forget(json.dumps({"id": ID.upper()}).encode()) == ID


@each_field
def test_a_field_may_be_as_long_as_its_limit_and_no_longer(field):
    parse(body(version=VERSION | {field.name: "x" * field.limit}))
    refused = refusal(body(version=VERSION | {field.name: "x" * (field.limit + 1)}))
    assert refused.field == f"version.{field.name}"
    assert str(field.limit) in refused.problem


@each_field
@pytest.mark.parametrize(
    "value", ["é", "\n", "a\n", "\x00", "\x7f", "\u2028", 1, 1.5, True, [], {}]
)
def test_a_field_that_is_not_printable_ascii_text_is_refused(field, value):
    refused = refusal(body(version=VERSION | {field.name: value}))
    assert refused.field == f"version.{field.name}"
    assert "a string of at most" in refused.problem
    assert "printable ASCII" in refused.problem


@each_field
def test_an_optional_field_may_be_null_or_left_out(field):
    absent = {name: "x" for name in ("app", "sha") if name != field.name}
    for version in (absent, absent | {field.name: None}):
        if field.required:
            assert refusal(body(version=version)).field == f"version.{field.name}"
        else:
            assert getattr(parse(body(version=version)).version, field.name) is None


def test_a_field_may_be_the_empty_string_and_an_unknown_one_is_ignored():
    empty = dict.fromkeys((field.name for field in FIELDS), "")
    assert parse(body(version=empty)).version == Version("", "", "")
    assert parse(body(version=VERSION | {"extra": 1}, more=[1, 2])) == parse(body())


@pytest.mark.parametrize(
    "id",
    [
        *(None, "", 7, "my-server.example.org"),
        *(ID.replace("-", ""), "{" + ID + "}", ID + "\n", " " + ID[1:], ID[:-1] + "g"),
    ],
)
def test_an_id_that_is_not_a_uuid_is_refused(id):
    refused = refusal(body(id=id))
    assert refused.field == "id"
    assert "36 characters" in refused.problem


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b'{"version": {"app": "1", "sha": ""}}', "id"),
        (b'{"id": "%s"}' % ID.encode(), "version"),
        (b'{"id": "%s", "version": "v1"}' % ID.encode(), "version"),
        (b'{"id": "%s", "version": null}' % ID.encode(), "version"),
        (b'{"id": "%s", "version": {"sha": ""}}' % ID.encode(), "version.app"),
        (b'{"id": "%s", "version": {"app": ""}}' % ID.encode(), "version.sha"),
    ],
)
def test_a_refusal_names_the_missing_or_wrong_field(data, field):
    refused = refusal(data)
    assert refused.field == field
    assert refused.problem.startswith(f"{field} ")


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{nope", b"hello", b"null", b"[1]", b'"text"', b"\xef\xbb\xbf{}", b'{"id": NaN}'),
        *(b'{"id": "\xff"}', b'{"id": "\\ud800"}', b'{"id": "', body() + b"x"),
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused_as_a_whole(data):
    refused = refusal(data)
    assert refused.field is None
    assert "JSON" in refused.problem


@pytest.mark.parametrize("start", [b"{", body()[:-1] + b","])
def test_a_body_that_is_deeper_than_the_stack_of_some_pythons_is_parsed_or_refused(start):
    deep = start + b'"x":' + b"[" * 1900 + b"]" * 1900 + b"}"
    try:
        assert parse(deep).id == ID
    except Refusal as refused:
        assert refused.problem.endswith(".")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_parsed_or_refused(data):
    for parser in (parse, parse_forget):
        try:
            parser(data)
        except Refusal as refused:
            assert refused.problem.endswith(".")
