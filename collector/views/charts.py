"""Charts of days as SVG to inline: no script, no style, no colour; those come from the stylesheet.

leather draws; here its drawing is stripped to geometry and classes. A day without a figure is None,
and a gap.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

from leather import Axis, Chart, Columns, Line, Linear, Ordinal, Series

WIDTH, HEIGHT = 760, 300  # of the drawing; the page scales it
MARGIN = WIDTH // 20  # leather's own; the view box cuts it off again, but for the halves of labels
VIEW_BOX = f"{MARGIN - 2} {MARGIN - 10} {WIDTH - 2 * MARGIN + 14} {HEIGHT - 2 * MARGIN + 16}"
LABELLED_DAYS = 6
LABELLED_SHARE = 8  # percent; a thinner layer has no room for its letter
LETTERS = "ABCDEFGH"  # of the layers of a stack, the lowest first

# What leather writes into the elements: looks, which are the stylesheet's, and long numbers.
LOOKS = {"fill", "stroke", "stroke-width", "font-family", "font-size"}
GEOMETRY = {"x", "y", "x1", "x2", "y1", "y2", "width", "height", "d"}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:E[+-]?\d+)?")

Days = Sequence[date]
Values = Sequence[float | None]


class Stroke(Line):  # type: ignore[misc]  # leather has no types
    """A line under a class of ours, in which a day between two gaps shows too."""

    end = "h3"  # less than half a day of ninety; a path of one point alone would draw nothing

    def __init__(self, name: str) -> None:
        super().__init__(stroke_color="none")
        self.name = name

    def to_svg(self, width: float, height: float, *scales_and_series: Any) -> Any:
        group = super().to_svg(width, height, *scales_and_series)
        group.set("class", self.name)
        for path in group:
            start = path.get("d").split()[1]
            path.set("d", path.get("d") + self.end.format(bottom=height, start=start))
        return group

    def legend_to_svg(self, series: Any, palette: Any) -> list[Any]:
        """Nothing: the page has the legend."""
        return []


class Layer(Stroke):
    """A line filled down to the axis, and marked with its letter where it ends."""

    end = "h3V{bottom}H{start}Z"

    def __init__(self, number: int, share: float) -> None:
        super().__init__(f"layer-{number + 1}")
        self.mark = LETTERS[number] if share >= LABELLED_SHARE else ""

    def to_svg(self, width: float, height: float, *scales_and_series: Any) -> Any:
        group = super().to_svg(width, height, *scales_and_series)
        if self.mark and len(group):
            x, y = NUMBER.findall(group[-1].get("d").rpartition("h")[0])[-2:]
            mark = ET.SubElement(group, "text", {"class": "mark", "x": x, "y": y})
            mark.text = self.mark
        return group


def line(title: str, days: Days, values: Values) -> str:
    """One line over the days."""
    chart = _chart(days, _highest(values))
    chart.add_series(Series(list(zip(days, values, strict=True))), Stroke("line"))
    return _svg(chart, title)


def columns(title: str, days: Days, values: Values) -> str:
    """One column a day."""
    names = [day.isoformat() for day in days]  # leather's columns stand on texts only
    chart = _chart(names, _highest(values))
    chart.add_series(Series(list(zip(names, values, strict=True))), Columns("none"))
    return _svg(chart, title)


def stack(title: str, days: Days, shares: Sequence[Values]) -> str:
    """Shares in percent on top of each other, the first at the bottom."""
    chart = _chart(days, 100)
    # Each layer reaches down to the axis, so the highest is drawn first and the others over it.
    for number, sums in reversed(list(enumerate(_running_sums(shares)))):
        layer = Layer(number, shares[number][-1] or 0)
        chart.add_series(Series(list(zip(days, sums, strict=True))), layer)
    return _svg(chart, title)


def _running_sums(shares: Sequence[Values]) -> list[Values]:
    sums: list[Values] = [shares[0]]
    for values in shares[1:]:
        pairs = zip(sums[-1], values, strict=True)
        sums.append([None if a is None or b is None else min(a + b, 100) for a, b in pairs])
    return sums


def _highest(values: Values) -> float:
    return max(1, *(value for value in values if value is not None))


def _chart(days: Sequence[Any], highest: float) -> Any:
    """An empty chart, from zero; a day has the same place in each."""
    chart = Chart()
    chart.set_x_scale(Ordinal(days))
    chart.set_y_scale(Linear(0, highest))
    chart.set_x_axis(Axis(days[:: -(-len(days) // LABELLED_DAYS)], _day))
    chart.set_y_axis(Axis(tick_formatter=_amount))
    return chart


def _day(value: date | str, *_: int) -> str:
    day = date.fromisoformat(str(value))
    return f"{day.day} {day:%b}"


def _amount(value: float, *_: int) -> str:
    """1500 is 1.5k: short enough for the margin on a phone. Half an installation has no label."""
    value = float(value)  # of a Decimal, :g would keep the zeros
    for size, unit in ((10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return "" if value % 1 else f"{value:g}"


def _svg(chart: Any, title: str) -> str:
    svg = ET.Element("svg", {"viewBox": VIEW_BOX, "role": "img", "class": "chart"})
    ET.SubElement(svg, "title").text = title
    _, drawing = chart.to_svg_group(WIDTH, HEIGHT)  # the first is a background
    svg.append(drawing)
    for element in drawing.iter():
        _strip(element.attrib)
    return ET.tostring(svg, encoding="unicode")


def _strip(attributes: dict[str, str]) -> None:
    for name in LOOKS & attributes.keys():
        del attributes[name]
    for name in GEOMETRY & attributes.keys():
        attributes[name] = NUMBER.sub(_rounded, attributes[name])


def _rounded(number: re.Match[str]) -> str:
    return f"{round(float(number[0]), 1):g}"
