"""Which of the 19 columns the log page shows."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from auditlog.models import Preference
from auditlog.models.log import COLUMNS
from auditlog.search.errors import QuestionError

DEFAULT_COLUMNS = (
    "created_at",
    "response_code",
    "request_method",
    "request_path",
    "username",
    "interface",
    "request_ip",
    "duration_ms",
    "error_type",
)


def chosen(query: QueryDict) -> list[str]:
    """Return the columns that an address names, none if it is silent. Raises QuestionError on an unknown one."""
    names = [name for value in query.getlist("columns") for name in value.split(",") if name]
    for name in names:
        if name not in COLUMNS:
            raise QuestionError({"columns": f"{name} is not a column, expected some of {', '.join(COLUMNS)}."})
    return list(dict.fromkeys(names))


def of_reader(request: HttpRequest) -> list[str]:
    """Return the columns for this page: the address', else the reader's own, else the default."""
    if columns := chosen(request.GET):
        return columns
    kept = Preference.objects.filter(user=request.user.pk).values_list("columns", flat=True).first()
    return [name for name in kept or [] if name in COLUMNS] or list(DEFAULT_COLUMNS)


@require_POST
@login_required
def keep_columns(request: HttpRequest) -> HttpResponse:
    """Keep the chosen columns for this reader, none for the default, and go back to `next`."""
    try:
        names = chosen(request.POST)
    except QuestionError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    Preference.objects.update_or_create(user_id=int(request.user.pk or 0), defaults={"columns": names})
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = "/"
    return redirect(back)
