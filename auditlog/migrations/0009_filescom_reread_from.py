from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gatebook", "0008_filescom_reread"),
    ]

    operations = [
        migrations.AddField(
            model_name="filescomconnection",
            name="reread_from",
            field=models.DateTimeField(blank=True, help_text="Nothing before is looked for.", null=True),
        ),
    ]
