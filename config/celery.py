"""Work in the background: `celery -A config worker`, and one `celery -A config beat` (or `worker -B`)."""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("gatebook")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "purge what is past its retention": {"task": "auditlog.tasks.purge", "schedule": crontab(hour=2, minute=30)},
    "tidy up": {"task": "auditlog.tasks.tidy", "schedule": crontab(hour=3, minute=30)},
    "make the days to come": {"task": "auditlog.tasks.make_days_ahead", "schedule": 6 * 3600},
    "ship segments left by ended processes": {
        "task": "auditlog.tasks.adopt_segments",
        "schedule": 60,
        "options": {"expires": 60},
    },
}


def _make_days_at_start(**_: Any) -> None:
    app.send_task("auditlog.tasks.make_days_ahead")


worker_ready.connect(_make_days_at_start)
