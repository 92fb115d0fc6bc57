"""The docs pages: Markdown templates, rendered to HTML with the settings in force."""

from functools import cache
from pathlib import Path
from typing import Any

from django.core.signals import setting_changed
from django.template import Context, Engine
from django.utils.text import get_text_list
from markdown import Markdown

from collector.conf import MAX_BODY, MAX_FILTERS, MAX_LISTED, conf
from collector.docs import api_tables, examples
from collector.reports.fields import FIELDS
from collector.views.layout import render_page

SOURCES = Path(__file__).parent / "pages"
TITLES = {  # by the name of the page
    "docs": "What this server counts",
    "clients": "Report from your application",
    "api": "The API",
}
EXTENSIONS = ("attr_list", "fenced_code", "tables", "toc")
TOC = {"permalink": "#", "permalink_title": "Link to this section", "toc_depth": "2-3"}


@cache
def page(name: str = "docs") -> str:
    """Return a docs page as HTML."""
    return _html(markdown(name), TITLES[name], name)


@cache
def welcome(url: str) -> str:
    """Return the first section of the docs as an HTML page, with a link to the docs at `url`."""
    first_section = markdown("docs").split("[TOC]")[0]
    return _html(f"{first_section}\n[Read the docs]({url})\n", TITLES["docs"])


def markdown(name: str) -> str:
    """Return the Markdown of a docs page, with the settings and examples filled in."""
    # Markdown escapes what is in code; elsewhere, the template uses force_escape.
    source = (SOURCES / f"{name}.md").read_text(encoding="utf-8")
    return Engine(autoescape=False).from_string(source).render(Context(facts(), autoescape=False))


def facts() -> dict[str, Any]:
    """Return what the templates use: the settings in force, and examples that follow them."""
    counted = [field.label for field in FIELDS if field.counted_as]
    return {
        "api": api_tables,
        "conf": conf,
        "counted_labels": get_text_list(counted, "and"),
        "example": examples,
        "fields": FIELDS,
        "labels": get_text_list([field.label for field in FIELDS], "and"),
        "max_body": MAX_BODY,
        "max_filters": MAX_FILTERS,
        "max_listed": MAX_LISTED,
        "questions": conf.questions,
        "settings": conf.in_force(),
    }


def _html(source: str, title: str, name: str = "") -> str:
    content = Markdown(extensions=EXTENSIONS, extension_configs={"toc": TOC}).convert(source)
    return render_page("page", title, name, content=content)


def _clear_pages(**kwargs: Any) -> None:
    """Follow `override_settings`."""
    page.cache_clear()
    welcome.cache_clear()


setting_changed.connect(_clear_pages)
