"""The app of host projects: its management commands and the check of its settings."""

from django.apps import AppConfig
from django.core import checks


class GatebookConfig(AppConfig):
    """Capture. No models; its label leaves `gatebook` to the server's tables."""

    name = "gatebook"
    label = "gatebook_capture"
    verbose_name = "Gatebook capture"

    def ready(self) -> None:
        """Have the project's settings checked."""
        from gatebook.checks import check

        checks.register(check)
