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
def arrange_columns(request: HttpRequest) -> HttpResponse:
    """Go back to `next` with the columns chosen; `act` says whether to `show` them once, `keep` or `reset` them."""
    try:
        names = in_places(request.POST)
    except QuestionError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    act, back = request.POST.get("act", "keep"), request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = "/"
    if act == "show":
        return redirect(f"{back}{'&' if '?' in back else '?'}columns={','.join(names)}" if names else back)
    kept = [] if act == "reset" else names
    Preference.objects.update_or_create(user_id=int(request.user.pk or 0), defaults={"columns": kept})
    return redirect(back)


def in_places(form: QueryDict) -> list[str]:
    """Return the columns ticked, in the order of the places they were given. Raises QuestionError on what is neither.

    A column given the place of another pushes it on: where it moves up it comes before that one, else after it.
    """
    names = chosen(form)
    listed = [key.removeprefix("place-") for key in form if key.startswith("place-")]
    places = {}
    for place, name in enumerate(listed, start=1):
        given = str(form[f"place-{name}"] or place)
        if not given.isdecimal() or len(given) > 3:
            raise QuestionError({"place": f"{given[:40]} is no place for {name}, expected a number such as {place}."})
        places[name] = int(given) + (int(given) > place) * 0.5 - (int(given) < place) * 0.5
    return sorted(names, key=lambda name: places.get(name, len(COLUMNS)))
