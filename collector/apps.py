"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig


class CollectorConfig(AppConfig):
    """Registers the checks when Django starts."""

    name = "collector"

    def ready(self) -> None:
        from collector import checks  # noqa: F401  registering is its import's effect
