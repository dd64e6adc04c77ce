"""Every kind of personal data this service keeps, and where it lies.

`kinds()` gives them in the order of a night: what is short-lived first, people last. `NOT_PERSONAL`
says of every other table why it needs no clock. A test holds both against all tables there are, so
that a new table without an answer fails.
"""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy import ColumnElement, Text, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from warning_service.access import tables as access
from warning_service.access.cover import OVER
from warning_service.access.trail.audit import TrailKeys
from warning_service.alerts import tables as alerts
from warning_service.alerts.outside import tables as outside
from warning_service.catalogue.items import all_items
from warning_service.events import types as told
from warning_service.events.types import AnyBody, tag_of
from warning_service.follow_up import tables as followed
from warning_service.judging import tables as judging
from warning_service.keeping.by_reference import Matters
from warning_service.keeping.kinds import InLog, InTables, Kind, Rows
from warning_service.keeping.people import (
    FormerStaff,
    FormerStaffSignIn,
    Leavers,
    LeaversSignIn,
    Rejects,
    Trail,
)
from warning_service.rights import tables as rights
from warning_service.rights.terms import State

NOT_PERSONAL = {
    "boards": "places",
    "schools": "places",
    "classes": "places",
    "closed_days": "days",
    "school_questionnaires": "which questionnaires a school uses",
    "routes": "where a duty is told; of a person a key or a mail address, until taken off",
    "seen_requests": "marks of signed requests; it clears itself of those past their time",
    "consumers": "how far readers came",
    "job_runs": "which jobs ran",
    "watchman_looks": "counts by the minute; the watchman clears those of over a week ago",
    "facts": "heads and positions",
    "deletion_permits": "always empty",
    "derivations": "log positions",
    "roster.imports": "counts of rows; the rows are elsewhere",
    "model_snapshots": "derived again whenever what it was made from is deleted",
    "training_blocks": "derived again whenever what it was made from is deleted",
}
"""Tables without a clock, and why."""


class _Item(FunctionElement[str]):
    """The data item an observation's stored body is about."""

    name = "item"
    inherit_cache = True
    type = Text()


@compiles(_Item, "sqlite")
def _item_on_sqlite(_element: _Item, _compiler: Any, **_: Any) -> str:
    return "json_extract(events.body, '$.item')"


@compiles(_Item, "postgresql")
def _item_on_postgresql(_element: _Item, _compiler: Any, **_: Any) -> str:
    return "(events.body::json ->> 'item')"


def _alert_of(body: AnyBody) -> str:
    return str(getattr(body, "alert_id", ""))


def _case_of(body: AnyBody) -> str:
    return str(getattr(body, "case_id", ""))


def _last_list() -> ColumnElement[Any]:
    """The date of the last list that those trees made: they are kept as long as it is."""
    t, w = judging.list_trees.c, judging.warning_lists.c
    last = select(func.max(w.list_date)).where(w.board == t.board, w.model_version == t.version)
    return last.correlate(judging.list_trees).scalar_subquery()


