"""The Views menu of the log page, and the page on which views are looked after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from auditlog import access, saved_views
from auditlog.dashboard import columns, lens
from auditlog.dashboard.address import cleaned
from auditlog.dashboard.settings.refusal import note_faults, note_refusal
from auditlog.dashboard.text import visible
from auditlog.models import SavedView, Site
from auditlog.models.log import COLUMNS
from auditlog.models.views import NAME_LENGTH, QUERY_LENGTH
from auditlog.saved_views import BUILT_IN, EVERYTHING, NotSaved, View
from auditlog.search.errors import QuestionError
from auditlog.search.language import in_words
from auditlog.search.question import OF_ONE_PAGE, Order, Question
from gatebook.capture import capture_of

ME, EVERYONE = "me", "everyone"
NO_CHOICE = ""
"""Of a default view: without it the site's counts, or nothing."""


@dataclass(frozen=True)
class Menu:
    """The Views menu of a log page."""

    groups: list[tuple[str, list[View]]]
    current: View | None
    """The view that the address names, or else asks."""
    is_changed: bool
    is_gone: bool
    """The address names a view that this reader does not have."""
    may_change: bool
    opening: View | None
    carried: str
    """The view that the page's forms carry along; with a default view never none, or an empty form would lead to it."""
    query: str | None
    """What saving would keep; None where the question makes no sense."""


def menu(request: HttpRequest, site: Site, question: Question | None = None, shown: list[str] | None = None) -> Menu:
    """Return the menu for a question whose page shows the columns `shown`, or for one that cannot be asked."""
    saved = saved_views.views_of(request.user, site)
    views = [*saved, *BUILT_IN.values()]
    named = request.GET.get("view", "")
    asked = [view for view in views if view.is_asked_by(request.GET)]
    current = next((view for view in views if view.key == named), None)
    if current in (None, EVERYTHING):  # what differs from everything is no change of it
        current = next(iter(asked), None)
    opening = saved_views.defaults(request.user, site).opening
    return Menu(
        groups=[
            ("Yours", [view for view in saved if view.is_private]),
            (f"Of {site.name}", [view for view in saved if not view.is_private]),
            ("Always there", list(BUILT_IN.values())),
        ],
        current=current,
        is_changed=current is not None and current not in asked,
        is_gone=bool(named) and named not in {view.key for view in views},
        may_change=bool(current and current.saved and access.may_change_view(request.user, current.saved, site)),
        opening=opening,
        carried=current.key if current and current.key == named else EVERYTHING.key if opening else "",
        query=question.query({"columns": ",".join(shown or []), "view": None}) if question else None,
    )


def default_address(request: HttpRequest, site: Site) -> str | None:
    """Return where an address that asks nothing leads: the reader's default view; None where there is none.

    A view that others chose for them is passed over where they cannot ask it.
    """
    if request.GET:
        return None
    defaults = saved_views.defaults(request.user, site)
    if defaults.own is None and defaults.of_site:
        try:
            _question(request, site, defaults.of_site)
        except QuestionError:
            return None
    return _address(site, defaults.opening) if defaults.opening else None


