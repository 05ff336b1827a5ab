"""Request-IDs: what was sent, and what entries hold instead."""

from __future__ import annotations

from django.db.models import Q

from gatebook.conf import conf
from gatebook.entry import stored_request_id


def sent_as(request_id: str) -> Q:
    """Entries that were sent with this Request-ID, however long, and though a secret in it is hidden, or hold it."""
    stored = stored_request_id(request_id)
    # What entered under other settings may hold it whole.
    return Q(request_id__in=sorted({stored, conf().redactor.request_id(stored)}))
