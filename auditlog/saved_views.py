"""Views of a site's log: those in the code, those that were saved, and which of them the log page opens with."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import QueryDict

from auditlog import access
from auditlog.access import Someone
from auditlog.models import DefaultView, SavedView, Site
from auditlog.search.question import OF_ONE_PAGE
from auditlog.search.timerange import DEFAULT_LAST

MOST_VIEWS = 50
"""Views that a reader, and a site for everyone, may have: the menu lists them all."""


class NotSaved(Exception):
    """A view that is not saved, with the sentence that says why."""


@dataclass(frozen=True)
class View:
    """A question under a name; `key` is what addresses call it, `saved` is None where it is in the code."""

    key: str
    name: str
    query: str
    saved: SavedView | None = None

    @property
    def address(self) -> str:
        """The whole query string of its log page."""
        return f"{self.query}&view={self.key}"

    @property
    def is_private(self) -> bool:
        """Whether its owner alone sees it."""
        return self.saved is not None and self.saved.owner_id is not None

    def is_asked_by(self, query: QueryDict) -> bool:
        """Tell whether an address asks the same, shown the same way."""
        return _essence(QueryDict(self.query)) == _essence(query)


EVERYTHING = View("everything", "All API requests", f"last={DEFAULT_LAST}")
BUILT_IN = {
    view.key: view
    for view in (
        EVERYTHING,
        View(
            "failures",
            "Failures by interface",
            "status=failure&last=24h&columns=created_at,interface,response_code,request_method,request_path,username,"
            "error_type,error_message",
        ),
        View(
            "impersonated",
            "Impersonated",
            "is=impersonated&last=7d&columns=created_at,username,impersonator_username,user_is_from_parent_site,"
            "interface,request_method,request_path,response_code,request_ip",
        ),
        View("slowest", "Slowest", "last=24h&sort=-duration_ms"),
        View(
            "keys",
            "By API key",
            "key=*&last=24h&columns=created_at,api_key_prefix,api_key_id,api_name,request_method,request_path,"
            "response_code,request_ip",
        ),
    )
}
"""Views that every site has from the start."""


def views_of(user: Someone, site: Site) -> list[View]:
    """Return the saved views that `user` has on a site: their own, then everyone's."""
    views = [as_view(saved) for saved in access.saved_views_of(user, site)]
    return sorted(views, key=lambda view: not view.is_private)


def as_view(saved: SavedView) -> View:
    """Return a saved view as menus have it."""
    return View(str(saved.pk), saved.name, saved.query, saved)


@dataclass(frozen=True)
class Defaults:
    """What the log page opens with: the reader's own choice and the site's, None where there is none."""

    own: View | None
    of_site: View | None

    @property
    def opening(self) -> View | None:
        """The one that counts."""
        return self.own or self.of_site


def defaults(user: Someone, site: Site) -> Defaults:
    """Return the default views of a reader on a site."""
    rows = DefaultView.objects.filter(Q(user=None) | Q(user=user.pk), site=site).select_related("view")
    found = {row.user_id: as_view(row.view) if row.view else BUILT_IN.get(row.built_in) for row in rows}
    return Defaults(found.get(user.pk), found.get(None))


def set_default(site: Site, user_id: int | None, view: View | None) -> None:
    """Let the log page open with `view` for a reader, or with None as user for the site; None takes the choice back."""
    if view is None:
        DefaultView.objects.filter(site=site, user=user_id).delete()
        return
    chosen = {"view": view.saved, "built_in": "" if view.saved else view.key}
    DefaultView.objects.update_or_create(site=site, user_id=user_id, defaults=chosen)  # type: ignore[misc]  # it takes None


def save(user: Someone, site: Site, name: str, query: str, *, for_everyone: bool) -> View:
    """Save a new view. Raises NotSaved."""
    owner_id = None if for_everyone else user.pk
    whose = f"{site.name} has" if for_everyone else "You have"
    if SavedView.objects.filter(site=site, owner=owner_id).count() >= MOST_VIEWS:
        raise NotSaved(f"{whose} {MOST_VIEWS} views already; delete one first.")
    saved = SavedView(site=site, owner_id=owner_id, made_by_id=user.pk, name=name, query=query)
    _store(saved)
    return as_view(saved)


def rename(saved: SavedView, name: str) -> None:
    """Give a view another name. Raises NotSaved."""
    saved.name = name
    _store(saved)


def _store(saved: SavedView) -> None:
    try:
        with transaction.atomic():
            saved.save()
    except IntegrityError:
        whose = "You have" if saved.owner_id else f"{saved.site.name} has"
        raise NotSaved(f"{whose} another view called {saved.name}; choose another name.") from None


def _essence(query: QueryDict) -> dict[str, list[str]]:
    """Return what an address asks and how it shows it, without what needs not be said."""
    kept = {key: [value for value in values if value] for key, values in query.lists()}
    asked = {key: values for key, values in kept.items() if values and key not in (*OF_ONE_PAGE, "view")}
    if "request" not in asked and asked.get("last") == [DEFAULT_LAST]:
        del asked["last"]
    for key, default in (("sort", "-created_at"), ("scope", "site")):
        if asked.get(key) == [default]:
            del asked[key]
    return asked