class NameForm(forms.Form):
    """The name of a view."""

    name = forms.CharField(
        max_length=NAME_LENGTH,
        error_messages={"required": "Give the view a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class QueryForm(forms.Form):
    """The question of a view, as the query string of its address."""

    query = forms.CharField(widget=forms.HiddenInput, error_messages={"required": "Names no question."})

    def __init__(self, request: HttpRequest, site: Site) -> None:
        self.request = request
        self.site = site
        super().__init__(request.POST)

    def clean_query(self) -> str:
        """Return the question as the log page would write it; what belongs to one page of the answer is left out."""
        query = QueryDict(self.cleaned_data["query"], mutable=True)
        for key in (*OF_ONE_PAGE, "view"):
            query.pop(key, None)
        try:
            query = cleaned(query)
            columns.chosen(query)
            text = lens.question_of(self.request, self.site, query).query()
        except QuestionError as error:
            raise forms.ValidationError(visible(str(error))) from None
        if len(text) > QUERY_LENGTH:
            raise forms.ValidationError(f"Is {len(text):,} characters long, expected at most {QUERY_LENGTH:,}.")
        return text


class ViewForm(NameForm, QueryForm):
    """A new view."""

    opens = forms.BooleanField(label="Open API Logs with it, for me", required=False)

    def __init__(self, request: HttpRequest, site: Site) -> None:
        super().__init__(request, site)
        choices = [(ME, "only me"), (EVERYONE, f"everyone on {site.name}")]
        self.fields["reach"] = forms.ChoiceField(
            label="For",
            choices=choices if site.is_administered else choices[:1],
            widget=forms.RadioSelect,
            error_messages={"invalid_choice": "Only administrators save views for everyone on the site."},
        )


@require_safe
@login_required
def views_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """List the reader's views of a site, to rename and delete them and to choose what the log page opens with."""
    return _page(request, access.site_or_404(request, site_slug))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def save_view(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Save what a log page asks under a name, and open it."""
    site = access.site_or_404(request, site_slug)
    if request.method != "POST":
        return redirect("views", site.slug)
    form = ViewForm(request, site)
    if form.is_valid():
        asked = form.cleaned_data
        for_everyone = asked["reach"] == EVERYONE
        try:
            view = saved_views.save(request.user, site, asked["name"], asked["query"], for_everyone=for_everyone)
        except NotSaved as reason:
            form.add_error("name", visible(str(reason)))
        else:
            _note(request, view)
            if asked["opens"]:
                saved_views.set_default(site, request.user.pk, view)
            messages.success(request, f"The view {visible(view.name)} is saved.")
            return HttpResponseRedirect(_address(site, view))
    note_faults(request, form)
    return _page(request, site, form, status=400)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def change_view(request: HttpRequest, site_slug: str, view_id: int) -> HttpResponse:
    """Let a view ask from now on what the log page asks."""
    site, view = _to_change(request, site_slug, view_id)
    if request.method != "POST":
        return redirect("views", site.slug)
    form = QueryForm(request, site)
    if not form.is_valid():
        return _refused(request, site, form)
    view.query = form.cleaned_data["query"]
    view.save()
    _note(request, saved_views.as_view(view))
    messages.success(request, f"The view {visible(view.name)} asks this from now on.")
    return HttpResponseRedirect(_address(site, saved_views.as_view(view)))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def rename_view(request: HttpRequest, site_slug: str, view_id: int) -> HttpResponse:
    """Give a view another name."""
    site, view = _to_change(request, site_slug, view_id)
    if request.method != "POST":
        return redirect("views", site.slug)
    form, old = NameForm(request.POST), view.name
    if form.is_valid():
        try:
            saved_views.rename(view, form.cleaned_data["name"])
        except NotSaved as reason:
            form.add_error("name", visible(str(reason)))
    if form.errors:
        return _refused(request, site, form)
    _note(request, saved_views.as_view(view))
    messages.success(request, f"{visible(old)} is called {visible(view.name)} from now on.")
    return redirect("views", site.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def delete_view(request: HttpRequest, site_slug: str, view_id: int) -> HttpResponse:
    """Ask whether to delete a view; delete it."""
    site, view = _to_change(request, site_slug, view_id)
    if request.method != "POST":
        context = {"site": site, "view": view, "asks": visible(in_words(QueryDict(view.query)))}
        return render(request, "delete_view.html", context)
    _note(request, saved_views.as_view(view))
    view.delete()
    messages.success(request, f"The view {visible(view.name)} is deleted.")
    return redirect("views", site.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def choose_default(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Choose what the log page opens with, for the reader or for the site."""
    is_for_site = request.POST.get("reach") == EVERYONE
    door = access.administered_site_or_refuse if is_for_site else access.site_or_404
    site = door(request, site_slug)
    if request.method != "POST":
        return redirect("views", site.slug)
    key = request.POST.get("view", NO_CHOICE)
    view = next((view for view in _openable(request, site, is_for_site=is_for_site) if view.key == key), None)
    if view is None and key != NO_CHOICE:
        sentence = "The view to open with is none of those that can be chosen."
        note_refusal(request, sentence)
        return _page(request, site, refusal=sentence, status=400)
    saved_views.set_default(site, None if is_for_site else request.user.pk, view)
    if view:
        _note(request, view)
    whose = f"Who has made no choice of their own opens API Logs of {site.name}" if is_for_site else "You open API Logs"
    said = (
        f"with {visible(view.name)}" if view else "without a view of their own" if is_for_site else "as the site does"
    )
    messages.success(request, f"{whose} {said} from now on.")
    return redirect("views", site.slug)


def _openable(request: HttpRequest, site: Site, *, is_for_site: bool) -> list[View]:
    saved = [view for view in saved_views.views_of(request.user, site) if not (is_for_site and view.is_private)]
    return [*saved, *BUILT_IN.values()]


def _to_change(request: HttpRequest, site_slug: str, view_id: int) -> tuple[Site, SavedView]:
    """Return a site and a view of it that the reader may change. Raises Http404, or PermissionDenied to its readers."""
    site = access.site_or_404(request, site_slug)
    view = access.saved_views_of(request.user, site).filter(pk=view_id).first()
    if view is None:
        capture_of(request).error_type = "not-found/view-not-found"
        raise Http404(f"{site.name} has no such view.")
    if not access.may_change_view(request.user, view, site):
        capture_of(request).error_type = "not-authorized/administrator-required"
        raise PermissionDenied(f"Only administrators of {site.name} change views that everyone sees.")
    return site, view


def _question(request: HttpRequest, site: Site, view: View) -> Question:
    """Return what a view asks. Raises QuestionError where this reader cannot ask it, or nobody can any more."""
    query = QueryDict(view.query)
    columns.chosen(query)
    return lens.question_of(request, site, query)


def _address(site: Site, view: View) -> str:
    return f"{reverse('logs', args=[site.slug])}?{view.address}"


def _note(request: HttpRequest, view: View) -> None:
    """Let the entry of this change name the view and what it asks."""
    capture_of(request).details |= {"view": view.name, "question": in_words(QueryDict(view.query))}


def _refused(request: HttpRequest, site: Site, form: forms.Form) -> HttpResponse:
    note_faults(request, form)
    sentences = [f"{form[name].label}: {sentence}" for name, found in form.errors.items() for sentence in found]
    return _page(request, site, refusal=" ".join(sentences), status=400)


@dataclass(frozen=True)
class Row:
    """A view as its page lists it."""

    view: View
    asks: str
    may_change: bool
    scope: str
    """The sites, where these are more than this one, or others."""
    sorted_by: str = ""
    """The heading, where it is not the Date."""
    fault: str = ""
    """Why this reader cannot ask it, or nobody can any more."""


def _row(request: HttpRequest, site: Site, view: View) -> Row:
    query = QueryDict(view.query)
    may_change = view.saved is not None and access.may_change_view(request.user, view.saved, site)
    scope = query.get("scope", "site")
    row = Row(view, visible(in_words(query)), may_change, "" if scope == "site" else lens.SCOPES.get(scope, ""))
    try:
        order = _question(request, site, view).order
    except QuestionError as error:
        return replace(row, asks=visible(unquote_plus(view.query)), fault=visible(str(error)))
    return replace(row, sorted_by="" if order == Order() else COLUMNS[order.column])


def _page(
    request: HttpRequest, site: Site, form: ViewForm | None = None, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    openable = _openable(request, site, is_for_site=False)
    context = {
        "site": site,
        "form": form,
        "asks": visible(in_words(QueryDict(form.data.get("query", "")))) if form else "",
        "refusal": refusal,
        "rows": [_row(request, site, view) for view in openable],
        "openable": openable,
        "openable_for_site": [view for view in openable if not view.is_private],
        "defaults": saved_views.defaults(request.user, site),
    }
    return render(request, "views.html", context, status=status)
