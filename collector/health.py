"""What a server says of itself."""

from collector import __version__
from collector.answers import Health
from collector.conf import conf
from collector.fingerprint import fingerprint


def health() -> Health:
    """That it is alive, what code it runs, and how that is set."""
    settings = {name: value for name, value, _ in conf.in_force()}
    return Health("alive", __version__, conf.revision, fingerprint(), settings)
