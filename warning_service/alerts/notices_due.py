"""What is due at a place now: the rules behind the notices, by playbook and school calendar.

Nothing here reads a database; follow_up/notice_job.py fetches what these rules are asked about and
compares the answers with the notices there are. So a service that was down for a week raises what
is due today, once, and nothing for each day it missed.

A child is known here by its key only and does not get into a notice: what comes out is of which
class some children's records are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from warning_service.alerts.privacy import CONSULTATION
from warning_service.clock import at, day_of
from warning_service.playbooks.model import Playbook
from warning_service.roster.calendar import SchoolCalendar

ClassOf = tuple[str, str]
"""School id and class id."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A published list (`row` of `warning_lists`) with its children who are still there.

    `classes`: student key -> class id of today, without those whose families refuse. `reviewed`:
    those of them decided on. `begun`: was any decision made on this list?
    """

    row: Any
    classes: dict[str, str]
    reviewed: frozenset[str]
    begun: bool

    @property
    def decided(self) -> bool:
        """Has every child on it that is still there a decision?"""
        return self.reviewed >= set(self.classes)


class Rules(msgspec.Struct, frozen=True):
    """One board's deadlines at one moment."""

    playbook: Playbook
    calendar: SchoolCalendar
    now: datetime

    def passed(self, since: date, school_days: int, school: str) -> bool:
        """Have so many school days since that day gone by, and has school opened on the last?

        A calendar without any school day must not keep a notice back for ever: then days count.
        """
        day = since
        for _ in range(school_days):
            try:
                day = self.calendar.next_school_day(day, school)
            except ValueError:
                day += timedelta(days=1)
        return self.now >= at(day, self.playbook.escalation.school_opens)

    def unreviewed(self, lists: Iterable[Listed]) -> Listed | None:
        """The newest of a school's lists (newest first) whose review is due and not done.

        None when there is none, or a newer one is decided: then the meeting has met.
        """
        days = self.playbook.review.days or self.playbook.kinds.review_due.after_days
        for one in lists:
            if one.decided and one.begun:
                return None
            if not one.decided and self.passed(one.row.list_date, days, one.row.school):
                return one
        return None

    def overdue(
        self, lists: Iterable[Listed], taken: Iterable[Any], records: Mapping[str, datetime]
    ) -> dict[ClassOf, set[str]]:
        """Children without a record by the playbook's deadline, by school and class.

        `taken`: alerts about children that somebody has taken on (rows). `records`: student key ->
        when something was last recorded. Calls for help are not counted: who has one is reminded by
        the alert itself, and a count would tell a class's teacher of a call for somebody else.
        """
        days = self.playbook.kinds.follow_up_overdue.after_days
        found: dict[ClassOf, set[str]] = {}
        for one in lists:
            school, published = one.row.school, one.row.published_at
            if not self.passed(one.row.list_date, days, school):
                continue
            for student, class_id in one.classes.items():
                if not _recorded(records, student, published):
                    found.setdefault((school, class_id), set()).add(student)
        for alert in taken:
            begun = alert.acknowledged_at
            if alert.kind == CONSULTATION or begun is None:
                continue
            if _recorded(records, alert.student, begun):
                continue
            if self.passed(day_of(begun), days, alert.school):
                found.setdefault((alert.school, alert.class_id), set()).add(alert.student)
        return found

    def expected_extracts(self) -> dict[str, int]:
        """Kind of file the playbook's items come with -> how old the last may be, in days.

        The most demanding of its items decides.
        """
        found: dict[str, int] = {}
        for item in self.playbook.catalogue_items().values():
            if item.extract:
                found[item.extract] = min(found.get(item.extract, item.fresh_days), item.fresh_days)
        return found

    def missing_extracts(self, last: Mapping[str, datetime]) -> list[str]:
        """Kinds of file that came before (`last`: kind -> when) and are late now.

        Late: the last one is older than its items may be, and the playbook's school days have gone
        by since; so nothing is missed in a vacation. A file that never came is not expected yet.
        """
        days = self.playbook.kinds.extract_missing.after_days
        return [
            extract
            for extract, fresh in sorted(self.expected_extracts().items())
            if extract in last
            and self.passed(day_of(last[extract]) + timedelta(days=fresh), days, "")
        ]


def _recorded(records: Mapping[str, datetime], student: str, since: datetime) -> bool:
    last = records.get(student)
    return last is not None and last >= since
