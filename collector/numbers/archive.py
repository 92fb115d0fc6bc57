"""The archive: CSV files with the totals of each past day and its instances by release.

The server writes no file. An operator saves `/stats/archive.csv` to HISTORY_FOLDER once a day. This
module reads the folder at the start, and after midnight if a file in it changed; while a file
cannot be used, it looks once a minute.
"""

import csv
import logging
import os
import time
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import msgspec
from msgspec import Struct

from collector.conf import DAY, MAX_SUMMARY_NAMES, conf
from collector.numbers.days import to_day
from collector.numbers.dimensions import RELEASE

COLUMNS = ("date", "breakdown", "name", "instances")
TOTALS = ("instances", "established", "reported")
RELEASES, OTHER = RELEASE.breakdown, f"other {RELEASE.breakdown}"
HEADER = ",".join(COLUMNS) + "\n"
FIRST = "2000-01-01"  # an earlier date is a mistake
MAX_FILE = 16_000_000  # bytes, more than ten years take
MAX_DAY = 20_000  # bytes of the rows of a day; fifty of the longest names take half as many
MAX_DIGITS = 10  # of a number of instances
MINUTE = 60  # seconds
SLICE = 500  # lines that are read before other requests take their turn
log = logging.getLogger(__name__)

Files = tuple[tuple[str, int, int], ...]  # the name, time of change and size of each
Row = tuple[str, str, str, int]
Counts = dict[tuple[str, str], int]  # by breakdown and name


class Totals(Struct, frozen=True, array_like=True):
    """The totals of a past day. Decoding one from a whole day skips the releases."""

    instances: int
    established: int
    reported: int


class ArchivedDay(Totals, frozen=True, array_like=True):
    """The totals of a past day, and its instances by release."""

    releases: dict[str, int]


class Archive(NamedTuple):
    """The days of a folder, and the files that they were read from; None if that failed.

    `days` has each day as JSON, which takes a tenth of the memory of an ArchivedDay.
    """

    days: Mapping[int, bytes]
    files: Files | None
    problems: tuple[str, ...]  # of the files that are left out


EMPTY = Archive({}, None, ())


class Folder:
    """Keeps the archive that was last read from HISTORY_FOLDER."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._looked: tuple[str, int] | None = None  # at which folder, and on which day or minute
        self._latest = EMPTY

    def current(self) -> Archive:
        """Return the archive. The first call of each day looks at the folder, and reads a change.

        While a file cannot be used, the first call of each minute does so. Other calls get the
        previous archive meanwhile.
        """
        folder = conf.history_folder
        is_known = self._looked is not None and self._looked[0] == folder
        if self._looked != self._look(folder) and self._lock.acquire(blocking=not is_known):
            try:
                if self._looked != self._look(folder):
                    latest = self._latest if is_known else EMPTY
                    self._latest = _follow(latest, folder) if folder else EMPTY
                    self._looked = self._look(folder)
            finally:
                self._lock.release()
        return self._latest

    def _look(self, folder: str) -> tuple[str, int]:
        return folder, int(time.time() // (MINUTE if self._latest.problems else DAY))


current = Folder().current


def rows(day: str, totals: tuple[int, ...], releases: Mapping[str, int]) -> Iterator[Row]:
    """Yield the rows of a day. The numbers by release and the last row add up to the instances."""
    for name, count in zip(TOTALS, totals, strict=True):
        yield day, name, "", count
    yield from named_rows(day, RELEASES, releases)
    yield day, OTHER, "", totals[0] - sum(releases.values())


def named_rows(day: str, breakdown: str, counts: Mapping[str, int]) -> Iterator[Row]:
    """Yield a row for each name of a breakdown.

    A name that a spreadsheet takes for a formula begins with a quote, and so does one that
    begins with a quote itself: different names stay different.
    """
    for name, count in counts.items():
        yield day, breakdown, f"'{name}" if name.startswith(tuple("=+-@'")) else name, count


def read(folder: str) -> Archive:
    """Return the days of the CSV files in a folder.

    If several files have a day, the first one by name counts. An invalid file is left out. Other
    threads, or gevent's greenlets, take their turn in between.
    Raises OSError.
    """
    days: dict[str, bytes] = {}
    problems = []
    files = _files(folder)
    for name, _, _ in files:
        try:
            days = _read_file(Path(folder, name), days) | days
        except ValueError as error:
            problems.append(str(error))
        time.sleep(0)  # let other requests take their turn after each file
    return Archive({to_day(text): days[text] for text in sorted(days)}, files, tuple(problems))


def _follow(latest: Archive, folder: str) -> Archive:
    """Return the archive that follows the latest one, and log each new problem."""
    try:
        archive = latest if _files(folder) == latest.files else read(folder)
    except OSError as error:
        problem = f"The folder cannot be read: {error.strerror}."
        archive = latest._replace(files=None, problems=(problem,))
    for problem in archive.problems:
        if problem not in latest.problems:
            log.warning("Left out of the history: %s", problem)
    return archive


def _files(folder: str) -> Files:
    with os.scandir(folder) as entries:
        return tuple(sorted(_entry(each) for each in entries if each.name.endswith(".csv")))


def _entry(entry: os.DirEntry[str]) -> tuple[str, int, int]:
    """Return the name of a file, and its time and size, which show a change.

    This time, unlike that of the content, also shows that the file may now be read.
    """
    try:
        stat = entry.stat()
    except OSError:
        return entry.name, 0, 0  # it is gone, or a link to nowhere
    return entry.name, stat.st_ctime_ns, stat.st_size


def _read_file(path: Path, known: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the days of a file that are not known yet. Raises ValueError."""
    number = 1
    days: dict[str, bytes] = {}
    day, counts = "", Counts()  # the day whose rows are being read
    try:
        _require(path.is_file(), "this is no regular file")
        _require(path.stat().st_size <= MAX_FILE, f"the file has over {MAX_FILE} bytes")
        text = path.read_text(encoding="ascii", errors="surrogateescape")
        _require(text.startswith(HEADER), f"the header {HEADER.strip()} is missing")
        for place, line in _lines(text, known):
            number = place
            date, breakdown, name, count = _parse(line)
            if date != day:
                _require(not counts, "the day before is incomplete")
                _require(date not in days, "the day is in this file twice")
                day = _valid_date(date)
            _require((breakdown, name) not in counts, "the row is in this file twice")
            counts[breakdown, name] = count
            if breakdown == OTHER:
                days[day], counts = _encode(counts), {}
        _require(not counts, "the last day is incomplete")
    except OSError as error:
        raise ValueError(f"{path.name!r} cannot be read: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path.name!r}, line {number}: {error}.") from None
    return days


