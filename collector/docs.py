"""The docs: Markdown, filled with the settings in force, as pages."""

from functools import cache
from pathlib import Path
from typing import Any

import markdown
from django.template import Context, Engine
from django.template.loader import render_to_string

from collector import __version__
from collector.conf import MAX_BODY, MAX_FILTERS, MAX_LISTED, conf
from collector.reports import FIELDS

SOURCE = Path(__file__).parent / "docs" / "index.md"


def page() -> str:
    """The docs as an HTML page."""
    return _page(_html(_source()))


def welcome(where: str) -> str:
    """A short HTML page: the first section of the docs, and where the rest is."""
    first_section = _source().split("\n## ")[0]
    return _page(_html(f"{first_section}\n\n[Read the docs]({where})\n"))


def facts() -> dict[str, Any]:
    """What the docs say about the deployment, from the settings in force."""
    return {
        "project": conf.project_name,
        "fields": FIELDS,
        "retention_days": conf.retention_days,
        "min_group": conf.min_group,
        "max_body": MAX_BODY,
        "max_listed": MAX_LISTED,
        "max_filters": MAX_FILTERS,
        "max_instances": conf.max_instances,
        "max_values": conf.max_values,
    }


@cache
def _source() -> str:
    return SOURCE.read_text(encoding="utf-8")


def _html(source: str) -> str:
    text = Engine().from_string(source).render(Context(facts()))
    return markdown.markdown(text, extensions=["fenced_code", "tables", "toc"])


def _page(content: str) -> str:
    context = {"content": content, "project": conf.project_name, "release": __version__}
    return render_to_string("collector/page.html", context)
