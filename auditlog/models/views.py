"""What a reader keeps between visits."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Preference(models.Model):
    """A reader's own choice for the log page."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preference")
    columns = models.JSONField(
        default=list, blank=True, help_text="The log page's columns, in order; empty: the default."
    )

    def __str__(self) -> str:
        return f"preference of {self.user}"
