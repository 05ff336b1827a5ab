"""Let closed days find a text anywhere in their errors. The database's owner may: the extension is a trusted one."""

from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("gatebook", "0003_roll_ups")]

    operations = [TrigramExtension()]
