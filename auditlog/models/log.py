"""One API request after it is stored."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from auditlog.models import lookups  # noqa: F401  (registers them)
from gatebook.entry import FIRST_FAILURE

OWN_ACCOUNT = "gatebook:"
"""Begins the ids of Gatebook's own accounts, so that they never meet the ids of a site's users."""


class ApiRequestLog(models.Model):
    """A stored entry. Unmanaged: `store/partitions.py` makes the table, `store/writer.py` alone writes it."""

    pk = models.CompositePrimaryKey("created_at", "site_id", "request_id")
    created_at = models.DateTimeField("Date")
    site_id = models.IntegerField()
    request_id = models.TextField("Request-ID")
    user_id = models.TextField("User ID", null=True)
    username = models.TextField("User", null=True)
    impersonator_user_id = models.TextField("Impersonator User ID", null=True)
    impersonator_username = models.TextField("Impersonator User", null=True)
    user_is_from_parent_site = models.BooleanField("User from Parent Site?", default=False)
    interface = models.TextField("Interface", null=True)
    api_key_id = models.TextField("API Key ID", null=True)
    api_key_prefix = models.TextField("API Key prefix", null=True)
    api_name = models.TextField("API Name", null=True)
    request_method = models.TextField("Request Method", null=True)
    request_path = models.TextField("Path", null=True)
    request_ip = models.GenericIPAddressField("Request IP", null=True)
    request_host = models.TextField("Request Host", null=True)
    response_code = models.SmallIntegerField("Response Code", null=True)
    user_agent = models.TextField("User Agent", null=True)
    error_type = models.TextField("Error Type", null=True)
    error_message = models.TextField("Error Message", null=True)
    success = models.GeneratedField(
        verbose_name="Status",
        expression=Coalesce(Q(response_code__lt=FIRST_FAILURE), Q(error_type__isnull=True, error_message__isnull=True)),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    duration_ms = models.IntegerField("Duration", null=True)
    details = models.JSONField("Details", null=True)

    class Meta:
        managed = False
        db_table = "gatebook_apirequestlog"
        verbose_name = "API request"

    def __str__(self) -> str:
        return f"{self.request_method or self.interface} {self.request_id} at {self.created_at:%Y-%m-%d %H:%M:%S} UTC"


COLUMNS = {
    name: str(ApiRequestLog._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
    for name in (
        "created_at",
        "username",
        "impersonator_username",
        "user_is_from_parent_site",
        "interface",
        "api_key_id",
        "api_key_prefix",
        "api_name",
        "request_method",
        "request_path",
        "request_ip",
        "request_id",
        "request_host",
        "response_code",
        "user_agent",
        "error_type",
        "error_message",
        "success",
        "duration_ms",
    )
}
"""The 19 columns in order, field to heading, as pages and CSV write them."""
