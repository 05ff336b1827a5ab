"""The server's settings as the benchmark sees them; `__main__` has prepared the environment."""

from config.settings import *  # noqa: F403
from config.settings import GATEBOOK, LOGGING, STATIC_ROOT, STORAGES

STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise wants it
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
GATEBOOK["SINK"] = "benchmarks.settings.NoSink"
LOGGING |= {"root": {"handlers": ["console"], "level": "ERROR"}}


class NoSink:
    """Take the benchmark's own page views and keep none: they are no part of the month."""

    def write(self, site: str | None, entries: object) -> list[object]:
        """Accept everything."""
        return []
