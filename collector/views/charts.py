"""Charts of days as SVG to inline in a page or a picture. The stylesheet has all colors.

A date without a number is None, and a gap in the chart.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import accumulate

from django.utils.safestring import SafeString

from collector.numbers import trends
from collector.numbers.days import to_day
from collector.numbers.history import Day
from collector.numbers.snapshot import Snapshot
from collector.numbers.trends import Adoption
from collector.refusal import Refusal
from collector.views.layout import render

WIDTH, HEIGHT = 684, 240  # of the area in which a chart draws; the template adds the margins
TICKS = 5  # at most this many lines above zero
YEAR = 365  # past days; below a longer chart are months
DATES = 6  # at most this many dates below the chart
LETTERS = "ABCDEFGH"  # of the layers of a stack, the lowest first
THIN = 8  # percent; a layer that is thinner has no room for its letter
# The periods that a chart of growth can show: their labels and their past days.
PERIOD, PERIOD_DEFAULT = "period", "90-days"
PERIODS = {
    PERIOD_DEFAULT: ("90 days", 90),
    "year": ("a year", YEAR),
    "all": ("everything", 100_000),
}
# What the chart of growth counts, by whether only established instances are asked for.
KINDS = {False: "Instances", True: "Established instances"}

Values = Sequence[float | None]
Points = list[tuple[float, float]]


def period_of(query: Mapping[str, Sequence[str]]) -> str:
    """Return the period that a query names, or the shortest one. Raises Refusal."""
    (*_, name) = (PERIOD_DEFAULT, *query.get(PERIOD, ()))
    if name not in PERIODS:
        raise Refusal(f"{PERIOD} must be one of {', '.join(PERIODS)}.", PERIOD)
    return name


def first_day(snapshot: Snapshot, query: Mapping[str, Sequence[str]]) -> int:
    """Return the first day of the period that a query names. Raises Refusal."""
    _, days = PERIODS[period_of(query)]
    return snapshot.tally.day - days


def growth(instances: Mapping[int, int], kind: str) -> SafeString:
    """Return the chart of the number of instances of a kind by day."""
    return line(f"{kind} by day", *trends.calendar(instances))


def reports(reported: Mapping[int, int]) -> SafeString:
    """Return the chart of the number of instances that reported by day."""
    return columns("Instances that reported, by day", *trends.calendar(reported))


def adoption(adopted: Adoption, days: Sequence[Day]) -> SafeString:
    """Return the chart of the share of each release by day."""
    shares = {
        to_day(day.date): [100 * part / (day.instances or 1) for part in parts]
        for day, parts in zip(days, adopted.parts, strict=True)
    }
    dates, by_date = trends.calendar(shares)
    layers = [
        [each[number] if each else None for each in by_date]
        for number in range(len(adopted.releases) + 1)
    ]
    return stack("Share of each release by day", dates, layers)


def legend(adopted: Adoption) -> list[tuple[str, str]]:
    """Return the letter and the name of each layer of the adoption chart, from the bottom up."""
    return list(zip(LETTERS, [*adopted.releases, "all others"], strict=False))


def line(title: str, dates: Sequence[date], values: Values) -> SafeString:
    """Return a line over the dates."""
    top = _top(values)
    runs = _runs(dates, values, top)
    # A path of one point would draw nothing, so a date between two gaps gets a short line.
    paths = [f"{_path(run)}h3" if len(run) == 1 else _path(run) for run in runs]
    return _chart(title, dates, top, kind="line", paths=paths)


def columns(title: str, dates: Sequence[date], values: Values) -> SafeString:
    """Return one column for each date."""
    top, width = _top(values), WIDTH / len(dates)
    rectangles = [
        {
            "x": _short(x - width * 0.4),
            "y": _short(y),
            "width": _short(width * 0.8),
            "height": _short(HEIGHT - y),
        }
        for run in _runs(dates, values, top)
        for x, y in run
    ]
    return _chart(title, dates, top, kind="columns", rectangles=rectangles)


def stack(title: str, dates: Sequence[date], shares: Sequence[Values]) -> SafeString:
    """Return layers on top of each other: each has a share, in percent, of each date."""
    # Each layer is drawn down to zero, the highest first, so that the lower ones cover it.
    layers = [
        _layer(number, dates, sums, shares[number][-1] or 0)
        for number, sums in reversed(list(enumerate(accumulate(shares, _add))))
    ]
    return _chart(title, dates, 100, layers=layers)


def _layer(
    number: int, dates: Sequence[date], sums: Values, latest_share: float
) -> dict[str, object]:
    runs = _runs(dates, sums, 100)
    areas = [f"{_path(run)}h3V{HEIGHT}H{_short(run[0][0])}Z" for run in runs]
    layer: dict[str, object] = {"number": number + 1, "areas": areas}
    if runs and latest_share >= THIN:
        x, y = runs[-1][-1]
        layer |= {"letter": LETTERS[number], "x": _short(x), "y": _short(y)}
    return layer


def _add(sums: Values, values: Values) -> Values:
    pairs = zip(sums, values, strict=True)
    return [None if a is None or b is None else min(a + b, 100) for a, b in pairs]


def _runs(dates: Sequence[date], values: Values, top: float) -> list[Points]:
    """Return the points of the values, as one list for each run of dates without a gap."""
    runs: list[Points] = [[]]
    for number, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((_x(dates, number), HEIGHT * (1 - value / top)))
    return [run for run in runs if run]


def _x(dates: Sequence[date], number: int) -> float:
    """Return the middle of a date's column."""
    return WIDTH * (number + 0.5) / len(dates)


def _path(points: Points) -> str:
    return "M" + "L".join([f"{x:.1f},{y:.1f}" for x, y in points])


def _chart(title: str, dates: Sequence[date], top: float, **shapes: object) -> SafeString:
    step = _step(top)
    every = -(-len(dates) // DATES)
    form = "{0:%b %Y}" if len(dates) > YEAR + 1 else "{0.day} {0:%b}"
    context = {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "ticks": [
            {"y": _short(HEIGHT * (1 - number * step / top)), "label": _amount(number * step)}
            for number in range(int(top / step) + 1)
        ],
        "dates": [
            {"x": _short(_x(dates, number)), "label": form.format(dates[number])}
            for number in range(0, len(dates), every)
        ],
        **shapes,
    }
    return render("chart.svg", context)


def _top(values: Values) -> float:
    """Return the number at the top of the chart: the first tick that no value exceeds."""
    highest = max([1, *(value for value in values if value is not None)])
    step = _step(highest)
    return math.ceil(highest / step) * step


def _step(top: float) -> float:
    """Return the interval of ticks up to `top`: 1, 2 or 5 times a power of ten, never below 1."""
    power: int = 10 ** math.floor(math.log10(max(top / TICKS, 1)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * TICKS >= top)


def _amount(value: float) -> str:
    """Return a number that is short enough for the margin: 1500 as 1.5k."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _short(number: float) -> str:
    return f"{round(number, 1):g}"
