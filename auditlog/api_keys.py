"""Who comes with an API key instead of an account, and which sites it reaches: its own and the child sites of that."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone

from auditlog.models import ApiKey, Scope, Site
from auditlog.models.log import OWN_ACCOUNT
from auditlog.refusals import Refused
from gatebook.capture import capture_of

_PERMISSIONS = {Scope.INGEST: "write", Scope.READ: "read"}
"""What clients of Files.com call the scopes: they know the kinds of errors by name."""
_PROVE_IT = {"WWW-Authenticate": "Bearer"}


def key_or_refuse(request: HttpRequest, scope: Scope) -> ApiKey:
    """Return the API key that the request shows, good now and for `scope`; raise Refused where there is none.

    It is looked up each time, so that a revoked key is refused at once. The entry that this request becomes learns
    whose key it is, also of one that is refused.
    """
    secret = _secret_in(request)
    if not secret:
        sentence = "An API key is needed: send it in the header X-FilesAPI-Key, or as a bearer token in Authorization."
        raise Refused(401, "not-authenticated/authentication-required", sentence, _PROVE_IT)
    key = ApiKey.objects.with_secret(secret)
    if key is None:
        raise Refused(401, "not-authenticated/invalid-credentials", "There is no such API key.", _PROVE_IT)
    capture = capture_of(request)
    capture.site = key.site.slug
    capture.api_key_id, capture.api_key_prefix = f"{OWN_ACCOUNT}{key.pk}", key.prefix
    if key.revoked_at is not None:
        sentence = f"The API key {key} has been revoked."
        raise Refused(401, "not-authenticated/invalid-credentials", sentence, _PROVE_IT)
    if key.expires_at is not None and key.expires_at <= timezone.now():
        sentence = f"The API key {key} expired at {key.expires_at.isoformat(timespec='seconds')}."
        raise Refused(401, "not-authenticated/invalid-credentials", sentence, _PROVE_IT)
    if scope not in key.scopes:
        sentence = f"The API key {key} may {' and '.join(key.scopes)}; this needs the scope {scope.value}."
        raise Refused(403, f"not-authorized/{_PERMISSIONS[scope]}-permission-required", sentence)
    key.note_use()
    return key


def sites_of_key(key: ApiKey) -> dict[str, Site]:
    """Return by slug the sites that a key reaches: its own, which comes first, and the child sites of that."""
    return {site.slug: site for site in (key.site, *key.site.children.all())}


def _secret_in(request: HttpRequest) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get("X-FilesAPI-Key", "") or (bearer.strip() if scheme.lower() == "bearer" else "")
