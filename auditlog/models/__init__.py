"""The tables: sites, roles and keys, the log and its roll-ups, and what readers keep."""

from auditlog.models.filescom import FilesComConnection
from auditlog.models.keys import ApiKey, Scope
from auditlog.models.log import ApiRequestLog
from auditlog.models.quarantine import DroppedLines, QuarantinedLine
from auditlog.models.rollups import RollUp, TouchedDay, TouchedHour
from auditlog.models.sites import Membership, Role, Site
from auditlog.models.views import DefaultView, Preference, SavedView

__all__ = [
    "ApiKey",
    "ApiRequestLog",
    "DefaultView",
    "DroppedLines",
    "FilesComConnection",
    "Membership",
    "Preference",
    "QuarantinedLine",
    "Role",
    "RollUp",
    "SavedView",
    "Scope",
    "Site",
    "TouchedDay",
    "TouchedHour",
]
