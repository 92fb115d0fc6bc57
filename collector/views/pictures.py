"""Charts as pictures for a README, in light and dark, with everything that they need inside."""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from django.http import HttpRequest, HttpResponse

import collector
from collector.conf import conf
from collector.numbers import trends
from collector.numbers.days import iso_date
from collector.numbers.filters import parse
from collector.numbers.snapshot import Snapshot
from collector.numbers.trends import Adoption
from collector.views import charts
from collector.views.exports import SnapshotView
from collector.views.layout import render

CSS = Path(collector.__file__).parent / "static" / "collector" / "page.css"
COLUMNS, COLUMN, ROW = 4, 180, 22  # of the names of layers: how many, and pixels between them
OTHERS = 7  # the color of all others


def style() -> str:
    """Return the styles of a picture: the colors and the rules of a chart in the stylesheet."""
    css = CSS.read_text()
    colors = re.findall(r"(--[\w-]+): light-dark\((#\w+), (#\w+)\)", css)
    light, dark = ("".join(f"{each[0]}:{each[n]};" for each in colors) for n in (1, 2))
    rules = re.findall(r"^\.(?:chart (?!{)|layer)[^{}]*{[^}]*}", css, re.MULTILINE)
    own = (
        f":root{{{light}font-family:system-ui,sans-serif}}",
        f"@media(prefers-color-scheme:dark){{:root{{{dark}}}}}",
        ".ground{fill:var(--ground)}text{fill:var(--ink);font-size:13px}.heading{font-weight:600}",
    )
    return re.sub(r"\s+", " ", "".join((*own, *rules)))


STYLE = style()
# Allows nothing but this style, also if the picture is opened by itself.
_hash = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_hash}'; base-uri 'none'; frame-ancestors 'none'"


class Picture(SnapshotView):
    """A chart as a picture. Its policy allows its own styles and nothing else."""

    content_type = "image/svg+xml"

    def get(self, request: HttpRequest) -> HttpResponse:
        response = super().get(request)
        response["Content-Security-Policy"] = POLICY
        return response

    def picture(self, names: Sequence[object] = (), **context: object) -> bytes:
        """Return a picture with a title, a description, a chart and the names of its layers."""
        height = 330 + ROW * -(-len(names) // COLUMNS)
        context |= {"height": height, "style": STYLE, "names": names}
        return render("picture.svg", context).encode()


class GrowthSvg(Picture):
    """The number of instances, or of established instances, by day, over a period."""

    def body(self, snapshot: Snapshot) -> bytes:
        query = dict(self.request.GET.lists())
        first, established = charts.first_day(snapshot, query), parse(query).established
        instances = trends.totals(snapshot, first, established=established)
        ends = sorted({min(instances), max(instances)})
        return self.picture(
            title=f"{charts.KINDS[established]} of {conf.project_name} by day",
            description="; ".join(f"{instances[day]:,} on {iso_date(day)}" for day in ends),
            chart=charts.growth(instances, charts.KINDS[established]),
        )


class AdoptionSvg(Picture):
    """The share of each known release by day, over a year."""

    def body(self, snapshot: Snapshot) -> bytes:
        days = trends.recent(snapshot, charts.YEAR)
        known = trends.known_releases(snapshot, days)
        adopted = trends.adoption(snapshot.past, days, known)
        instances = days[-1].instances or 1
        shares = [
            f"{name} {100 * part / instances:.0f}%"
            for (_, name), part in zip(charts.legend(adopted), adopted.parts[-1], strict=True)
        ]
        return self.picture(
            title=f"Releases of {conf.project_name} by day, in percent of instances",
            description=f"On {days[-1].date}: {', '.join(reversed(shares))}.",
            chart=charts.adoption(adopted, days),
            names=list(_names(adopted)),
        )


def _names(adopted: Adoption) -> Iterator[dict[str, object]]:
    """Yield the name of each layer and its place below the chart, the highest layer first."""
    layers = list(enumerate(charts.legend(adopted), 1))
    for place, (number, (letter, name)) in enumerate(reversed(layers)):
        row, column = divmod(place, COLUMNS)
        yield {
            "layer": number if number < len(layers) else OTHERS,
            "text": f"{letter} {name}",
            "x": 12 + COLUMN * column,
            "y": 330 + ROW * row,
        }
