"""Identify the code that handles reports, so that anyone can compare a server with a checkout."""

from functools import cache
from hashlib import sha256
from pathlib import Path

PACKAGE = Path(__file__).parent
SUFFIXES = {".py", ".lua"}  # the languages of the code that reports pass through
DIGITS = 16


@cache
def fingerprint() -> str:
    """Return hexadecimal digits made from the names and contents of the package's code files."""
    digest = sha256()
    for path in sorted(filter(_is_code, PACKAGE.rglob("*"))):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:DIGITS]


def _is_code(path: Path) -> bool:
    """Whether a path is a code file. Hidden files are what editors and file managers leave."""
    return path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file()
