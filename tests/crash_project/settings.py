"""The Gatebook server's settings, with the views of this project and what the matrix varies."""

import os

from config.settings_web import *  # noqa: F403
from config.settings_web import GATEBOOK, STATIC_ROOT

ROOT_URLCONF = "tests.crash_project.urls"
GATEBOOK |= {
    "SITE": os.environ["CRASH_SITE"],
    "USER": "gatebook.identity.user",
    "IMPERSONATOR": "gatebook.identity.impersonator",
    "ON_SPOOL_FAILURE": os.environ["CRASH_ON_SPOOL_FAILURE"],
}
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise wants it
