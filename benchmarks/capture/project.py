"""The project's settings: as `startproject` makes them, with Django REST framework and what one contestant adds.

From the environment: CAPTURE_CONTESTANT, CAPTURE_DATABASE (JSON: an entry of DATABASES) and CAPTURE_SPOOL.
"""

import json
import os

from benchmarks.capture.contestants import CONTESTANTS, HOST, SITE

_contestant = CONTESTANTS[os.environ["CAPTURE_CONTESTANT"]]

SECRET_KEY = "no secret: it signs nothing" * 2
ALLOWED_HOSTS = [HOST]
DATABASES = {"default": json.loads(os.environ["CAPTURE_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ROOT_URLCONF = "benchmarks.capture.urls"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    *_contestant.apps,
]
MIDDLEWARE = [
    *_contestant.first,
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    *_contestant.last,
]
GATEBOOK = {"SPOOL": os.environ["CAPTURE_SPOOL"], "SITE": SITE}
globals().update(_contestant.settings)
