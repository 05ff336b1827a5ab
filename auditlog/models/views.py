"""What a reader keeps between visits, and what a site's readers share."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from auditlog.models.sites import Site

NAME_LENGTH = 60
QUERY_LENGTH = 4_000
"""Characters of a view's query: menus hold many of them, and proxies refuse long addresses."""


class Preference(models.Model):
    """A reader's own choice for the log page."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preference")
    columns = models.JSONField(
        default=list, blank=True, help_text="The log page's columns, in order; empty: the default."
    )

    def __str__(self) -> str:
        return f"preference of {self.user}"


class SavedView(models.Model):
    """A question to a site's log under a name, as the query string of its address: `last=7d` stays relative."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="saved_views")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="saved_views",
        help_text="Who alone sees it; none: everyone on the site.",
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    name = models.CharField(max_length=NAME_LENGTH)
    query = models.CharField(max_length=QUERY_LENGTH)

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["site", "owner", "name"], nulls_distinct=False, name="one_view_per_site_owner_and_name"
            ),
        )

    def __str__(self) -> str:
        return self.name


class DefaultView(models.Model):
    """What the log page opens with where its address asks nothing: a reader's choice, or without one the site's."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="default_views")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+", help_text="None: the site's."
    )
    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, null=True, related_name="+")
    built_in = models.CharField(max_length=20, help_text="The key of a view that is in the code.")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["site", "user"], nulls_distinct=False, name="one_default_view_per_site_and_user"
            ),
            models.CheckConstraint(
                condition=models.Q(view=None) ^ models.Q(built_in=""), name="default_view_is_saved_or_built_in"
            ),
        )

    def __str__(self) -> str:
        return f"default view of {self.user or self.site}"
