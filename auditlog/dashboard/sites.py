"""The sites one may see, and the way to each log."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from auditlog import access


@require_safe
@login_required
def sites_page(request: HttpRequest) -> HttpResponse:
    """List the reader's sites, child sites under their parent."""
    sites = list(access.sites_of(request.user))
    listed = {site.pk for site in sites}
    families = [
        (site, [child for child in sites if child.parent_id == site.pk])
        for site in sites
        if site.parent_id not in listed
    ]
    return render(request, "sites.html", {"families": families})


@require_safe
@login_required
def site_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Lead from a site's address to its log."""
    site = access.site_or_404(request, site_slug)
    return redirect("logs", site_slug=site.slug)
