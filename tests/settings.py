"""The server's settings as the tests see them: a temporary GATEBOOK_VAR and a PostgreSQL server below it.

The environment is set here and not in a fixture, so that programs the tests start see the same.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from config.postgres import database_url

_worker = f"-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"  # those who test side by side have a server each
if not os.environ.get("GATEBOOK_TEST_VAR", "").endswith(_worker):
    _directory = tempfile.mkdtemp(prefix="gatebook-test-", suffix=_worker, dir="/tmp")  # short: it holds a socket
    atexit.register(shutil.rmtree, _directory, ignore_errors=True)
    os.environ |= {
        "GATEBOOK_TEST_VAR": _directory,
        "GATEBOOK_VAR": _directory,
        "DATABASE_URL": database_url(Path(_directory)),
        "SECRET_KEY": "for tests " * 5,
        "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
        "HTTPS": "False",
    }
    for _name in ("DEBUG", "FILESCOM_HOSTS", "PARTITIONS", "PORT", "REDIS_URL", "ROOT_SITE", "TRUSTED_PROXIES"):
        os.environ.pop(_name, None)

from config.settings import *  # noqa: E402, F403
from config.settings import GATEBOOK, STATIC_ROOT, STORAGES  # noqa: E402

STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise wants it
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
GATEBOOK["SINK"] = "tests.sinks.NoSink"  # tests of the capture ask for the store
