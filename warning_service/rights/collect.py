"""One collector for each kind of data that is held about a child: the registry for disclosure.

Whatever table knows a child's key belongs to a collector here, or stands in `NOT_COLLECTED` with
the reason; likewise each kind of event. A test walks all tables and all events and fails for one
that is in neither, so that a new table cannot be forgotten when a family asks what is held.

A collector only reads. What may be shown of it is decided elsewhere (held.py, the officer).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import get_args

import msgspec
from sqlalchemy import Connection

from warning_service.events.types import OfAlert, tag_of
from warning_service.playbooks.model import Playbook
from warning_service.rights import collect_log, collect_school, collect_sheets, collect_trail
from warning_service.rights.held import SECTIONS, Record
from warning_service.rights.source import Source

Collect = Callable[[Source], Iterable[Record]]


class Collector(msgspec.Struct, frozen=True, kw_only=True):
    """`tables`: those it covers; `events`: tags of the kinds of event it covers."""

    collect: Collect
    tables: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()


COLLECTORS: tuple[Collector, ...] = (
    Collector(
        collect=collect_school.registration,
        tables=frozenset(
            {
                "roster.students", "roster.seats", "roster.student_secrets", "enrolments",
                "households",
                "roster.identities", "roster.expected_accounts", "sessions",
            }
        ),
        events=frozenset({"enrolment_started", "enrolment_ended", "household_known"}),
    ),
    Collector(
        collect=collect_log.answers,
        tables=frozenset({"events"}),
        events=frozenset({"check_in_submitted"}),
    ),
    Collector(
        collect=collect_log.consultations, events=frozenset({"consultation_requested"})
    ),
    Collector(
        collect=collect_log.facts,
        events=frozenset({"observation_recorded", "observation_corrected", "outcome_recorded"}),
    ),
    Collector(
        collect=collect_school.lists,
        tables=frozenset({"list_entries", "list_scores", "feature_states", "left_out"}),
    ),
    Collector(collect=collect_log.rises, events=frozenset({"risk_rose"})),
    Collector(
        collect=collect_log.reviews,
        tables=frozenset({"reviews"}),
        events=frozenset({"review_decided"}),
    ),
    Collector(
        collect=collect_school.follow_ups,
        tables=frozenset({"follow_ups"}),
        events=frozenset({"follow_up_recorded"}),
    ),
    Collector(
        collect=collect_sheets.sheets,
        tables=frozenset({"sheets"}),
        events=frozenset({"sheet_filled"}),
    ),
    Collector(
        collect=collect_school.opinions,
        tables=frozenset({"opinions"}),
        events=frozenset({"opinion_given"}),
    ),
    Collector(
        collect=collect_school.cases,
        tables=frozenset({"cases"}),
        events=frozenset({"case_handed_over", "case_returned"}),
    ),
    Collector(
        collect=collect_school.alerts,
        tables=frozenset({"alerts"}),
        events=frozenset(tag_of(kind) for kind in get_args(OfAlert)),
    ),
    Collector(collect=collect_trail.looks, tables=frozenset({"audit"})),
    Collector(
        collect=collect_trail.consent,
        tables=frozenset({"opt_outs", "family_requests", "stopped_items"}),
        events=frozenset({"opt_out_recorded", "opt_out_withdrawn", "use_stopped"}),
    ),
)  # fmt: skip

NOT_COLLECTED: dict[str, str] = {
    "training_blocks": "feature rows of a whole day, packed; what they are made of is disclosed",
    "model_snapshots": "models' weights and trees, and samples of packed feature rows",
    "sign_in_attempts": "failed sign-ins by account and address, forgotten after an hour",
    "deliveries": "messages owed about an alert; they hold no word about the child",
    "ack_links": "used-up links of mails about an alert; they hold no word about the child",
    "roster.rejects": "rows of a file that fitted no child, kept as they came until corrected",
    "trials": "a playbook's file and counts that came of trying it; no child's key is in them",
    "looking_alarms": "about the member of staff who looked, not about the child",
    "deletion_permits": "empty but for the moment in which rows are deleted",
}
"""Tables that could know a child's key and are not in the file, and why."""


def collect(conn: Connection, playbook: Playbook, student: str, *, until: datetime) -> list[Record]:
    """Everything held on a child that was there at `until`, in the order of the file.

    `conn` must read with the service's own rights: who may ask was decided before.
    """
    source = Source(conn=conn, playbook=playbook, student=student, until=until)
    found = [record for one in COLLECTORS for record in one.collect(source)]
    order = {section: n for n, section in enumerate(SECTIONS)}
    return sorted(found, key=lambda record: order[record.section])
