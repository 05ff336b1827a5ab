"""Accounts as a project may have them: no username, no number."""

from __future__ import annotations

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Account(AbstractBaseUser):
    """Somebody with an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    is_superuser = models.BooleanField(default=False)

    objects = BaseUserManager()

    USERNAME_FIELD = "email"

    def has_module_perms(self, app_label: str) -> bool:
        """Allow everything."""
        return True


class Key(models.Model):
    """An API key as a project may keep it."""

    prefix = models.CharField(max_length=8)
    secret = models.CharField(max_length=64, unique=True)
