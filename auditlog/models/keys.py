"""API keys: what a program shows at the door instead of a password."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from auditlog.models.sites import Site

ALPHABET = string.ascii_letters + string.digits
"""Letters and digits only: the Files.com SDKs refuse to send anything else."""

KEY_LENGTH = 40
PREFIX_LENGTH = 8
"""Characters of a key that pages and the log show; the 32 others are 190 random bits."""

_USE_NOTED_EVERY = timedelta(minutes=1)


class Scope(models.TextChoices):
    """What a key may do."""

    INGEST = "ingest"
    READ = "read"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys, as they are made and found."""

    def issue(
        self, site: Site, name: str, scopes: Iterable[str], expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key; return it and its secret text, which is not kept and cannot be shown again."""
        secret = "".join(secrets.choice(ALPHABET) for _ in range(KEY_LENGTH))
        key = ApiKey(site=site, name=name, scopes=sorted(set(scopes)), expires_at=expires_at)
        key.prefix, key.hash = secret[:PREFIX_LENGTH], _hash(secret)
        key.full_clean()
        key.save()
        return key, secret

    def with_secret(self, secret: str) -> ApiKey | None:
        """Return the key of that secret text with its site, whether it is still good or not."""
        return self.select_related("site").filter(hash=_hash(secret)).first()


class ApiKey(models.Model):
    """A key of one site. Its secret is known to whoever was shown it, and to nobody here."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="Who uses it, such as the web shop.")
    prefix = models.CharField(max_length=PREFIX_LENGTH, editable=False)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ("site", "name", "pk")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        """Say whether doors take it now: `active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "active"

    def note_use(self) -> None:
        """Keep when it was last used: one write a minute at most, however often it is used."""
        now = timezone.now()
        used_before = now - _USE_NOTED_EVERY
        if self.last_used_at is None or self.last_used_at < used_before:
            unnoted = Q(last_used_at=None) | Q(last_used_at__lt=used_before)
            ApiKey.objects.filter(unnoted, pk=self.pk).update(last_used_at=now)


def _hash(secret: str) -> str:
    # A fast hash without salt is right for a secret of this much chance: nobody can guess it, with or without the hash.
    # It also lets the unique index find the key, in a time that says nothing about how much of a guess was right.
    return hashlib.sha256(secret.encode()).hexdigest()
