"""Kubernetes API server audit log: one event a line, as the log backend writes it.

A request has an event for each stage; only its last, ResponseComplete or Panic, becomes an entry. Under impersonation
`user` is who impersonates and `impersonatedUser` whom the request acted as.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from auditlog.intake.formats.lines import Objects, known, line_format, object_from, text_from
from auditlog.intake.formats.times import moment_of
from gatebook.entry import Entry

_LAST_STAGES = ("ResponseComplete", "Panic")
_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
_CREDENTIAL = "authentication.kubernetes.io/credential-id"


def recognises(head: bytes) -> bool:
    """Whether one of the first lines is an audit event; a long one may go beyond `head`."""
    return b"audit.k8s.io/" in head and b'"auditID"' in head and b'"Event"' in head


def _entry(event: dict[str, Any], line: bytes) -> Entry:
    if not text_from(event.get("auditID")):
        raise ValueError("auditID: is missing")
    stage = text_from(event.get("stage"))
    if stage not in _LAST_STAGES:
        raise ValueError(f"stage: is {stage}, only {' and '.join(_LAST_STAGES)} are entries")
    user, impersonated = object_from(event.get("user")), object_from(event.get("impersonatedUser"))
    acted_as, impersonator = (impersonated, user) if impersonated else (user, {})
    target, status = object_from(event.get("objectRef")), object_from(event.get("responseStatus"))
    annotations = object_from(event.get("annotations"))
    addresses = [text for each in _list(event.get("sourceIPs")) if (text := text_from(each))]
    credentials = _list(object_from(user.get("extra")).get(_CREDENTIAL))
    verb = text_from(event.get("verb"))
    began = event.get("requestReceivedTimestamp") or event.get("timestamp") or event.get("stageTimestamp")
    created_at = moment_of(began)
    ended = event.get("stageTimestamp")
    code = status.get("code")
    is_failure = status.get("status") == "Failure" or (isinstance(code, int) and code >= 400) or stage == "Panic"
    return Entry(
        created_at=created_at,
        request_id=str(event["auditID"]),
        user_id=text_from(acted_as.get("uid")),
        username=text_from(acted_as.get("username")),
        impersonator_user_id=text_from(impersonator.get("uid")),
        impersonator_username=text_from(impersonator.get("username")),
        interface="restapi",
        api_key_id=text_from(credentials[0]) if credentials else None,
        api_name=_api_name(verb, target),
        request_method=_METHODS.get(verb, verb.upper()) if verb else None,
        request_path=text_from(event.get("requestURI")),
        request_ip=addresses[0] if addresses else None,
        response_code=code or None,
        user_agent=text_from(event.get("userAgent")),
        error_type=(text_from(status.get("reason")) or (stage if stage == "Panic" else None)) if is_failure else None,
        error_message=text_from(status.get("message")) if is_failure else None,
        duration_ms=max(0, (moment_of(ended) - created_at) // timedelta(milliseconds=1)) if ended else None,
        details=known(
            {
                "level": event.get("level"),
                "namespace": target.get("namespace"),
                "name": target.get("name"),
                "api_group": target.get("apiGroup"),
                "decision": annotations.get("authorization.k8s.io/decision"),
                "decision_reason": annotations.get("authorization.k8s.io/reason"),
                "source_ips": ", ".join(addresses) if len(addresses) > 1 else None,
            }
        ),
    )


def _api_name(verb: str | None, target: dict[str, Any]) -> str | None:
    """Return `pods/exec.create`; what is no resource, such as /healthz, has no name."""
    resource = "/".join(filter(None, [text_from(target.get("resource")), text_from(target.get("subresource"))]))
    return ".".join(filter(None, [resource, verb])) if resource else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


FORMAT = line_format("kubernetes", "Kubernetes audit log", recognises, lambda source: Objects(_entry))
