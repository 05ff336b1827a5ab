"""Sites and members, for superusers. The log has its own pages: the admin refuses models with a composite key."""

from django.contrib import admin
from django.http import HttpRequest

from auditlog.models import Membership, Site

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
