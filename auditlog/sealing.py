"""Secrets of others that have to be kept: unreadable in the database and its backups without SECRET_KEY."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from django.utils.crypto import salted_hmac


def seal(secret: str) -> str:
    """Return `secret` encrypted and signed."""
    return _sealer().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed. Raises ValueError where it was sealed with another SECRET_KEY, or changed since."""
    try:
        return _sealer().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise ValueError("sealed with another SECRET_KEY, or changed since") from None


def _sealer() -> Fernet:
    key = salted_hmac("auditlog.sealing", "", algorithm="sha256").digest()  # of SECRET_KEY
    return Fernet(urlsafe_b64encode(key))
