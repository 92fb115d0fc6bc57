"""The text of the docs pages: Markdown templates, rendered to HTML with the settings in force."""

import json
import re
from html import escape
from pathlib import Path

from django.template import Context, Engine, Library
from django.utils.text import get_text_list
from django.utils.translation import override
from markdown import Markdown

import collector.conf
from collector.cache.base import answer_unit
from collector.conf import conf
from collector.config import remembered
from collector.numbers.days import iso_date
from collector.numbers.trends import ENOUGH
from collector.reports.fields import FIELDS
from collector.reports.parsing import example

SOURCES = Path(__file__).parent / "pages"
TITLES = {  # by the name of the page
    "docs": "What this server counts",
    "clients": "Report from your application",
}
EXTENSIONS = ("attr_list", "fenced_code", "tables", "toc")
TOC = {"permalink": "#", "permalink_title": "Link to this section", "toc_depth": "2-3"}
EXAMPLE_DAY = 20_522  # days since 1970-01-01: the day on which the example of a report arrives


register = Library()


@register.filter
def text(value: object) -> str:
    """Return a text as Markdown in which it stays this text, whatever characters it has."""
    return re.sub(r"[\\`*_{}\[\]()!|~]", lambda match: f"&#{ord(match[0])};", escape(f"{value}"))


@remembered
def page(name: str) -> str:
    """Return the text of a docs page as HTML."""
    return _html(markdown(name))


@remembered
def welcome(url: str) -> str:
    """Return the first section of the docs as HTML, with a link to the docs at `url`."""
    first_section = markdown("docs").split("[TOC]")[0]
    return _html(f"{first_section}\n[Read the docs]({url})\n")


def markdown(name: str) -> str:
    """Return the Markdown of a docs page, with the settings and examples filled in."""
    # Markdown escapes code. Elsewhere, the template escapes the texts of the configuration file
    # with `text`.
    source = (SOURCES / f"{name}.md").read_text(encoding="utf-8")
    engine = Engine(autoescape=False, builtins=[__name__])
    with override("en"):  # whatever language the first visitor prefers
        return engine.from_string(source).render(Context(facts(), autoescape=False))


def facts() -> dict[str, object]:
    """Return the context of the templates: the settings in force, and examples that follow them."""
    counted = [field.label for field in FIELDS if field.counted_as]
    report = example(conf.questions)
    return {
        "answer_unit": answer_unit(),
        "answers": json.dumps(report.get("answers", {})),
        "conf": conf,
        "counted_labels": get_text_list(counted, "and"),
        "day": iso_date(EXAMPLE_DAY),
        "enough": ENOUGH,
        "fields": FIELDS,
        "forgotten_day": iso_date(EXAMPLE_DAY + conf.retention_days + 1),
        "id": report["id"],
        "labels": get_text_list([field.label for field in FIELDS], "and"),
        "limits": collector.conf,
        "questions": conf.questions,
        "releases": conf.config.releases,
        "report": json.dumps(report),
        "report_indented": json.dumps(report, indent=2),
        "settings": conf.in_force(),
    }


def _html(source: str) -> str:
    return Markdown(extensions=EXTENSIONS, extension_configs={"toc": TOC}).convert(source)
