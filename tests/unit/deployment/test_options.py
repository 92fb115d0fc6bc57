"""gunicorn's options: whatever is not on a list is refused."""

import importlib.util

import pytest
from gunicorn.config import KNOWN_SETTINGS, Config

from tests.servers import ROOT
from tracking_site import options
from tracking_site.options import ANY_VALUE, LOWER_VALUES, ONE_VALUE, WITH_A_STORE, refusal

NAMES = [setting.name for setting in KNOWN_SETTINGS]
LISTED = {*ANY_VALUE, *LOWER_VALUES, *ONE_VALUE, *WITH_A_STORE}


@pytest.fixture(scope="module", autouse=True)
def conf():
    """The settings of `gunicorn.conf.py`."""
    spec = importlib.util.spec_from_file_location("conf", ROOT / "gunicorn.conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


@pytest.fixture
def cfg(conf):
    """What gunicorn makes of that file."""
    config = Config()
    for name in config.settings.keys() & conf.keys():
        config.set(name, conf[name])
    return config


def test_the_file_itself_is_accepted(cfg):
    assert refusal(cfg) is None


@pytest.mark.parametrize("name", sorted({*NAMES} - WITH_A_STORE - {"raw_env"}))
def test_another_value_is_refused_unless_the_option_is_on_a_list(cfg, name):
    cfg.settings[name].value = [object()] if name not in LOWER_VALUES else 0
    if name in ANY_VALUE:
        assert refusal(cfg) is None
    else:
        assert refusal(cfg).startswith(name)


@pytest.mark.parametrize("name", sorted({*NAMES} - LISTED))
def test_an_option_that_is_on_no_list_cannot_be_unset(cfg, name):
    usual, cfg.settings[name].value = cfg.settings[name].value, None
    assert (refusal(cfg) is None) == (usual is None)


def test_the_lists_have_only_options_that_gunicorn_knows():
    assert set(NAMES) >= LISTED
    assert len(LISTED) == sum(map(len, (ANY_VALUE, LOWER_VALUES, ONE_VALUE, WITH_A_STORE)))


@pytest.mark.parametrize("name", sorted(LOWER_VALUES))
def test_a_limit_can_be_lowered_but_neither_raised_nor_lifted(cfg, name):
    limit = cfg.settings[name].value
    for value, accepted in ((1, True), (limit, True), (limit + 1, False), (0, False), (-1, False)):
        cfg.settings[name].value = value
        assert (refusal(cfg) is None) == accepted


@pytest.mark.parametrize("name", sorted(WITH_A_STORE))
def test_what_ends_or_adds_a_process_needs_a_store(cfg, name, monkeypatch):
    cfg.settings[name].value = 2
    assert options.ONE_PROCESS in refusal(cfg)
    cfg.set("raw_env", ["REDIS_URL=redis://127.0.0.1"])
    assert refusal(cfg) is None
    cfg.set("raw_env", [])
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1")
    assert refusal(cfg) is None
    cfg.settings["workers"].value = 0
    assert refusal(cfg).startswith("workers is refused")


def test_access_lines_go_only_to_standard_output(cfg):
    cfg.set("accesslog", "-")
    assert refusal(cfg) is None
    cfg.set("accesslog", "/dev/full")
    assert refusal(cfg).startswith("accesslog is refused")