def kinds(keys: TrailKeys) -> tuple[Kind, ...]:
    """All kinds, in the order in which a night goes through them."""
    elsewhere = sorted(i.id for i in all_items().values() if i.department != "school")
    facts = (tag_of(told.ObservationRecorded), tag_of(told.ObservationCorrected))
    foreign: ColumnElement[bool] = _Item().in_(elsewhere)
    own: ColumnElement[bool] = _Item().not_in(elsewhere) | _Item().is_(None)
    s, q = access.sessions.c, rights.family_requests.c
    d = outside.push_devices.c
    a, f, w = alerts.alerts.c, followed.follow_ups.c, judging.warning_lists.c
    return (
        InTables(
            "sessions",
            (
                Rows(access.sessions, s.ends_at),
                Rows(access.passkey_challenges, access.passkey_challenges.c.expires_at),
                Rows(access.spent_tokens, access.spent_tokens.c.expires_at),
                Rows(access.class_cards, access.class_cards.c.revoked_at),
            ),
        ),
        InTables("attempts", (Rows(access.attempts, access.attempts.c.last_at),)),
        InTables(
            "deliveries",
            (
                Rows(
                    alerts.deliveries,
                    alerts.deliveries.c.created_at,
                    (alerts.deliveries.c.state != "waiting",),
                ),
                Rows(outside.ack_links, outside.ack_links.c.expires_at),
            ),
        ),
        InTables("trials", (Rows(judging.trials, judging.trials.c.asked_at),)),
        InTables("digests", (Rows(followed.digests, followed.digests.c.made_at),)),
        InTables(
            "devices",
            (
                Rows(
                    outside.push_devices,
                    func.coalesce(d.reached_at, d.made_at, type_=d.made_at.type),
                ),
            ),
        ),
        InTables("absences", tuple(Rows(table, over) for table, over in OVER)),
        Rejects(),
        InTables(
            "requests",
            (
                Rows(
                    rights.family_requests,
                    func.coalesce(q.decided_at, q.created_at, type_=q.created_at.type),
                    (q.state == State.CLOSED.value,),
                    q.board,
                    tuple(
                        (table, table.c.request, q.id)
                        for table in (
                            rights.request_steps, rights.request_choices,
                            rights.request_corrections, rights.request_links,
                        )
                    ),
                ),
            ),
            by_board=True,
        ),
        InLog("answers", (tag_of(told.CheckInSubmitted),), judged=True),
        InLog("consultations", (tag_of(told.ConsultationRequested),), judged=False),
        InLog("observations", (*facts, tag_of(told.OutcomeRecorded)), True, (), (own,)),
        InLog("extracts", facts, True, (), (foreign,)),
        InLog(
            "lists",
            (tag_of(told.ReviewDecided), tag_of(told.RiskRose)),
            True,
            (
                # Before their lists, by whose dates they go.
                Rows(judging.list_trees, _last_list(), (), judging.list_trees.c.board),
                Rows(
                    judging.warning_lists,
                    w.list_date,
                    (),
                    w.board,
                    tuple(
                        (table, table.c.list_id, w.id)
                        for table in (judging.list_entries, judging.list_scores, followed.reviews)
                    ),
                ),
                # Of boards that make no lists: decisions on cases, by their own day.
                Rows(
                    followed.reviews,
                    followed.reviews.c.at,
                    (followed.reviews.c.list_id.in_(select(followed.cases.c.id)),),
                ),
            ),
        ),
        InLog(
            "follow_ups",
            (tag_of(told.FollowUpRecorded),),
            True,
            (Rows(followed.follow_ups, f.at, (), f.board),),
        ),
        InLog(
            "follow_ups",
            (tag_of(told.SheetFilled),),
            False,
            (Rows(followed.sheets, followed.sheets.c.at, (), followed.sheets.c.board),),
        ),
        InLog(
            "follow_ups",
            (tag_of(told.OpinionGiven),),
            False,
            (Rows(followed.opinions, followed.opinions.c.at, (), followed.opinions.c.board),),
        ),
        Matters(
            "follow_ups",
            Rows(followed.cases, followed.cases.c.ended_at, (), followed.cases.c.board),
            (tag_of(told.CaseHandedOver), tag_of(told.CaseReturned)),
            _case_of,
        ),
        Matters(
            "alerts",
            Rows(
                alerts.alerts,
                a.raised_at,
                (),
                a.board,
                tuple(
                    (table, table.c.alert_id, a.id)
                    for table in (alerts.deliveries, outside.ack_links)
                ),
            ),
            tuple(tag_of(t) for t in get_args(told.OfAlert)),
            _alert_of,
        ),
        Trail(keys),
        LeaversSignIn(),
        Leavers(),
        FormerStaffSignIn(),
        FormerStaff(),
    )  # fmt: skip
