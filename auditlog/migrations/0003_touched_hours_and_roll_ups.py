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
    """Drop the roll-ups; the marks go with their own table."""
    rollups.drop_tables()


class Migration(migrations.Migration):
    dependencies = [
        ("gatebook", "0002_log_table"),
    ]

    operations = [
        migrations.CreateModel(
            name="HourByApiName",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("api_name", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_hourbyapiname",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HourByCode",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("response_code", models.SmallIntegerField(null=True)),
            ],
            options={
                "db_table": "gatebook_hourbycode",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HourByDuration",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("duration_bucket", models.SmallIntegerField(null=True)),
            ],
            options={
                "db_table": "gatebook_hourbyduration",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HourByError",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("error_type", models.TextField()),
                ("api_name", models.TextField(null=True)),
                ("interface", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_hourbyerror",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HourByErrorType",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("error_type", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_hourbyerrortype",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HourByInterface",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("interface", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_hourbyinterface",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HourByMethod",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("request_method", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_hourbymethod",
                "abstract": False,
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="MinuteByInterface",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "start", "site_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("start", models.DateTimeField()),
                ("site_id", models.IntegerField()),
                ("success", models.BooleanField()),
                ("requests", models.IntegerField()),
                ("interface", models.TextField(null=True)),
            ],
            options={
                "db_table": "gatebook_minutebyinterface",
                "abstract": False,
                "managed": False,
            },
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
