"""One entry by its address."""

from __future__ import annotations

from datetime import UTC, datetime

from auditlog.models import ApiRequestLog, Site
from auditlog.search.errors import QuestionError
from auditlog.search.question import site_retention
from auditlog.search.request_ids import sent_as
from auditlog.store.writer import TOLERATED_AHEAD


def find(site: Site, request_id: str, at: str = "") -> ApiRequestLog | None:
    """Return the entry of `site` with this Request-ID begun `at` this time; without a time, the newest with that id.

    None where there is none, or it is past the site's retention. Raises QuestionError on a missing or malformed value.
    """
    if not request_id:
        raise QuestionError({"request": "is missing, expected a Request-ID."})
    now = datetime.now(UTC)
    rows = ApiRequestLog.objects.filter(
        sent_as(request_id),
        site_id=site.pk,
        created_at__gte=now - site_retention(site),
        created_at__lte=now + TOLERATED_AHEAD,
    )
    if at:
        try:
            moment = datetime.fromisoformat(at)
            if moment.tzinfo is None:
                raise ValueError
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            expected = "expected one such as 2026-11-23T14:30:00.123456Z."
            raise QuestionError({"at": f"{at} is not a time in UTC, {expected}"}) from None
        rows = rows.filter(created_at=moment)
    return rows.order_by("-created_at").first()
