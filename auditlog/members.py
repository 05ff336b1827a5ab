"""Giving, changing and taking away roles on a site; who asks is an administrator of it."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from auditlog.access import Someone
from auditlog.models import Membership, Role, Site


class NotPossible(Exception):
    """A change that is not made, with the sentence that says why."""


def members_of(site: Site) -> QuerySet[Membership]:
    """Return the members of a site with their accounts, administrators first."""
    return Membership.objects.filter(site=site).select_related("user").order_by("role", "user__username", "pk")


def administrators_from_parent(site: Site) -> list[str]:
    """Return the names of those who administer a child site because they administer its parent."""
    return [member.user.get_username() for member in _administrators(site.parent)] if site.parent else []


def may_change(by: Someone, member: Membership) -> bool:
    """Tell whether `by`, an administrator of the site, may touch that role: superusers' are for superusers."""
    return _is_superuser(by) or not _is_superuser(member.user)


def add(by: Someone, site: Site, username: str, role: str) -> Membership:
    """Give an existing account a role. Raises NotPossible."""
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise NotPossible(f"There is no account “{username}”. Superusers make accounts, at /admin/.")
    if _is_superuser(user) and not _is_superuser(by):
        raise NotPossible(f"{username} is a superuser, who sees every site already.")
    member, is_new = Membership.objects.get_or_create(site=site, user=user, defaults={"role": role})
    if not is_new:
        raise NotPossible(f"{username} is a member already; the role can be changed above.")
    return member


def change_role(by: Someone, member: Membership, role: str) -> None:
    """Give a member another role. Raises NotPossible."""
    with transaction.atomic():
        _refuse(by, member, keeps=role == Role.ADMINISTRATOR)
        Membership.objects.filter(pk=member.pk).update(role=role)


def remove(by: Someone, member: Membership) -> None:
    """Take a member's role away. Raises NotPossible."""
    with transaction.atomic():
        _refuse(by, member, keeps=False)
        Membership.objects.filter(pk=member.pk).delete()


def _refuse(by: Someone, member: Membership, *, keeps: bool) -> None:
    """Raise NotPossible where `by` may not, or nobody would be left who administers the site."""
    # One at a time for each site, or the last two administrators could remove each other.
    Site.objects.select_for_update(no_key=True).get(pk=member.site_id)
    if not may_change(by, member):
        raise NotPossible(f"{member.user.get_username()} is a superuser: only superusers change that.")
    if keeps or _is_superuser(by):
        return
    site = member.site
    others = _administrators(site).exclude(pk=member.pk)
    if not others.exists() and not (site.parent and _administrators(site.parent).exists()):
        raise NotPossible(
            f"{member.user.get_username()} is the last administrator of {site.name}: nobody would be left to look "
            "after it. Make another member administrator first, or ask a superuser."
        )


def _administrators(site: Site) -> QuerySet[Membership]:
    """Return those who can administer a site because of a role on itself."""
    return members_of(site).filter(role=Role.ADMINISTRATOR, user__is_active=True)


def _is_superuser(user: Someone | AbstractBaseUser) -> bool:
    return bool(getattr(user, "is_superuser", False))