def _lines(text: str, known: Container[str]) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line below the header, unless its day is known.

    A file that is saved every day has mostly known days. Their last rows show where to go on.
    """
    number, start = 2, len(HEADER)
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        date = text[start:end].partition(",")[0]
        last = text.find(f"\n{date},{OTHER},", start, start + MAX_DAY) if date in known else -1
        stop = text.find("\n", last + 1) + 1 if last > 0 else 0
        # No row of another day may stand between the rows of a day that is skipped.
        if stop and text.count("\n", start, stop) == text.count(f"\n{date},", start, stop) + 1:
            end = stop
        else:
            yield number, text[start:end]
        number += text.count("\n", start, end)
        start = end
        if not number % SLICE:
            time.sleep(0)  # let other requests take their turn: a file may have years of days


def _parse(line: str) -> Row:
    """Return the row in a line. Raises ValueError and csv.Error."""
    _require(line.endswith("\n"), "the line is cut off")
    (row,) = csv.reader([line], strict=True)
    _require(len(row) == len(COLUMNS), f"the row has {len(row)} of {len(COLUMNS)} columns")
    day, breakdown, name, count = row
    if breakdown == RELEASES:
        name = name.removeprefix("'")
        _require(name.isascii() and name.isprintable(), "the name is not printable ASCII")
        _require(0 < len(name) <= RELEASE.max_length, "the name is empty or too long")
    else:
        _require(breakdown in (*TOTALS, OTHER) and not name, "the breakdown is unknown")
    _require(count.isdecimal() and len(count) <= MAX_DIGITS, "the number is not a whole number")
    return day, breakdown, name, int(count)


def _encode(counts: Counts) -> bytes:
    """Return a complete day as JSON. Raises ValueError."""
    totals = [counts.pop((total, ""), None) for total in (*TOTALS, OTHER)]
    _require(None not in totals, "a total of this day is missing")
    instances, established, reported, other = (total or 0 for total in totals)
    releases = {name: count for (_, name), count in counts.items()}
    _require(max(established, reported) <= instances, "a total exceeds that of the instances")
    _require(len(releases) <= MAX_SUMMARY_NAMES, f"the day has over {MAX_SUMMARY_NAMES} releases")
    _require(sum(releases.values()) + other == instances, "the numbers by release do not add up")
    return msgspec.json.encode(ArchivedDay(instances, established, reported, releases))


def _valid_date(text: str) -> str:
    try:
        to_day(text)
    except ValueError:
        raise ValueError("the date is invalid") from None
    _require(text >= FIRST, "the date is too early")
    return text


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)
