"""All tables in one import, for migrations and for nothing else."""

from warning_service.access import tables as access
from warning_service.alerts import tables as alerts
from warning_service.alerts.outside import tables as outside
from warning_service.events import tables as events
from warning_service.follow_up import tables as follow_up
from warning_service.judging import tables as judging
from warning_service.rights import tables as rights
from warning_service.roster import tables as roster

__all__ = ["access", "alerts", "events", "follow_up", "judging", "outside", "rights", "roster"]
