"""The tables: sites and roles, the log and its roll-ups, and what readers keep."""

from auditlog.models.log import ApiRequestLog
from auditlog.models.rollups import RollUp, TouchedDay, TouchedHour
from auditlog.models.sites import Membership, Role, Site
from auditlog.models.views import Preference

__all__ = ["ApiRequestLog", "Membership", "Preference", "Role", "RollUp", "Site", "TouchedDay", "TouchedHour"]
