"""The options of gunicorn that an operator may set.

Every other option must stay as `gunicorn.conf.py` sets it, or at gunicorn's default.
"""

import os
from typing import Any

from gunicorn.config import Config

from tracking_site.environment import ONE_PROCESS

ANY_VALUE = {
    *("access_log_format", "backlog", "bind", "chdir", "check_config", "config", "daemon"),
    *("default_proc_name", "enable_stdio_inheritance", "graceful_timeout", "group", "initgroups"),
    *("loglevel", "print_config", "proc_name", "pythonpath", "raw_env", "umask"),
    *("user", "wsgi_app"),
}
LOWER_VALUES = {
    *("keepalive", "limit_request_field_size", "limit_request_fields", "limit_request_line"),
    "worker_connections",
}
WITH_A_STORE = {"max_requests", "max_requests_jitter", "reload", "timeout", "workers"}
ONE_VALUE = {"accesslog": "-"}  # on standard output, or off

expected: dict[str, Any] = {}  # the settings of `gunicorn.conf.py`


def has_store(cfg: Any) -> bool:
    """Return whether the reports are in a store, and not in the memory of the process."""
    return bool((os.environ | cfg.env).get("REDIS_URL"))


def refusal(cfg: Any) -> str | None:
    """Return a sentence that refuses a setting which would break a promise, or None."""
    usual = Config()
    for name in usual.settings.keys() & expected.keys():
        usual.set(name, expected[name])
    for name, setting in cfg.settings.items():
        value, ours = setting.get(), usual.settings[name].get()
        if value == ours or name in ANY_VALUE or (name, value) in ONE_VALUE.items():
            continue
        if name in LOWER_VALUES:
            if not 0 < value <= ours:  # to gunicorn, 0 means no limit
                return f"{name} must be between 1 and {ours}: the limits of the server need it."
        elif name not in WITH_A_STORE or not value:
            return (
                f"{name} is refused: it must stay {ours!r}. tracking_site/options.py lists the "
                "options that may be changed."
            )
        elif not has_store(cfg):
            return f"{name} {value} is refused. {ONE_PROCESS}"
    return None
