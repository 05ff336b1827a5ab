"""Sites, one level of child sites, and who has which role on them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

RESERVED_SLUGS = frozenset(
    {
        *(
            "accounts",
            "admin",
            "api",
            "assets",
            "auth",
            "docs",
            "healthz",
            "help",
            "hijack",
            "ingest",
            "login",
            "logout",
        ),
        *("logs", "media", "metrics", "new", "preferences", "readyz", "settings", "sites", "static", "v1", "v2"),
    }
)
"""First path segments that are ours, now or likely later; no site may take one."""

MOST_RETENTION_DAYS = 36_500


def not_reserved(slug: str) -> None:
    """Raise ValidationError if `slug` is one of our own first path segments."""
    if slug in RESERVED_SLUGS:
        raise ValidationError(f"The slug {slug!r} is reserved for Gatebook's own addresses; choose another.")


class SiteQuerySet(models.QuerySet["Site"]):
    """Sites, asked as the rest of the server asks for them."""

    def root(self) -> Site | None:
        """Return the site that Gatebook's own entries fall to, or None in an empty book.

        Without the one that ROOT_SITE names, which `/readyz` then complains of, it is the first without a parent.
        """
        slug = getattr(settings, "ROOT_SITE", "")  # the book may also live in a project of somebody else's
        named = self.filter(slug=slug).first() if slug else None
        return named or self.filter(parent=None).order_by("pk").first()


class Site(models.Model):
    """Anything with an API whose requests are recorded."""

    slug = models.CharField(
        max_length=50,
        unique=True,
        validators=[
            RegexValidator(
                r"\A[a-z0-9]+(?:-[a-z0-9]+)*\Z", "Lower-case letters, digits and single hyphens, such as acme-eu."
            ),
            not_reserved,
        ],
        help_text="The first part of the site's addresses, such as acme-eu.",
    )
    name = models.CharField(max_length=100)
    parent = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="children",
        help_text="Child sites go one level deep.",
    )
    retention_days = models.PositiveIntegerField(
        "retention in days",
        default=180,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_RETENTION_DAYS)],
        help_text="Entries older than this are out of sight at once and leave with the next purge.",
    )

    is_administered = False
    """Whether a reader may do what administrators do here; `access.sites_of` says so, of its reader."""

    objects = SiteQuerySet.as_manager()

    class Meta:
        ordering = ("name", "slug")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Keep the tree one level deep."""
        if self.parent is None:
            return
        if self.parent_id == self.pk:
            raise ValidationError({"parent": "A site cannot be its own parent."})
        if self.parent.parent_id is not None:
            raise ValidationError({"parent": f"{self.parent} is a child site itself; child sites go one level deep."})
        if self.pk and self.children.exists():
            raise ValidationError({"parent": f"{self} has child sites; child sites go one level deep."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save after the checks above, whoever calls."""
        self.full_clean()
        super().save(*args, **kwargs)


class Role(models.TextChoices):
    """What a member may do: `access.py` holds the rules."""

    STAFF = "staff"
    ADMINISTRATOR = "administrator"


class Membership(models.Model):
    """A user's role on one site."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["site", "user"], name="one_role_per_site_and_user"),)

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.site}"
