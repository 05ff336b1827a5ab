"""Making the demo's sites and people, and writing its entries up to now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from django.contrib.auth import get_user_model
from django.db.models import Q

from auditlog.demo.cast import MEMBERS, SITES
from auditlog.demo.drawn import midnight
from auditlog.demo.generate import generate, of_day
from auditlog.models import ApiRequestLog, Membership, Site
from auditlog.store import partitions
from auditlog.store.writer import write
from gatebook.entry import Entry

DAYS = 180
BATCH = 5_000
OLD_SHARE = 0.14
"""The part of long-ago requests that is loaded; never less, so that an earlier load always holds it."""


def share_of(age: timedelta) -> float:
    """Return the part of everyday requests to load: all of the last day, then falling with age, as if Acme grew."""
    beyond_a_day = max(age - timedelta(days=1), timedelta())
    return OLD_SHARE + (1 - OLD_SHARE) / (1 + beyond_a_day / timedelta(days=2))


def make_sites() -> dict[str, Site]:
    """Return the demo's sites, made where they are missing, the parent first."""
    sites: dict[str, Site] = {}
    parent: Site | None = None
    for each in SITES:
        sites[each.slug], _ = Site.objects.get_or_create(slug=each.slug, defaults={"name": each.name, "parent": parent})
        parent = parent or sites[each.slug]
    return sites


def make_people(sites: dict[str, Site]) -> None:
    """Make the demo's readers with their roles. They have no password: a superuser acts as them."""
    users = get_user_model()
    for username, slug, role in MEMBERS:
        user = users.objects.filter(username=username).first() or users.objects.create_user(username)
        Membership.objects.get_or_create(site=sites[slug], user=user, defaults={"role": role})


def fill(sites: dict[str, Site], now: datetime) -> tuple[int, datetime]:
    """Write what is missing up to `now`; return how many entries that were, and since when they were missing."""
    start = _loaded_until(sites, now)
    partitions.ensure_days(
        start.date() + timedelta(days=ahead) for ahead in range((now.date() - start.date()).days + 1)
    )
    return store(sites, generate(start, now, lambda at: share_of(now - at))), start


def store(sites: dict[str, Site], entries: Iterable[tuple[str, Entry]]) -> int:
    """Write entries in the order given, site by site in each batch; return how many were not there before."""
    stored = held = 0
    batches: dict[str, list[Entry]] = {slug: [] for slug in sites}
    for slug, entry in entries:
        batches[slug].append(entry)
        held += 1
        if held >= BATCH:
            stored += _write(sites, batches)
            held = 0
    return stored + _write(sites, batches)


def _write(sites: dict[str, Site], batches: dict[str, list[Entry]]) -> int:
    stored = 0
    for slug, batch in batches.items():
        if batch:
            stored += write(sites[slug], batch).stored
            batch.clear()
    return stored


def _loaded_until(sites: dict[str, Site], now: datetime) -> datetime:
    """Return the start of the newest day in the book. Entries are written in order: nothing before it is missing."""
    earliest = now - timedelta(days=DAYS) + timedelta(minutes=1)
    ours = [site.pk for site in sites.values()]
    if not ApiRequestLog.objects.filter(site_id__in=ours, created_at__gte=earliest, created_at__lt=now).exists():
        return earliest
    for back in range(DAYS + 1):
        day = (now - timedelta(days=back)).date()
        if _is_loaded(day, sites, now):
            return max(midnight(day), earliest)
    return earliest


def _is_loaded(day: date, sites: dict[str, Site], now: datetime) -> bool:
    """Whether the day's last entry of each site that is loaded at any age is there."""
    last = {item.site: item for item in of_day(day) if item.rank < OLD_SHARE and item.at < now}
    keys = Q()
    for slug, item in last.items():
        keys |= Q(created_at=item.at, site_id=sites[slug].pk, request_id=item.make().request_id)
    return bool(last) and ApiRequestLog.objects.filter(keys).count() == len(last)
