"""The addresses of the REST door: `GET /api/rest/v1/api_request_logs` lists, `POST` on it is the ingest door."""

from __future__ import annotations

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from auditlog import api_keys
from auditlog.api.asked import asked, cursors, per_page, with_children
from auditlog.api.openapi import description
from auditlog.api.record import record
from auditlog.api.turns import turn
from auditlog.dashboard.allowance import in_time
from auditlog.intake.http import ingest
from auditlog.models import ApiKey, Scope, Site
from auditlog.refusals import Refused
from auditlog.search import pages
from auditlog.search.snapshot import one_snapshot
from gatebook.capture import capture_of

BUDGET_MS = 10_000


@csrf_exempt
def api_request_logs(request: HttpRequest) -> HttpResponse:
    """List entries, or take them in."""
    view = _VIEWS.get(request.method or "")
    if view is None:
        sentence = f"{request.method} is not served here, expected {', '.join(_VIEWS)}."
        return Refused(405, "bad-request/method-not-allowed", sentence, {"Allow": ", ".join(_VIEWS)}).answer(request)
    capture_of(request).api_name = view.__name__
    return view(request)


def list_entries(request: HttpRequest) -> HttpResponse:
    """Answer with a page of entries of the sites that the key may read, as a bare array of records."""
    try:
        key = api_keys.key_or_refuse(request, Scope.READ)
        with turn(key):
            sites = _sites(request, key)
            question, size = asked(request.GET, sites), per_page(request.GET)
            with one_snapshot():
                page = in_time(BUDGET_MS, lambda: pages.fetch(question, size))
        if page is None:
            sentence = "This takes too long to find; narrow the time with filter_gteq[created_at] or the filters."
            raise Refused(422, "processing-failure/exceeded-runtime-limit", sentence)
    except Refused as refused:
        return refused.answer(request)
    records = [record(row) for row in page.rows]
    if with_children(request.GET):
        for row, each in zip(page.rows, records, strict=True):
            each["site"] = question.site(row.site_id).slug
    headers = {"Cache-Control": "no-store", **cursors(page)}
    return HttpResponse(msgspec.json.encode(records), content_type="application/json", headers=headers)


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """Answer with the description of this door in OpenAPI, to anybody."""
    return HttpResponse(_DESCRIPTION, content_type="application/json")


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """Say of an address below `/api/` that nothing is there, as clients read it."""
    return Refused(404, "not-found", f"There is nothing at {request.path}.").answer(request)


def _sites(request: HttpRequest, key: ApiKey) -> list[Site]:
    """Return the sites that are asked. Raises Refused where the key does not reach them."""
    workspace = request.headers.get("X-Files-Workspace-Id", "0")
    if workspace not in ("", "0"):
        sentence = f"X-Files-Workspace-Id is {workspace[:100]!r}; Gatebook has no workspaces, leave it out."
        raise Refused(422, "bad-request/invalid-workspace-id-header", sentence)
    if not with_children(request.GET):
        return [key.site]
    if key.site.parent_id is not None:
        sentence = f"with_children: {key.site.slug} is itself a child site; ask with a key of its parent site."
        raise Refused(403, "not-authorized/insufficient-permission-for-params", sentence)
    return list(api_keys.sites_of_key(key).values())


_DESCRIPTION = msgspec.json.encode(description())
_VIEWS = {"GET": list_entries, "HEAD": list_entries, "POST": ingest}
