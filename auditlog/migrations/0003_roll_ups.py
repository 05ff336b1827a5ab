"""Make the roll-ups, which no model manages, and mark the hours that were written before there were any."""

from django.db import connection, migrations, models

from auditlog.store import partitions, rollups


def create(apps: object, schema_editor: object) -> None:
    """Create the roll-ups, and mark every hour of every day."""
    rollups.create_tables()
    with connection.cursor() as cursor:
        for partition in partitions.attached():
            rollups.mark(cursor, partition.hours())


def drop(apps: object, schema_editor: object) -> None:
    """Drop the roll-ups; the marks go with their own tables."""
    rollups.drop_tables()


class Migration(migrations.Migration):
    dependencies = [
        ("gatebook", "0002_log_table"),
    ]

    operations = [
        migrations.CreateModel(
            name="ByApiName",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("site_id", models.IntegerField()),
                ("minutes", models.SmallIntegerField()),
                ("start", models.DateTimeField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("api_name", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_rollup_api_name",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ByCode",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("site_id", models.IntegerField()),
                ("minutes", models.SmallIntegerField()),
                ("start", models.DateTimeField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("response_code", models.SmallIntegerField(null=True)),
            ],
            options={
                "db_table": "gatebook_rollup_code",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ByDuration",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("site_id", models.IntegerField()),
                ("minutes", models.SmallIntegerField()),
                ("start", models.DateTimeField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("duration_bucket", models.SmallIntegerField(null=True)),
            ],
            options={
                "db_table": "gatebook_rollup_duration",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ByError",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("site_id", models.IntegerField()),
                ("minutes", models.SmallIntegerField()),
                ("start", models.DateTimeField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("error_type", models.TextField()),
                ("api_name", models.TextField(null=True)),
                ("interface", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_rollup_error",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ByErrorType",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("site_id", models.IntegerField()),
                ("minutes", models.SmallIntegerField()),
                ("start", models.DateTimeField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("error_type", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_rollup_error_type",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ByInterface",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("site_id", models.IntegerField()),
                ("minutes", models.SmallIntegerField()),
                ("start", models.DateTimeField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("interface", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_rollup_interface",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ByMethod",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("site_id", models.IntegerField()),
                ("minutes", models.SmallIntegerField()),
                ("start", models.DateTimeField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("request_method", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_rollup_method",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="TouchedDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="TouchedHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.RunPython(create, drop),
    ]
