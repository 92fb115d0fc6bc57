"""Print the fingerprint of this code."""

from django.core.management.base import BaseCommand

from collector.fingerprint import fingerprint


class Command(BaseCommand):
    """Prints the fingerprint that the `/healthz` of a server with this code shows."""

    help = "Print the fingerprint of this code, to compare it with the /healthz of a server."

    def handle(self, *args: object, **options: object) -> None:
        self.stdout.write(fingerprint())
