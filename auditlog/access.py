"""Who may see and do what: the only door to a site's rows.

| | staff | administrator | superuser |
|---|---|---|---|
| sees a site's API logs, filters them, saves views | their site | their site and its child sites | all |
| downloads CSV and JSON lines | no | yes | yes |
| keys, members, retention, quarantine (the settings), views for everyone | no | yes | yes |
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.http import Http404, HttpRequest

from auditlog.models import Membership, Role, SavedView, Site
from gatebook.capture import capture_of

Someone = AbstractBaseUser | AnonymousUser


def sites_of(user: Someone) -> QuerySet[Site]:
    """Return the sites whose logs `user` may see, each once; `is_administered` tells those with more than that."""
    sites = Site.objects.select_related("parent")
    if not (user.is_authenticated and user.is_active):
        return sites.none()
    if getattr(user, "is_superuser", False):
        administered = Q(pk__isnull=False)
    else:
        administered = Q(pk__in=_administered(user))
        sites = sites.filter(Q(pk__in=Site.objects.filter(memberships__user=user.pk)) | administered)
    flag = ExpressionWrapper(administered, output_field=BooleanField())
    return sites.annotate(is_administered=flag)  # type: ignore[no-redef]  # the model declares it


def administered_sites_of(user: Someone) -> QuerySet[Site]:
    """Return the sites on which `user` may do what administrators do."""
    sites = sites_of(user)
    if getattr(user, "is_superuser", False):
        return sites
    return sites.filter(pk__in=_administered(user))


def child_sites_of(user: Someone, site: Site) -> QuerySet[Site]:
    """Return the child sites of `site` whose logs `user` may see: for staff of `site` alone there are none."""
    return sites_of(user).filter(parent=site)


def site_or_404(request: HttpRequest, slug: str) -> Site:
    """Return the site, or raise Http404 both where there is none and where the reader has no role on it."""
    site = sites_of(request.user).filter(slug=slug).first()
    if site is None:
        capture_of(request).error_type = "not-found/site-not-found"
        raise Http404(f"There is no site {slug} that you have a role on.")
    return site


def administered_site_or_refuse(request: HttpRequest, slug: str) -> Site:
    """Return the site to its administrators; PermissionDenied for its staff, Http404 for everyone else."""
    site = site_or_404(request, slug)
    if not administers(request.user, site):
        capture_of(request).error_type = "not-authorized/administrator-required"
        raise PermissionDenied(f"Only administrators of {site.name} may do this.")
    return site


def is_from_parent(user: Someone, slug: str) -> bool:
    """Tell whether `user` is a member of the parent of the site with that slug, and not of that site itself."""
    memberships = Membership.objects.filter(Q(site__slug=slug) | Q(site__children__slug=slug), user=user.pk)
    slugs = set(memberships.values_list("site__slug", flat=True))
    return bool(slugs) and slug not in slugs


def administers(user: Someone, site: Site) -> bool:
    """Tell whether `user` may do what administrators of `site` do."""
    return administered_sites_of(user).filter(pk=site.pk).exists()


def administered_site_or_404(request: HttpRequest, slug: str) -> Site:
    """Return the site to its administrators; Http404 for its staff as for everyone else."""
    site = site_or_404(request, slug)
    if not site.is_administered:
        capture_of(request).error_type = "not-authorized/administrator-required"
        raise Http404
    return site


def saved_views_of(user: Someone, site: Site) -> QuerySet[SavedView]:
    """Return the views of a site that `user` sees: their own and everyone's."""
    return SavedView.objects.filter(Q(owner=user.pk) | Q(owner=None), site=site).select_related("site", "made_by")


def may_change_view(user: Someone, view: SavedView, site: Site) -> bool:
    """Tell whether `user`, who sees `view` and `site`, may change it: everyone's are for administrators."""
    return view.owner_id == user.pk if view.owner_id else site.is_administered


def _administered(user: Someone) -> QuerySet[Site]:
    """Sites of which `user` is an administrator, and their child sites."""
    own = Site.objects.filter(memberships__user=user.pk, memberships__role=Role.ADMINISTRATOR)
    return Site.objects.filter(Q(pk__in=own) | Q(parent__in=own))
