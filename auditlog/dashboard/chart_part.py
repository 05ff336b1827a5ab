"""The chart alone: for a log page that did not wait for it, or that has been followed for a while."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import lens, logs
from auditlog.dashboard.address import note_refusal
from auditlog.search.errors import QuestionError
from auditlog.search.snapshot import one_snapshot
from gatebook.capture import capture_of

BUDGET_MS = 5_000
"""Nobody waits for it: the rows are on the screen."""


@require_safe
@login_required
def chart_part(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Draw the chart of the question that the address asks; who asks for it as a page gets the log page."""
    site = access.site_or_404(request, site_slug)
    if not request.htmx or request.htmx.boosted:  # type: ignore[attr-defined]
        query = request.GET.urlencode()
        return HttpResponseRedirect(f"{reverse('logs', args=[site.slug])}{query and f'?{query}'}")
    try:
        question = lens.question_of(request, site)
    except QuestionError as error:
        note_refusal(request, error)
        return render(request, "logs.html", logs.refused(request, site, error), status=400)
    capture_of(request).ignore = True  # the page it is a part of is in the book
    with one_snapshot():
        volume = logs.volume_of(question, BUDGET_MS)
    if volume is None:
        return render(request, "_chart_missing.html", {"last": request.GET.get("last") or ""})
    return render(request, "_chart.html", {"chart": logs.drawn(question, volume)})
