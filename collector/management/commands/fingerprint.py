"""Print what `/healthz` of a server tells that runs this code."""

from typing import Any

from django.core.management.base import BaseCommand

from collector.fingerprint import fingerprint


class Command(BaseCommand):
    """Prints the fingerprint of this checkout."""

    help = "Print the fingerprint of this code, to be compared with a server's /healthz."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(fingerprint())
