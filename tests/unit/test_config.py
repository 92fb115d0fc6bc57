"""Which files are valid, what is said of the others, and when a change counts."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from collector.conf import conf
from collector.config import MAX_FILE, NO_CONFIG, InvalidConfig, parse, read, source
from tests.unit.test_questions import CHOICE, FLAG, NUMBER, TEXTS
from tracking_site import housekeeping
from tracking_site.limits import LOOK_INTERVAL

DATE = {"date": date(2026, 5, 1)}
VALID = "version = 1\nmin_group = 3\n"
HIDDEN_RELEASE = {"releases": {"v1.0": DATE}, "hide": {"app": ["v1.*"]}}
TEXT = "a text of 1 to 300 printable characters"
NO_TEXTS = ("", "two\nlines", " ", "\u3000", "a\u202eb", "a\u2028b", "\x85", "\ud800")


def problem(content):
    """Return what is said of an invalid configuration, and what a log may say of it."""
    with pytest.raises(InvalidConfig) as caught:
        read(content)
    return str(caught.value), caught.value.reason


@pytest.mark.parametrize("path", sorted(Path("docs/examples").glob("*.toml")), ids=str)
def test_the_examples_are_valid(path):
    config = parse(path.read_bytes())
    assert len(config.questions) >= 4
    assert len({type(each) for each in config.questions}) == 3
    assert config.latest
    assert path.read_text().startswith("version = 1\n")


def test_without_a_file_nothing_is_configured(settings):
    for settings.HEADCOUNT_CONFIG_FILE in ("", None, {}):
        assert conf.config is NO_CONFIG
    del settings.HEADCOUNT_CONFIG_FILE
    assert conf.config is NO_CONFIG
    assert source.look() is None


def test_a_mapping_and_a_file_have_the_same_content(settings, tmp_path):
    path = tmp_path / "headcount.toml"
    path.write_text('version = 1\nimages = ["a"]\n[releases]\n"1.0" = {date = 2026-05-01}\n')
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "images": ["a"], "releases": {"1.0": DATE}}
    in_mapping = conf.config
    for settings.HEADCOUNT_CONFIG_FILE in (path, str(path)):
        assert conf.config == in_mapping
    assert conf.config is conf.config


def test_the_minimum_in_the_file_takes_precedence(settings):
    settings.HEADCOUNT_MIN_GROUP = 2
    assert conf.min_group == 2
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "min_group": 7}
    assert conf.min_group == 7


@pytest.mark.parametrize(
    ("content", "found", "allowed"),
    [
        ({}, "version is missing", "1, and the first key"),
        ({"version": 2}, "version is 2", "1, and the first key"),
        ({"version": 10**5000}, "version is too large", "1, and the first key"),
        ({1: 2}, "The configuration has the key 1", "a table with version"),
        ({"QUESTIONS": 1}, "The configuration has the key 'QUESTIONS'", "a table with version"),
        ({"min_group": 0}, "min_group is 0", "a whole number from 1"),
        ({"known_names_only": "yes"}, "known_names_only is 'yes'", "true or false"),
        ({"images": ["a", 7]}, "images is ['a', 7]", "a list of names"),
        ({"images": ["a" * 256]}, "images is ['aaa", "1 to 255 printable ASCII characters"),
        ({"images": ["a*"]}, "images is ['a*']", "without a final *"),
        ({"hide": []}, "hide is []", "a table with app, image and arch"),
        ({"hide": {"sha": []}}, "hide has the key 'sha'", "a table with app, image and arch"),
        ({"hide": {"app": ["ä"]}}, "hide.app is ['ä']", "a final * matches any ending"),
        ({"releases": ["1.0"]}, "releases is ['1.0']", "at most 500 different releases"),
        ({"releases": {"edge": DATE}}, "releases.edge.name is 'edge'", "of at most 32 as versions"),
        ({"releases": {"1." * 16 + "1": DATE}}, "releases.'1.1.1", "of at most 32 as versions"),
        ({"releases": {f"1.{10**29}": DATE}}, "releases.'1.1000", "of at most 32 as versions"),
        ({"releases": {"1.0-" + "a" * 125: DATE}}, "releases.'1.0-aaa", "of at most 32"),
        ({"releases": {"1.0\n2": DATE}}, r"releases.'1.0\n2'.name is", "in printable ASCII"),
        ({"releases": {"1.٣": DATE}}, "releases.'1.٣'.name is", "in printable ASCII"),
        ({"releases": {"1.0": 5}}, "releases.'1.0' is 5", "a table with date"),
        ({"releases": {"1.0": {}}}, "releases.'1.0'.date is missing", "a date, such as"),
        ({"releases": {"1.0": {"date": "May"}}}, "releases.'1.0'.date is 'May'", "a date, such as"),
        ({"releases": {"1.0": DATE, "1.0.0": DATE}}, "releases is {'1.0'", "different releases"),
        (HIDDEN_RELEASE, "releases is {'v1.0'", "that [hide] does not have"),
        ({"releases": {f"1.{n}": DATE for n in range(501)}}, "releases is {'1.0'", "at most 500"),
        (
            {"releases": {"1.0": DATE | {"name": ""}}},
            "releases.'1.0' has the key 'name'",
            "with date",
        ),
        ({"questions": 7}, "questions is 7", "a table of at most 16 questions"),
        ({"questions": {f"q{n}": FLAG for n in range(17)}}, "questions is {'q0'", "at most 16"),
    ],
)
def test_an_error_names_the_key_what_it_is_and_what_is_allowed(content, found, allowed):
    message, reason = problem({"version": 1} | content if content else content)
    assert message.startswith(found)
    assert allowed in message
    assert allowed in reason


def test_the_version_is_the_first_key():
    assert "version is not the first key" in problem({"min_group": 3, "version": 1})[0]


@pytest.mark.parametrize("section", ["questions", "releases"])
@pytest.mark.parametrize("name", ["foo", "²", "1" * 5000])
def test_a_key_that_looks_like_an_error_of_msgspec_is_another_key(section, name):
    message, reason = problem({"version": 1, f"x` - at `$.{section}.{name}": 1})
    assert message.startswith("The configuration has the key 'x` - at `$.")
    assert reason.startswith("The configuration has another key; ")


@pytest.mark.parametrize(
    ("entry", "found", "allowed"),
    [
        ({"kind": "flag", "what": "it"}, ".why is missing", TEXT),
        ({"kind": "flag", "why": "so"}, ".what is missing", TEXT),
        *((FLAG | {"why": why}, f".why is {why!r}", TEXT) for why in NO_TEXTS),
        (TEXTS, ".kind is missing", '"choice", "flag" or "number"'),
        (FLAG | {"kind": "flagg"}, ".kind is 'flagg'", '"choice", "flag" or "number"'),
        (FLAG | {"options": ["a"]}, " has the key 'options'", "a table with what, why, kind"),
        (CHOICE | {"options": []}, ".options is []", "1 to 32 different texts"),
        (CHOICE | {"options": ["a", "a"]}, ".options is ['a', 'a']", "different"),
        (CHOICE | {"options": ["a", "other"]}, ".options is ['a', 'other']", 'without "other"'),
        (CHOICE | {"options": ["ä"]}, ".options is ['ä']", "letters, digits"),
        (CHOICE | {"options": ["a" * 25]}, ".options is ['aaa", "1 to 24 letters"),
        (CHOICE | {"options": [str(n) for n in range(33)]}, ".options is ['0'", "1 to 32"),
        (NUMBER | {"bounds": [5, 1]}, ".bounds is [5, 1]", "larger than the one before"),
        (NUMBER | {"bounds": [0, 1]}, ".bounds is [0, 1]", "from 1"),
        (NUMBER | {"bounds": [10**5000]}, ".bounds is too large", "to a billion"),
        (NUMBER | {"bounds": [True]}, ".bounds is [True]", "whole numbers"),
        (NUMBER | {"bounds": list(range(1, 17))}, ".bounds is [1", "1 to 15"),
        ("flag", " is 'flag'", "a table with what"),
    ],
)
def test_an_error_names_the_question(entry, found, allowed):
    message, reason = problem({"version": 1, "questions": {"first": FLAG, "it": entry}})
    assert message.startswith(f"questions.it{found}")
    assert reason.startswith("questions.NAME")
    assert allowed in message
    assert allowed in reason


@pytest.mark.parametrize("name", ["", "Users", "1st", "a-b", "a" * 25, "ä", "a\n", 1])
def test_an_invalid_name_of_a_question_is_refused(name):
    message, _ = problem({"version": 1, "questions": {name: FLAG}})
    assert f"is {name!r}; it must be a name of a lower-case letter" in message


@pytest.mark.parametrize(
    ("content", "message", "reason"),
    [
        (None, "cannot be read: No such file", "cannot be read: No such file"),
        (b"", "version is missing", "version is missing"),
        (b"[sso", "is not in TOML: ", "is not in TOML (at end of document)."),
        (b"\xff", "is not in TOML: ", "is not in TOML."),
        (b"\xef\xbb\xbfversion = 2", "version is 2", "version is invalid"),
        (b"a = " + b"[" * 5000, "is not in TOML: ", "is not in TOML."),
        (b"a = " + b"1" * 5000, "is not in TOML: ", "is not in TOML."),
        (b".".join([b"a"] * 3000) + b" = 1", "has the key 'a'", "has another key"),
        (b"#" * (MAX_FILE + 1), "it is larger than 262144 bytes", "it is larger than"),
    ],
)
def test_a_file_that_is_no_configuration_aborts_a_start_and_is_not_quoted_in_a_log(
    tmp_path, settings, content, message, reason
):
    path = tmp_path / "headcount.toml"
    if content is not None:
        path.write_bytes(content)
    settings.HEADCOUNT_CONFIG_FILE = str(path)
    with pytest.raises(SystemCheckError) as caught:
        call_command("check")
    assert "collector.E010" in str(caught.value)
    assert message in str(caught.value)
    with pytest.raises(InvalidConfig) as invalid:
        _ = source.in_force
    assert reason in invalid.value.reason


@pytest.mark.parametrize("setting", ["a\0b", "/", b"x", ["x"]])
def test_a_setting_that_names_no_file_is_refused(settings, setting):
    settings.HEADCOUNT_CONFIG_FILE = setting
    with pytest.raises(InvalidConfig):
        _ = source.in_force


KEYS = st.sampled_from(
    [
        *("version", "min_group", "hide", "app", "releases", "1.0", "date", "questions", "sso"),
        *("kind", "what", "why", "options", "bounds", "name", "images", "known_names_only"),
        *("`$.hide`", "x[0]", "x` - at `$.questions.foo", "x` - at `$.releases[²]", "9" * 5000),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(4000).map(lambda digits: 16**digits)
    | st.sampled_from([1, "flag", "choice", "number", b"x", date(2026, 5, 1), object()])
    | st.floats()
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS | st.text(max_size=9) | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)


def says_what_is_wrong(function, content):
    """Check that nothing but an error of one line is raised."""
    try:
        function(content)
    except InvalidConfig as error:
        assert len(str(error).splitlines()) == 1
        assert str(error).encode()


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_no_mapping_gives_a_traceback(content):
    says_what_is_wrong(read, {"version": 1} | content)


ODD_LINES = [
    *('"\\u0000" = 1', "[[questions]]", "[hide.app]", "name = 'x'", "a.b.c = {}", '["`$.x`"]'),
    *(f'"x` - at `$.{place}" = 1' for place in ("questions.foo", "releases.²", "questions[0]")),
    *("min_group = 0x" + "f" * 5000, "images = " + "[" * 500, "date = 2026-05-01T00:00:00Z"),
    *Path("docs/examples/manyfold.toml").read_text().splitlines(),
]
LINES = st.lists(st.sampled_from(ODD_LINES) | st.text(max_size=30), max_size=12).map("\n".join)


@given(LINES | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_file_gives_a_traceback(text):
    says_what_is_wrong(parse, text.encode())


# A change


@pytest.fixture
def file(tmp_path, settings):
    """A valid file that is in force."""
    path = tmp_path / "headcount.toml"
    path.write_text(VALID)
    settings.HEADCOUNT_CONFIG_FILE = str(path)
    assert conf.min_group == 3
    return path


@pytest.fixture
def reloaded(client):
    """Return whether the metrics say that the file is in force."""

    def fetch():
        families = text_string_to_metric_families(client.get("/metrics").content.decode())
        (family,) = (each for each in families if each.name.endswith("_last_reload_successful"))
        return family.samples[0].value

    return fetch


def test_a_change_counts_once_the_file_is_the_same_at_two_looks(file):
    for content in ("version = 1\nmin_", "version = 1\nmin_group = 5\n"):
        file.write_text(content)
        housekeeping.follow_file()
        assert conf.min_group == 3
    housekeeping.follow_file()
    assert conf.min_group == 5


@pytest.mark.parametrize("content", ["", None, "secret = [", "version = 1\nsecret = 2\n"])
def test_the_last_valid_file_stays_in_force_and_one_line_says_why(file, reloaded, caplog, content):
    assert reloaded() == 1
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    for _ in range(5):
        housekeeping.follow_file()
    assert conf.min_group == 3
    assert reloaded() == 0
    (message,) = caplog.messages
    assert message.startswith("The last valid configuration stays in force. ")
    assert "secret" not in message
    file.write_text(VALID)
    for _ in range(2):
        housekeeping.follow_file()
    assert reloaded() == 1
    assert len(caplog.messages) == 1


def test_two_looks_fit_into_a_minute():
    assert 2 * LOOK_INTERVAL < 60


def test_every_page_follows_a_change(file, client, report, clock):
    def pages():
        return [
            client.get(f"/{path}").content
            for path in ("", "docs", "docs/clients", "openapi.json", "stats", "stats/history")
        ]

    report(app="0.9.0")
    clock.shift(timedelta(days=1))
    before = pages()
    file.write_text(Path("docs/examples/manyfold.toml").read_text())
    for _ in range(2):
        housekeeping.follow_file()
    assert all(map(bytes.__ne__, before[:5], pages()[:5]))
    assert before[5] != pages()[5]
