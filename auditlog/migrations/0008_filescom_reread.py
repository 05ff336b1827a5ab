from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gatebook", "0007_filescom_connection"),
    ]

    operations = [
        migrations.AddField(
            model_name="filescomconnection",
            name="reread_to",
            field=models.DateTimeField(blank=True, help_text="Late entries were looked for up to here.", null=True),
        ),
        migrations.AddField(
            model_name="filescomconnection",
            name="reread_from",
            field=models.DateTimeField(blank=True, help_text="Nothing before is looked for.", null=True),
        ),
    ]
