import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.reports.parsing import COUNTED, FIELDS, Refusal, parse, parse_forget

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
VERSION = {"app": "0.91.0", "sha": "0a1b2c3"}


def body(**changes):
    return json.dumps({"id": ID, "version": VERSION} | changes).encode()


def refusal(data):
    with pytest.raises(Refusal) as caught:
        parse(data)
    return caught.value


def test_it_works():
    report = parse(body())
    assert report.id == ID
    assert report.version == {"app": "0.91.0", "image": None, "arch": None}


def test_the_sha_is_checked_and_not_kept():
    assert "sha" not in parse(body()).version
    assert refusal(body(version=VERSION | {"sha": 7})).field == "version.sha"


def test_the_id_is_one_whatever_its_case():
    assert parse(body(id=ID.upper())).id == ID
    assert parse_forget(json.dumps({"id": ID.upper()}).encode()) == ID


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_may_be_as_long_as_its_limit_and_no_longer(field):
    parse(body(version=VERSION | {field.name: "x" * field.limit}))
    refused = refusal(body(version=VERSION | {field.name: "x" * (field.limit + 1)}))
    assert refused.field == f"version.{field.name}"
    assert str(field.limit) in refused.problem


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@pytest.mark.parametrize("text", ["é", "\n", "a\n", "\x00", "\x7f", "\t", "\u2028"])
def test_a_field_is_printable_ascii(field, text):
    refused = refusal(body(version=VERSION | {field.name: text}))
    assert refused.field == f"version.{field.name}"
    assert "printable ASCII" in refused.problem


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@pytest.mark.parametrize("value", [1, 1.5, True, [], {}])
def test_a_field_is_a_string(field, value):
    assert refusal(body(version=VERSION | {field.name: value})).field == f"version.{field.name}"


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_null_and_absent_are_the_same_for_what_is_optional(field):
    absent = {name: "x" for name in ("app", "sha") if name != field.name}
    for version in (absent, absent | {field.name: None}):
        if field.required:
            assert refusal(body(version=version)).field == f"version.{field.name}"
        else:
            assert parse(body(version=version)).version[field.name] is None


def test_an_empty_string_is_allowed():
    empty = dict.fromkeys(("app", "sha", "image", "arch"), "")
    assert parse(body(version=empty)).version == dict.fromkeys(COUNTED, "")


def test_what_is_unknown_is_ignored_and_not_kept():
    data = body(version=VERSION | {"extra": 1}, more=[1, 2])
    assert parse(data) == parse(body())


def test_the_last_of_duplicate_keys_wins():
    twice = b'{"id":"%s","version":{"app":"1","sha":"","app":"2"}}' % ID.encode()
    assert parse(twice).version["app"] == "2"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "",
        7,
        "my-server.example.org",
        ID.replace("-", ""),
        "{" + ID + "}",
        ID + "\n",
        " " + ID[1:],
        ID[:-1] + "g",
    ],
)
def test_an_id_is_a_uuid(wrong):
    refused = refusal(body(id=wrong))
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
def test_a_refusal_names_the_field(data, field):
    refused = refusal(data)
    assert refused.field == field
    assert refused.problem.startswith(f"{field} ")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{nope",
        b"hello",
        b"null",
        b"[1]",
        b'"text"',
        b"\xef\xbb\xbf{}",
        b'{"id": NaN}',
        b'{"id": "\xff"}',
        b'{"id": "\\ud800"}',
        b'{"id": "',
        body() + b"x",
    ],
)
def test_a_body_that_is_no_json_object_is_refused_as_a_whole(data):
    refused = refusal(data)
    assert refused.field is None
    assert "JSON" in refused.problem


def test_nesting_deeper_than_the_stack_is_refused():
    refusal(b'{"x":' + b"[" * 2000 + b"]" * 2000 + b"}")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_report_or_a_refusal(data):
    for parser in (parse, parse_forget):
        try:
            parser(data)
        except Refusal as refused:
            assert refused.problem.endswith(".")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
versions = st.fixed_dictionaries(
    {}, optional={field.name: json_values | st.just("x") for field in FIELDS}
)


@given(id=json_values | st.just(ID), version=json_values | versions)
def test_any_json_is_a_report_or_a_refusal_that_names_its_field(id, version):
    try:
        report = parse(body(id=id, version=version))
    except Refusal as refused:
        # A lone surrogate is no JSON in UTF-8, so it is the whole body that is refused.
        assert refused.problem.startswith(refused.field or "The body is not valid JSON")
    else:
        assert set(report.version) == set(COUNTED)
