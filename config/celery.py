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
    "count the hours anew": {"task": "auditlog.tasks.roll_up", "schedule": 60, "options": {"expires": 60}},
    "close the days that are over": {
        "task": "auditlog.tasks.close_days",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "copy the API logs of Files.com": {
        "task": "auditlog.tasks.sync_filescom",
        "schedule": 60,
        "options": {"expires": 60},
    },
    "ship segments left by ended processes": {
        "task": "auditlog.tasks.adopt_segments",
        "schedule": 60,
        "options": {"expires": 60},
    },
}


def _catch_up(**_: Any) -> None:
    for task in ("make_days_ahead", "roll_up", "close_days"):
        app.send_task(f"auditlog.tasks.{task}")


worker_ready.connect(_catch_up)
