"""The Request-ID of the request being served, for the host project's own logs."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

served: ContextVar[Any] = ContextVar("gatebook.served", default=None)
"""The Capture of the request being served here. Threads and tasks have one each; the middleware sets it."""

NONE = "-"


def request_id() -> str | None:
    """Return the Request-ID of the request that this code serves, or None where it serves none."""
    capture = served.get()
    return None if capture is None else str(capture.request_id)


class RequestIdFilter(logging.Filter):
    """Gives each log record a `request_id`, so that a format can say %(request_id)s; "-" outside of requests.

    Put it on handlers: a logger's filters do not see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        # Django itself logs a failed request when our middleware is done, and names it.
        capture = served.get() or getattr(getattr(record, "request", None), "gatebook", None)
        record.request_id = str(getattr(capture, "request_id", NONE))
        return True
