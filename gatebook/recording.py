"""Recording: one entry goes into this process's spool, and its shipper hears of it."""

from __future__ import annotations

import logging

from gatebook import shipper, spool
from gatebook.conf import conf
from gatebook.entry import Entry

logger = logging.getLogger("gatebook")


def record(entry: Entry, site: str | None = None) -> bool:
    """Keep an entry for the site with that slug (None: the root site), without its secrets.

    Never raises: returns False, logged and counted, where the spool could not be written.
    """
    here = spool.current()
    try:
        here.append(site, conf().redactor.entry(entry))
    except spool.SpoolError as error:
        here.miss(error)
        return False
    if courier := shipper.current():
        courier.notice()
    return True


def begin(entry: Entry, site: str | None = None) -> bool:
    """Note a request whose answer is about to be streamed; recording the same Request-ID ends it.

    Should the process end first, whoever adopts its segments ships the note, as cut off. Never raises: returns False,
    logged, where the spool could not be written.
    """
    try:
        spool.current().begin(site, conf().redactor.entry(entry))
    except spool.SpoolError as error:
        logger.error("The beginning of a stream was not noted: %s", error)
        return False
    return True
