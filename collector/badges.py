"""Badges: how many installations are live, for a README."""

from urllib.parse import quote

LABEL = "instances"
COLOR = "blue"
CACHE_SECONDS = 300  # the least that shields.io accepts


def escape(text: str) -> str:
    """A part of a static badge's path, as shields.io writes it: `-` and `_` doubled."""
    return quote(text.replace("-", "--").replace("_", "__").replace(" ", "_"), safe="")


def static_url(message: str) -> str:
    """The badge that shields.io draws."""
    return f"https://img.shields.io/badge/{escape(LABEL)}-{escape(message)}-{COLOR}"


def endpoint(message: str) -> dict[str, str | int]:
    """The badge in shields.io's endpoint schema, https://shields.io/badges/endpoint-badge."""
    return {
        "schemaVersion": 1,
        "label": LABEL,
        "message": message,
        "color": COLOR,
        "cacheSeconds": CACHE_SECONDS,
    }
