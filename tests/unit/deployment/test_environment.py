import re
from pathlib import Path

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured

from tracking_site.environment import Environment, read

README = Path(__file__).parents[3] / "README.md"


def test_read_converts_variables_and_ignores_unknown_ones():
    environment = read({"RETENTION_DAYS": "30", "CONFIG_FILE": "a.toml", "PATH": "/bin"})
    assert environment.retention_days == 30
    assert environment.config_file == "a.toml"


def test_unset_and_empty_variables_have_the_default():
    assert read({}) == read({"PORT": "", "MIN_GROUP": ""}) == Environment()


@pytest.mark.parametrize(
    "variable",
    [
        *("PORT=http", "PORT=70000", "WEB_CONCURRENCY=0", "MAX_INSTANCES=many", "MIN_GROUP=three"),
        *("RETENTION_DAYS=7.5", "RETENTION_DAYS=-1", "HISTORY_DAYS=91", "PATH_PREFIX=tracker/"),
        *("SOURCE_URL=example.org/code",),
    ],
)
def test_an_invalid_value_is_quoted_with_its_variable(variable):
    name, value = variable.split("=")
    with pytest.raises(ImproperlyConfigured, match=f"{name} is {value!r}"):
        read({name: value})


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("QUESTIONS", "[questions.NAME]"),
        *((f"HIDE_{field.upper()}", f"`{field}` in [hide]") for field in ("app", "image", "arch")),
    ],
)
def test_a_variable_that_moved_into_the_file_aborts_and_names_the_key(name, key):
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"write {key} into the file")):
        read({name: "x"})
    assert read({name: ""}) == Environment()


def test_a_store_requires_a_secret_key():
    store = {"REDIS_URL": "redis://127.0.0.1:6379/0"}
    with pytest.raises(ImproperlyConfigured, match="Set SECRET_KEY"):
        read(store)
    assert read(store | {"SECRET_KEY": "x" * 50}).redis_url


def test_a_second_worker_requires_a_store():
    with pytest.raises(ImproperlyConfigured, match=r"2 workers are refused.* set REDIS_URL"):
        read({"WEB_CONCURRENCY": "2"})
    store = {"REDIS_URL": "redis://127.0.0.1:6379/0", "SECRET_KEY": "x" * 50}
    assert read(store | {"WEB_CONCURRENCY": "2"}).web_concurrency == 2


def test_an_error_message_never_quotes_a_password():
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL is invalid: ") as error:
        read({"REDIS_URL": "http://:password@127.0.0.1"})
    assert "password" not in str(error.value)


def test_the_readme_has_the_same_table():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| .+ \|$", README.read_text(), re.MULTILINE)
    fields = msgspec.structs.fields(Environment)
    assert rows == [(each.encode_name, default(each)) for each in fields]


def default(field):
    return f"`{field.default}`" if field.default not in ("", None) else ""
