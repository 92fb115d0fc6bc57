"""The layout that every page shares: title, description, navigation, footer."""

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import override

from collector import __version__
from collector.conf import conf
from collector.fingerprint import fingerprint

NAVIGATION = {"dashboard": "Dashboard", "docs": "Docs", "clients": "Clients"}  # labels by page
DESCRIPTION = (
    "How many instances of {project} there are and what they run: what is counted, what is kept, "
    "and for how long."
)


def render(template: str, context: dict[str, object]) -> SafeString:
    """Render a template of the app with English numbers, whatever language a visitor prefers."""
    with override("en"):
        return render_to_string(f"collector/{template}", context)


def render_page(template: str, title: str, name: str = "", **context: object) -> str:
    """Return a page as HTML; `name` is its name in the navigation."""
    return render(
        f"{template}.html",
        {
            "title": title,
            "description": DESCRIPTION.format(project=conf.project_name),
            "conf": conf,
            "release": __version__,
            "fingerprint": fingerprint(),
            "navigation": NAVIGATION,
            "page": name,
            "kind": template,
            **context,
        },
    )
