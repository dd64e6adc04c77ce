"""What every collector is given: a connection, whose data, as of when, and the words for things."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from warning_service.access.asked_about import roles_held
from warning_service.catalogue.questionnaires import consultation, plain
from warning_service.events import log
from warning_service.events.types import Event
from warning_service.playbooks.follow_up import Choice
from warning_service.playbooks.model import Playbook
from warning_service.rights.words import roles_ja


class Source:
    """One child's data as of `until`. `conn` reads with the service's own rights."""

    def __init__(
        self, *, conn: Connection, playbook: Playbook, student: str, until: datetime
    ) -> None:
        self.conn = conn
        self.playbook = playbook
        self.student = student
        self.until = until

    @cached_property
    def events(self) -> list[Event]:
        """All events about the child, in order."""
        found = log.of_student(self.conn, self.student)
        return [event for event in found if event.recorded_at <= self.until]

    def by(self, staff: str) -> str:
        """An adult by duty, not by name: 養護教諭. What is not a person: by what it is."""
        if staff == "child":
            return "本人"
        if not staff or staff.startswith("system:"):
            return "システム"
        return roles_ja(roles_held(self.conn, [staff]).get(staff, [])) or "教職員"

    def chosen(self, choices: tuple[Choice, ...], wanted: str) -> str:
        """The playbook's words for a choice; the id itself when it is offered no more."""
        return next((c.label for c in choices if c.id == wanted), wanted)

    def help_words(self, ids: tuple[str, ...]) -> str:
        """The words of choices on the consultation page."""
        offered = consultation()
        known = {c.id: c.text for c in (*offered.whom, *offered.about)}
        return "、".join(plain(known.get(one, one)) for one in ids)
