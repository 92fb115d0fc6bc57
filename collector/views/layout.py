"""The frame that every page shares: title, description, navigation, footer."""

from typing import Any

from django.template.loader import render_to_string

from collector import __version__
from collector.conf import conf
from collector.fingerprint import fingerprint

# The name of the path, the short one, and the label.
NAVIGATION = [
    (f"collector-{name}", name, label)
    for name, label in (("dashboard", "Dashboard"), ("docs", "Docs"), ("api", "API"))
]
DESCRIPTION = (
    "How many installations of {project} there are and what they run: what is counted, what is "
    "kept, and for how long."
)


def framed(template: str, title: str, here: str = "", **context: Any) -> str:
    """A page; `here` is the name of its path in the navigation."""
    return render_to_string(
        f"collector/{template}.html",
        {
            "title": title,
            "description": DESCRIPTION.format(project=conf.project_name),
            "project": conf.project_name,
            "release": __version__,
            "revision": conf.revision,
            "fingerprint": fingerprint(),
            "navigation": NAVIGATION,
            "here": here,
            "kind": template,
            **context,
        },
    )
