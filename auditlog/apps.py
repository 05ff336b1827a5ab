"""The app's name and label: its tables are `gatebook_…`."""

from django.apps import AppConfig


class AuditlogConfig(AppConfig):
    """The book. Labelled `gatebook`, so that it can live beside the unrelated django-auditlog."""

    name = "auditlog"
    label = "gatebook"
    verbose_name = "Gatebook"
