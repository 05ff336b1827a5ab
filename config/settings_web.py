"""The web server's settings: the same, with a pool of database connections."""

from config.settings import *  # noqa: F403
from config.settings import DATABASES

# A page that meets a restarting database waits for a connection instead of failing; a command fails at once.
DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 16, "timeout": 20, "max_waiting": 200}
