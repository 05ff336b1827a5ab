"""What is done over each interface in the demo, how long it takes and how it goes wrong now and then."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import NamedTuple

from auditlog.demo.drawn import BAD_PASSWORD, TOO_MANY, Failure


class Operation(NamedTuple):
    """Something that is done over an interface, and how it goes wrong now and then."""

    weight: float
    method: str
    path: str
    api_name: str
    median_ms: float
    code: int | None = 200
    chance: float = 0.0
    failure: Failure | None = None


_NO_FILE = Failure(404, "not-found/file-not-found", "File not found.")
_NO_PERMISSION = Failure(403, "not-authorized/insufficient-permission", "You do not have permission to do that.")
_EXISTS = Failure(422, "processing-failure/destination-exists", "The destination exists.")
_NO_SESSION = Failure(401, "not-authenticated/invalid-session", "Your session has expired.")
_BAD_FILTER = Failure(422, "bad-request/invalid-filter-param-value", "filter[created_at] is not a date.")
_BROKEN = Failure(500, "internal-server-error", "An unexpected error occurred.")
_LOGIN_REFUSED = BAD_PASSWORD._replace(code=None)
_NO_SUCH_FILE = Failure(None, "not-found/file-not-found", "No such file")
_REMOTE_AWAY = Failure(None, "processing-failure/remote-server-unavailable", "sftp.partner.example timed out")
_NOT_SIGNED = Failure(400, "bad-request/as2-signature-invalid", "The message's signature is not the partner's.")

OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "web": (
        Operation(30, "GET", "{api}/folders/{folder}?per_page=1000", "folders.list", 45, 200, 0.012, _NO_PERMISSION),
        Operation(18, "GET", "{api}/files/{file}", "files.download", 60, 200, 0.02, _NO_FILE),
        Operation(8, "POST", "{api}/file_actions/begin_upload/{file}", "files.begin_upload", 80, 201, 0.01, _EXISTS),
        Operation(6, "GET", "{api}/history?sort_by[created_at]=desc", "history.list", 210),
        Operation(5, "POST", "{api}/sessions", "sessions.create", 190, 201, 0.09, BAD_PASSWORD),
        Operation(4, "GET", "{api}/users?per_page=100", "users.list", 70, 200, 0.02, _NO_SESSION),
        Operation(3, "PATCH", "{api}/users/{id}", "users.update", 120),
        Operation(2, "POST", "{api}/bundles", "bundles.create", 150, 201),
        Operation(2, "DELETE", "{api}/files/{file}", "files.delete", 95, 204, 0.03, _NO_PERMISSION),
    ),
    "restapi": (
        Operation(20, "GET", "{api}/files/{file}", "files.download", 55, 200, 0.02, _NO_FILE),
        Operation(16, "GET", "{api}/folders/{folder}?per_page=1000", "folders.list", 40),
        Operation(12, "POST", "{api}/file_actions/begin_upload/{file}", "files.begin_upload", 75, 201, 0.01, _EXISTS),
        Operation(
            4,
            "GET",
            "{api}/api_request_logs?filter[created_at]=now",
            "logs.list",
            160,
            200,
            0.05,
            _BAD_FILTER,
        ),
        Operation(4, "POST", "{api}/webhook_tests", "webhooks.test", 240, 201, 0.01, _BROKEN),
        Operation(3, "GET", "{api}/usage_daily_snapshots", "usage.list", 300, 200, 0.02, TOO_MANY),
    ),
    "jsapi": (
        Operation(6, "GET", "{api}/folders/{folder}", "folders.list", 50),
        Operation(
            3, "POST", "{api}/file_actions/begin_upload/{file}", "files.begin_upload", 90, 201, 0.02, _NO_SESSION
        ),
    ),
    "webdesktopapi": (Operation(1, "GET", "{api}/profiles", "profiles.list", 60),),
    "desktop": (
        Operation(9, "GET", "{api}/folders/{folder}?per_page=1000", "folders.list", 35),
        Operation(5, "GET", "{api}/files/{file}", "files.download", 80, 200, 0.01, _NO_FILE),
        Operation(4, "POST", "{api}/file_actions/begin_upload/{file}", "files.begin_upload", 110, 201),
        Operation(1, "POST", "{api}/locks/{file}", "locks.create", 45, 201, 0.05, _EXISTS),
    ),
    "mobile": (
        Operation(8, "GET", "{api}/folders/{folder}?preview=small", "folders.list", 95),
        Operation(4, "GET", "{api}/files/{file}", "files.download", 180, 200, 0.02, _NO_FILE),
        Operation(2, "POST", "{api}/sessions", "sessions.create", 230, 201, 0.06, BAD_PASSWORD),
    ),
    "office": (
        Operation(5, "GET", "/wopi/files/{id}/contents", "wopi.get_file", 140),
        Operation(3, "POST", "/wopi/files/{id}", "wopi.lock", 50, 200, 0.03, _EXISTS),
        Operation(2, "POST", "/wopi/files/{id}/contents", "wopi.put_file", 260),
    ),
    "dav": (
        Operation(7, "PROPFIND", "/dav/{folder}/", "dav.propfind", 65, 207),
        Operation(3, "GET", "/dav/{file}", "dav.get", 90, 200, 0.03, _NO_FILE),
        Operation(2, "PUT", "/dav/{file}", "dav.put", 240, 201, 0.02, _NO_PERMISSION),
        Operation(1, "LOCK", "/dav/{file}", "dav.lock", 40),
    ),
    "ftp": (
        Operation(4, "RETR", "/{file}", "ftp.retrieve", 340, None, 0.04, _NO_SUCH_FILE),
        Operation(4, "STOR", "/{file}", "ftp.store", 420, None),
        Operation(3, "LIST", "/{folder}", "ftp.list", 60, None),
        Operation(1, "PASS", "/", "ftp.login", 110, None, 0.12, _LOGIN_REFUSED),
    ),
    "sftp": (
        Operation(6, "OPEN", "/{file}", "sftp.open", 130, None, 0.03, _NO_SUCH_FILE),
        Operation(5, "WRITE", "/{file}", "sftp.write", 380, None),
        Operation(5, "READDIR", "/{folder}", "sftp.readdir", 45, None),
        Operation(2, "AUTH", "/", "sftp.login", 90, None, 0.05, _LOGIN_REFUSED),
        Operation(1, "RENAME", "/{file}", "sftp.rename", 55, None),
    ),
    "s3": (
        Operation(4, "GET", "/acme-files/{file}", "s3.get_object", 70, 200, 0.02, _NO_FILE),
        Operation(3, "PUT", "/acme-files/{file}", "s3.put_object", 160),
        Operation(2, "GET", "/acme-files?list-type=2&prefix={folder}", "s3.list_objects", 85),
    ),
    "as2": (Operation(1, "POST", "/as2/stations/acme", "as2.receive", 520, 200, 0.03, _NOT_SIGNED),),
    "scim": (
        Operation(4, "GET", "/scim/v2/Users?startIndex=1&count=100", "scim.users.list", 130),
        Operation(1, "PATCH", "/scim/v2/Users/{id}", "scim.users.update", 180, 200, 0.04, _NO_FILE),
        Operation(1, "POST", "/scim/v2/Users", "scim.users.create", 220, 201, 0.05, _EXISTS),
    ),
    "robot": (
        Operation(3, "MOVE", "/{file}", "automations.move_file", 150, None, 0.02, _NO_SUCH_FILE),
        Operation(2, "COPY", "/{file}", "automations.copy_file", 260, None),
    ),
    "sync": (
        Operation(4, "PULL", "/{file}", "syncs.pull_file", 640, None, 0.02, _REMOTE_AWAY),
        Operation(3, "PUSH", "/{file}", "syncs.push_file", 710, None, 0.01, _REMOTE_AWAY),
    ),
    "remote": (Operation(1, "LIST", "/{folder}", "remote_servers.list", 480, None, 0.04, _REMOTE_AWAY),),
    "inbound_email": (Operation(1, "RECEIVE", "/{file}", "inbound_email.receive", 310, None),),
    "inbound_s3": (Operation(1, "PUT", "/{file}", "inbound_s3.put_object", 190, 200),),
}

_WEIGHTS = {name: list(accumulate(each.weight for each in them)) for name, them in OPERATIONS.items()}


def some_operation(interface: str, rng: Random) -> Operation:
    """Draw something that is done over `interface`."""
    return rng.choices(OPERATIONS[interface], cum_weights=_WEIGHTS[interface])[0]
