"""What freed memory may still show: copies of an id in a server's memory, as other reports come.

No live object holds the id (a test proves that); these are bytes that were freed and not yet
overwritten. It prints how many copies are left after so many other reports, in several rounds.
Needs the right to read another process's memory: root, or a parent of it.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import fleet, load
from benchmarks.goals import arguments
from benchmarks.servers import Server, headcount

AFTER = (0, 1, 10, 100, 1000, 10_000)  # other reports


def main() -> int:
    """Measure in rounds and print the medians and the most."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with headcount() as server:
        load.send(server.port, map(load.report, fleet.reports(2000, seed=0)), 201, 8)
        rounds = [one_round(server, seed) for seed in range(1, options.rounds + 1)]
    print("other reports since   copies of the id: median, most")
    for count, copies in zip(AFTER, zip(*rounds, strict=True), strict=True):
        print(f"{count:>19}   {median(copies):>24}, {max(copies)}")
    return 0


def one_round(server: Server, seed: int) -> list[int]:
    """Report once, then let others report; the copies of the first id after each number of them."""
    first, *others = fleet.reports(1 + AFTER[-1], seed)
    (name,) = re.findall(rb'"id": ?"([^"]+)"', first)
    load.send(server.port, [load.report(first)], 201)
    found = []
    for sent, until in zip((0, *AFTER), AFTER, strict=False):
        load.send(server.port, map(load.report, others[sent:until]), 201, 8)
        found.append(sum(memory.count(name) for memory in written(server.worker())))
    return found


def written(pid: int) -> Iterator[bytes]:
    """The memory that a process can write to, region by region."""
    regions = re.findall(
        r"^(\w+)-(\w+) rw", Path(f"/proc/{pid}/maps").read_text(), flags=re.MULTILINE
    )
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for begin, end in ((int(begin, 16), int(end, 16)) for begin, end in regions):
            memory.seek(begin)
            with contextlib.suppress(OSError):  # a device's, or a guard page
                yield memory.read(end - begin)


if __name__ == "__main__":
    sys.exit(main())
