"""Sites, members, API keys and the quarantine, for superusers.

The log has its own pages: the admin refuses models with a composite key.
"""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from auditlog.models import ApiKey, DroppedLines, Membership, QuarantinedLine, Site

admin.site.site_header = admin.site.site_title = "Gatebook administration"


class MembershipInline(admin.TabularInline):
    """A site's members."""

    model = Membership
    extra = 1
    autocomplete_fields = ("user",)


@admin.register(Site)
class SiteAdmin(admin.ModelAdmin):
    """Sites. None can be deleted: its entries stay until their retention ends."""

    list_display = ("name", "slug", "parent", "retention_days")
    search_fields = ("name", "slug")
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Site | None = None) -> bool:
        """Refuse."""
        return False


class ReadOnlyAdmin(admin.ModelAdmin):
    """What is looked at and not edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Refuse."""
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys of all sites; each site's settings make them. Revoked ones stay, for the log names them."""

    list_display = ("name", "site", "prefix", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    readonly_fields = list_display
    list_filter = ("site",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    @admin.action(description="Revoke the selected API keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """Refuse these keys from now on."""
        revoked = keys.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.message_user(request, f"{revoked} API keys are refused from now on.", messages.SUCCESS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Only superusers revoke."""
        return bool(getattr(request.user, "is_superuser", False))


@admin.register(QuarantinedLine)
class QuarantinedLineAdmin(ReadOnlyAdmin):
    """Lines that the ingest door could not take, newest first."""

    list_display = ("received_at", "site", "field", "error", "api_key")
    list_filter = ("site",)
    list_select_related = ("site", "api_key")


@admin.register(DroppedLines)
class DroppedLinesAdmin(ReadOnlyAdmin):
    """Lines that were only counted, for lack of room in the quarantine."""

    list_display = ("day", "site", "lines")
    list_filter = ("site",)
