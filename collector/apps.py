"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig


class CollectorConfig(AppConfig):
    """Registers the system checks when Django starts."""

    name = "collector"

    def ready(self) -> None:
        from collector import checks  # noqa: F401  importing the module registers its checks
