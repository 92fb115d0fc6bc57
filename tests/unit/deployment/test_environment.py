import re
from pathlib import Path

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured

from tracking_site.environment import Environment, read

README = Path(__file__).parents[3] / "README.md"


def test_it_works():
    environment = read({"RETENTION_DAYS": "30", "HIDE_IMAGE": "casino", "PATH": "/bin"})
    assert environment.retention_days == 30
    assert environment.hide_image == "casino"


def test_unset_and_empty_are_the_default():
    assert read({}) == read({"PORT": "", "MIN_GROUP": ""}) == Environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("WEB_CONCURRENCY", "0"),
        ("MAX_INSTANCES", "many"),
        ("RETENTION_DAYS", "7.5"),
        ("RETENTION_DAYS", "-1"),
        ("MIN_GROUP", "three"),
        ("HISTORY_DAYS", "91"),
        ("PATH_PREFIX", "tracker/"),
    ],
)
def test_a_wrong_value_is_named(name, value):
    with pytest.raises(ImproperlyConfigured, match=f"{name} is {value!r}"):
        read({name: value})


def test_a_store_needs_a_secret():
    store = {"REDIS_URL": "redis://127.0.0.1:6379/0"}
    with pytest.raises(ImproperlyConfigured, match="Set SECRET_KEY"):
        read(store)
    assert read(store | {"SECRET_KEY": "x" * 50}).redis_url


def test_no_password_is_told():
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL does not fit: ") as told:
        read({"REDIS_URL": "http://:password@127.0.0.1"})
    assert "password" not in str(told.value)


def test_the_readme_has_the_same_table():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", README.read_text(), re.MULTILINE)
    fields = msgspec.structs.fields(Environment)
    assert rows == [(field.encode_name, shown(field.default), described(field)) for field in fields]


def shown(default):
    return f"`{default}`" if default not in ("", None) else ""


def described(field):
    schema = msgspec.json.schema(field.type)
    return schema.get("description") or schema["anyOf"][0]["description"]
