"""Which code runs: a digest of all files of this package, to be compared with a checkout's."""

from functools import cache
from hashlib import sha256
from pathlib import Path

PACKAGE = Path(__file__).parent
DIGITS = 16


@cache
def fingerprint() -> str:
    """Hexadecimal digits that change with any file of `collector`, its templates and docs too."""
    digest = sha256()
    for path in sorted(filter(_counts, PACKAGE.rglob("*"))):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:DIGITS]


def _counts(path: Path) -> bool:
    return path.is_file() and path.parent.name != "__pycache__"
