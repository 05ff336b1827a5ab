"""Recording: one entry goes into this process's spool, and its shipper hears of it."""

from __future__ import annotations

from gatebook import shipper, spool
from gatebook.conf import conf
from gatebook.entry import Entry


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
