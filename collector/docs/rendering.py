"""The docs: Markdown, filled with the settings in force, as pages."""

from functools import cache
from pathlib import Path
from typing import Any

from django.core.signals import setting_changed
from django.template import Context, Engine
from markdown import Markdown

from collector.conf import MAX_BODY, MAX_FILTERS, MAX_LISTED, conf
from collector.docs import api_tables as reference
from collector.docs import examples
from collector.reports.fields import FIELDS
from collector.views.layout import render_page

SOURCES = Path(__file__).parent / "pages"
TITLES = {  # by the name of the path
    "docs": "What this server counts",
    "clients": "Report from your application",
    "api": "The API",
}
EXTENSIONS = ("attr_list", "fenced_code", "tables", "toc")
TOC = {"permalink": "#", "permalink_title": "Link to this section", "toc_depth": "2-3"}


@cache
def page(name: str = "docs") -> str:
    """One of the docs as an HTML page."""
    return _page(_filled(name), TITLES[name], name)


@cache
def welcome(where: str) -> str:
    """A short HTML page: the first section of the docs, and where the rest is."""
    first_section = _filled("docs").split("[TOC]")[0]
    return _page(f"{first_section}\n[Read the docs]({where})\n", TITLES["docs"])


def facts() -> dict[str, Any]:
    """What the docs say of this deployment: the settings in force, and examples under them."""
    return {
        "api": reference,
        "conf": conf,
        "example": examples,
        "fields": FIELDS,
        "max_body": MAX_BODY,
        "max_filters": MAX_FILTERS,
        "max_listed": MAX_LISTED,
        "settings": conf.in_force(),
    }


def _filled(name: str) -> str:
    # Markdown escapes what stands in code; elsewhere the source says force_escape.
    source = (SOURCES / f"{name}.md").read_text(encoding="utf-8")
    return Engine(autoescape=False).from_string(source).render(Context(facts(), autoescape=False))


def _page(source: str, title: str, here: str = "") -> str:
    content = Markdown(extensions=EXTENSIONS, extension_configs={"toc": TOC}).convert(source)
    return render_page("page", title, here, content=content)


def _forget_pages(**kwargs: Any) -> None:
    """Follow `override_settings`."""
    page.cache_clear()
    welcome.cache_clear()


setting_changed.connect(_forget_pages)
