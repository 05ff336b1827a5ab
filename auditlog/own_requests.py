"""How Gatebook records itself: the site a request was about, and who made it."""

from __future__ import annotations

from django.http import HttpRequest

from auditlog import access
from auditlog.models.log import OWN_ACCOUNT
from gatebook import identity
from gatebook.identity import Person


def site_slug(request: HttpRequest) -> str | None:
    """Return the slug of the site shown or attempted, also when access was refused; None is the root site."""
    match = request.resolver_match
    slug = match.kwargs.get("site_slug") if match else None
    return str(slug) if slug else None


def user(request: HttpRequest) -> Person | None:
    """Return the signed-in Gatebook account."""
    return _own(identity.user(request))


def user_is_from_parent_site(request: HttpRequest) -> bool:
    """Tell whether the account belongs to the parent of the site shown or attempted, and not to that site itself."""
    slug = site_slug(request)
    return slug is not None and access.is_from_parent(request.user, slug)


def impersonator(request: HttpRequest) -> Person | None:
    """Return the Gatebook account that acts as the signed-in one."""
    return _own(identity.impersonator(request))


def _own(person: Person | None) -> Person | None:
    return person._replace(id=f"{OWN_ACCOUNT}{person.id}") if person else None
