"""Where the API logs of a site are copied from, and how far that has come."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from auditlog.models.sites import Site
from auditlog.sealing import seal, unseal

DEFAULT_BASE_URL = "https://app.files.com"
OVERLAP = timedelta(minutes=15)
"""How far behind its end a run is read again by the next: an entry is written when its request is over, so late."""

_OFFICIAL = "files.com"
_LOOPBACK = ("localhost", "127.0.0.1")


def fit_base_url(address: str) -> None:
    """Raise ValidationError unless the API key may be sent to `address`.

    A site's administrators write it, and it is this server that asks: it must not reach what they do not.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or any((parts.username, parts.password, parts.path.strip("/"), parts.query, parts.fragment)):
        raise ValidationError("Expected an address such as https://acme.files.com, without a path.")
    allowed = getattr(settings, "FILESCOM_HOSTS", [])
    if host not in allowed:
        if host != _OFFICIAL and not host.endswith(f".{_OFFICIAL}"):
            raise ValidationError(
                f"{host} is no host of files.com; whoever runs Gatebook can name it in FILESCOM_HOSTS."
            )
        if port not in (None, 443):
            raise ValidationError("Expected an address of files.com without a port.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in allowed and host in _LOOPBACK):
        raise ValidationError("Expected https://: the API key would be readable on the way.")


class FilesComConnection(models.Model):
    """The Files.com site that one site is the copy of."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="filescom")
    base_url = models.CharField(max_length=255, default=DEFAULT_BASE_URL, validators=[fit_base_url])
    sealed_key = models.TextField(blank=True, editable=False)
    synced_to = models.DateTimeField(null=True, blank=True, help_text="All up to here is in the book.")
    reread_to = models.DateTimeField(null=True, blank=True, help_text="Late entries were looked for up to here.")
    reread_from = models.DateTimeField(null=True, blank=True, help_text="Nothing before is looked for.")
    last_run_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True, help_text="Files.com asked not to be asked before.")
    last_error = models.TextField(blank=True)
    rows = models.PositiveBigIntegerField(default=0, help_text="Entries stored so far.")

    class Meta:
        verbose_name = "connection to Files.com"
        verbose_name_plural = "connections to Files.com"

    def __str__(self) -> str:
        return f"{self.site} from {self.base_url}"

    @property
    def variable(self) -> str:
        """The environment variable that may hold the key instead."""
        return f"FILESCOM_API_KEY_{self.site.slug.upper().replace('-', '_')}"

    @property
    def key(self) -> str:
        """The API key, from the environment or the database; empty where there is none. Raises ValueError."""
        return os.environ.get(self.variable, "") or (unseal(self.sealed_key) if self.sealed_key else "")

    @key.setter
    def key(self, key: str) -> None:
        self.sealed_key = seal(key)

    @property
    def has_key(self) -> bool:
        """Whether this process has a key to ask with."""
        return bool(os.environ.get(self.variable) or self.sealed_key)

    @property
    def lag(self) -> timedelta | None:
        """How far behind the book is; None before anything is."""
        return timezone.now() - self.synced_to if self.synced_to else None

    @property
    def is_resting(self) -> bool:
        """Whether Files.com asked not to be asked now."""
        return self.not_before is not None and self.not_before > timezone.now()

    def copy_from(self, base_url: str) -> None:
        """Let the next run ask there; another log is read from its beginning."""
        if base_url != self.base_url:
            self.synced_to = self.reread_to = None
        self.base_url = base_url

    def begin_at(self, moment: datetime) -> None:
        """Let the next run read from `moment` on."""
        self.synced_to = moment + OVERLAP  # from where a run goes back
        if self.reread_from:
            self.reread_from = min(self.reread_from, moment)

    def save_beside_a_run(self) -> None:
        """Save what people choose; what a run counts meanwhile stays."""
        chosen = ("base_url", "sealed_key", "synced_to", "reread_to", "reread_from", "last_error", "not_before")
        self.save(update_fields=chosen if self.pk else None)
