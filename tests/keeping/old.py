"""Old data of every kind for tests: one row that is due and one that is not, for each table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, insert

from tests import make
from warning_service.access import tables as access
from warning_service.alerts import tables as alerts
from warning_service.alerts.outside import tables as outside
from warning_service.events.types import (
    AlertAcknowledged,
    AlertHandled,
    AlertRaised,
    AnyBody,
    CaseHandedOver,
    CaseReturned,
    CheckInSubmitted,
    ConsultationRequested,
    FollowUpRecorded,
    NewEvent,
    ObservationCorrected,
    ObservationRecorded,
    OutcomeRecorded,
    ReviewDecided,
    SheetFilled,
    new_id,
)
from warning_service.follow_up import tables as followed
from warning_service.judging import tables as judging
from warning_service.rights import tables as rights
from warning_service.roster import tables as roster

NOW = datetime(2026, 5, 11, tzinfo=UTC)
LONG_AGO = datetime(2019, 6, 3, 3, tzinfo=UTC)
LATELY = datetime(2026, 5, 8, 3, tzinfo=UTC)


def event(body: AnyBody, on: date, student: str) -> NewEvent:
    return NewEvent(
        id=new_id(), board=make.BOARD, student=student, on=on, actor="system:test", body=body
    )


def happened(student: str, when: datetime) -> list[NewEvent]:
    """One event of each kind that has a clock, on one day."""
    day, name = when.date(), when.isoformat()
    bodies: list[AnyBody] = [
        CheckInSubmitted(
            questionnaire="kokoro_monthly", version=1, answers={"mood": 1}, answered_at=when
        ),
        ConsultationRequested(whom=("anyone",), about=(), sealed=None, asked_at=when),
        ObservationRecorded(item="absent_days", value=1.0, source="test"),
        OutcomeRecorded(outcome="non_attendance", known_on=day, over_on=None),
        ObservationRecorded(item="public_assistance", value=1.0, source="test"),
        ObservationCorrected(
            item="public_assistance", was=1.0, value=None, corrects="x", request="r"
        ),
        ReviewDecided(list_id=f"list{name}", scheme="s", chosen="a", directions=(), sealed=None),
        FollowUpRecorded(
            follow_up_id=f"f{name}", action="talked", change="same", list_id=None, alert_id=None,
            sealed=None,
        ),
        AlertRaised(
            alert_id=f"alert{name}", kind="consultation", urgency="urgent", rule="", source="x",
            school=make.SCHOOL, class_id="", step=0, duties=(), raised_at=when, due_at=when,
        ),
        SheetFilled(
            sheet="s", section="a", about="", school=make.SCHOOL, version=1, sealed=None, at=when
        ),
        CaseHandedOver(
            case_id=f"case{name}", school=make.SCHOOL, ground="help", sealed="", at=when
        ),
    ]  # fmt: skip
    later = when + timedelta(days=200)  # the same matters, in the next school year
    ended: list[AnyBody] = [
        AlertAcknowledged(alert_id=f"alert{name}", via="portal", at=later),
        AlertHandled(alert_id=f"alert{name}", follow_up_id="f", at=later),
        CaseReturned(case_id=f"case{name}", how="returned", sealed=None, at=later),
    ]
    return [
        *(event(body, day, student) for body in bodies),
        *(event(body, later.date(), student) for body in ended),
    ]


def kept(conn: Connection, student: str, when: datetime) -> None:
    """One row in every table that has a clock, of that moment."""
    name = when.isoformat()

    def put(table: Table, **values: Any) -> None:
        whole = {
            column.name: values.get(column.name, _any(column, name, when, student))
            for column in table.columns
            if column.name in values or not (column.nullable or column.default)
        }
        conn.execute(insert(table).values(**whole))

    put(
        judging.warning_lists, id=f"list{name}", list_date=when.date(), board=make.BOARD,
        model_version=f"trees{name}",
    )  # fmt: skip
    put(judging.list_trees, board=make.BOARD, version=f"trees{name}")
    for table in (judging.list_entries, judging.list_scores, followed.reviews):
        put(table, list_id=f"list{name}")
    put(followed.follow_ups, id=f"f{name}")
    put(followed.sheets, sheet=f"s{name}", at=when)
    put(followed.cases, id=f"case{name}", ended_at=when + timedelta(days=200))
    put(alerts.alerts, id=f"alert{name}", raised_at=when, state="handled")
    put(alerts.deliveries, id=f"d{name}", alert_id=f"alert{name}", state="sent", created_at=when)
    put(outside.ack_links, token_hash=name, alert_id="other", expires_at=when)
    put(outside.push_devices, id=name, made_at=when)
    put(rights.family_requests, id=f"r{name}", state="closed", decided_at=when)
    for table in (
        rights.request_steps, rights.request_choices, rights.request_corrections,
        rights.request_links,
    ):  # fmt: skip
        put(table, request=f"r{name}")
    put(rights.stopped_items, item=name)
    put(access.sessions, token_hash=name, kind="child", key=student, ends_at=when)
    put(access.class_cards, hash=name, revoked_at=when)
    put(access.looking, staff=f"teacher{name}", day=when.date())
    put(access.looking_alarms, id=f"a{name}", subject=student, day=when.date())
    put(access.attempts, subject=name, last_at=when)
    put(access.spent_tokens, id=name, expires_at=when)
    put(access.passkey_challenges, session=name, expires_at=when)
    put(roster.imports, id=f"i{name}", at=when)
    put(roster.rejects, id=f"j{name}", import_id=f"i{name}", raw="兆 児1")


def _any(column: Any, name: str, when: datetime, student: str) -> Any:
    if column.name == "student":
        return student
    if column.name == "board":
        return make.BOARD
    known: dict[str, Any] = {
        "Integer": 1, "BigInteger": 1, "Float": 0.5, "Boolean": False, "LargeBinary": b"x",
        "Date": when.date(), "UtcDateTime": when,
    }  # fmt: skip
    return known.get(type(column.type).__name__, f"{column.name}{name}")
