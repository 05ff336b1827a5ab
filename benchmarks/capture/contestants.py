"""Who takes part in `capture`: the bare project, a middleware that does nothing, Gatebook and its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HOST = "api.example.org"
CALLER = "ann"
SITE = "captured"


@dataclass(frozen=True)
class Contestant:
    """What a contestant adds to the project, as its own documentation says."""

    name: str
    apps: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    """Its middleware, before all others."""
    last: tuple[str, ...] = ()
    """Its middleware, behind all others."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    recorded: str = ""
    """The SQL that counts what it has recorded of the answered requests of a path; empty where it records nothing."""


BARE = Contestant("bare")
NULL = Contestant("null middleware", first=("benchmarks.capture.urls.null",))
GATEBOOK = Contestant(
    "Gatebook",
    apps=("auditlog", "gatebook"),
    first=("gatebook.middleware.GatebookMiddleware",),
    recorded="SELECT count(*) FROM gatebook_apirequestlog"
    " WHERE request_path = %(path)s AND response_code = 200 AND username = %(caller)s",
)
PEERS = (
    Contestant(
        "drf-api-logger",
        apps=("drf_api_logger",),
        last=("drf_api_logger.middleware.api_logger_middleware.APILoggerMiddleware",),
        # The batch is the documented one. The interval is the shortest: else the last rows wait for 10 s.
        settings={"DRF_API_LOGGER_DATABASE": True, "DRF_LOGGER_QUEUE_MAX_SIZE": 50, "DRF_LOGGER_INTERVAL": 1},
        recorded="SELECT count(*) FROM drf_api_logs WHERE api = %(address)s AND status_code = 200",
    ),
    Contestant(
        "django-easy-audit",
        apps=("easyaudit",),
        last=("easyaudit.middleware.easyaudit.EasyAuditMiddleware",),
        # Only what is compared: not the history of models, nor sign-ins.
        settings={
            "DJANGO_EASY_AUDIT_WATCH_REQUEST_EVENTS": True,
            "DJANGO_EASY_AUDIT_WATCH_MODEL_EVENTS": False,
            "DJANGO_EASY_AUDIT_WATCH_AUTH_EVENTS": False,
        },
        recorded="SELECT count(*) FROM easyaudit_requestevent WHERE url = %(path)s",
    ),
    Contestant(
        "django-request",
        apps=("request",),
        last=("request.middleware.RequestMiddleware",),
        settings={"REQUEST_BASE_URL": f"http://{HOST}/"},
        recorded="SELECT count(*) FROM request_request WHERE path = %(path)s AND response = 200"
        " AND user_id = (SELECT id FROM auth_user WHERE username = %(caller)s)",
    ),
)
CONTESTANTS = {one.name: one for one in (BARE, NULL, GATEBOOK, *PEERS)}
