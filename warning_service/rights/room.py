"""The room as others are handed it: people asked about, requests, disclosure, amendments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from warning_service.access.asked_about import AskedAbout
from warning_service.access.sealing import Sealer
from warning_service.access.trail.audit import Trail
from warning_service.events.log import Log
from warning_service.playbooks.service import Playbooks
from warning_service.rights.amend import Amendments
from warning_service.rights.disclosure import Disclosures
from warning_service.rights.service import Requests


@dataclass(frozen=True)
class Rights:
    """What families may ask for, for pages to call."""

    people: AskedAbout
    requests: Requests
    disclosures: Disclosures
    amendments: Amendments

    @classmethod
    def build(cls, log: Log, sealer: Sealer, trail: Trail, playbooks: Playbooks) -> Self:
        """Wire the parts together."""
        people = AskedAbout(log.database, log.clock, trail)
        requests = Requests(log, sealer, people)
        return cls(
            people=people,
            requests=requests,
            disclosures=Disclosures(requests, playbooks),
            amendments=Amendments(requests, playbooks),
        )
