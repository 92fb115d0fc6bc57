"""Identify the code that handles reports, so that anyone can compare a server with a checkout."""

from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path

PACKAGE = Path(__file__).parent
SUFFIXES = {".py", ".lua"}  # the languages of the code that reports pass through
DIGITS = 16
# The code that stores reports. Only a change of it starts the count from zero.
STORING = ("cache", "questions.py", "reports", "views/ingest.py")


@cache
def fingerprint(*names: str) -> str:
    """Return hexadecimal digits made from the names and contents of the package's code files.

    With names of folders and files in the package, the digits are made from these alone.
    """
    digest = sha256()
    parts = [PACKAGE / name for name in names] or [PACKAGE]
    paths = chain.from_iterable([part, *part.rglob("*")] for part in parts)
    for path in sorted(filter(_is_code, paths)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:DIGITS]


def _is_code(path: Path) -> bool:
    """Whether a path is a code file. Hidden files are what editors and file managers leave."""
    return path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file()
