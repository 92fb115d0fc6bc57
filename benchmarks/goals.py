"""What the scripts share: their arguments, and the line that compares with the goal."""

import argparse
import signal
import sys


def arguments(script_docstring: str | None) -> argparse.ArgumentParser:
    """A script's arguments; its docstring is the help."""
    # A script that is asked to end leaves through its context managers: they end its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return argparse.ArgumentParser(
        description=script_docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def verdict(*results: tuple[str, bool]) -> int:
    """Print each goal and whether it was reached; the script's exit status, 1 if one was not."""
    print()
    for goal, reached in results:
        print(f"{'reached' if reached else 'NOT REACHED'}: {goal}")
    return 0 if all(reached for _, reached in results) else 1
