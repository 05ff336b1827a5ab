"""Make the log's table, which no model manages."""

from django.db import migrations

from auditlog.store import partitions


def create(apps: object, schema_editor: object) -> None:
    """Create the log without any day."""
    partitions.create_table()


def drop(apps: object, schema_editor: object) -> None:
    """Drop the log and all its days."""
    partitions.drop_table()


class Migration(migrations.Migration):
    dependencies = [("gatebook", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
