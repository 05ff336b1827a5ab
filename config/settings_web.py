"""The web server's settings: the same, with a pool of database connections."""

from psycopg_pool.base import AttemptWithBackoff

from config.settings import *  # noqa: F403
from config.settings import DATABASES

# A page that meets a restarting database waits for a connection instead of failing; a command fails at once. Few may
# wait, so that threads are left to say that this process is alive.
DATABASES["default"]["OPTIONS"]["pool"] = {
    "min_size": 1,
    "max_size": 16,
    "timeout": 25,
    "max_waiting": 44,
    "reconnect_timeout": 365 * 86400.0,  # never give up
}
# The pool has no setting for this: look for the database every second, however long it has been away.
AttemptWithBackoff.DELAY_BACKOFF = 1.0
