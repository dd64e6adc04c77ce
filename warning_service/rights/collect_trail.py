"""Collectors of what concerns the rights themselves: who looked, refusals, earlier requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sqlalchemy import select

from warning_service.access.asked_about import identity_of
from warning_service.access.tables import audit
from warning_service.access.trail.actions import words
from warning_service.catalogue.items import all_items
from warning_service.clock import day_of
from warning_service.rights.about_help import help_traces
from warning_service.rights.held import Part, Record
from warning_service.rights.source import Source
from warning_service.rights.tables import family_requests, stopped_items
from warning_service.rights.terms import Kind
from warning_service.rights.words import day_ja, instant_ja, roles_ja

KINDS = {
    Kind.OPT_OUT: "不同意",
    Kind.WITHDRAWAL: "不同意の撤回",
    Kind.DISCLOSURE: "開示請求",
    Kind.CORRECTION: "訂正請求",
    Kind.STOP: "利用停止請求",
}


def looks(source: Source) -> Iterator[Record]:
    """Who saw or changed something about the child: by duty and day, alike ones counted."""
    t = audit
    rows = source.conn.execute(
        select(t.c.at, t.c.actor, t.c.action, t.c.duty, t.c.detail)
        .where(t.c.subject == source.student, t.c.at <= source.until)
        .order_by(t.c.seq)
    )
    traces = help_traces(source.conn, source.student)
    counted: dict[tuple[date, str, str, str, bool], int] = {}
    for row in rows:
        key = (day_of(row.at), row.actor, row.duty, row.action, traces.tells(row))
        counted[key] = counted.get(key, 0) + 1
    for number, ((day, actor, duty, action, helped), times) in enumerate(counted.items(), 1):
        by = roles_ja(duty.split(",")) if duty else source.by(actor)
        yield Record(
            id=f"{day.isoformat()}-{number}",
            section="looks",
            on=day_ja(day),
            title=words(action),
            parts=(
                Part(name="by", label="だれが", text=by),
                Part(name="times", label="回数", text=f"{times}回"),
            ),
            source="audit",
            about_help=helped,
        )


def consent(source: Source) -> Iterator[Record]:
    """Refusals and their withdrawal, items whose use was stopped, earlier requests."""
    for row in identity_of(source.conn, source.student, day_of(source.until)).opt_outs:
        if row.from_at <= source.until:
            until = "いまも有効" if row.until_at is None else instant_ja(row.until_at)
            yield Record(
                id=f"refusal-{row.from_at.isoformat()}",
                section="consent",
                on=instant_ja(row.from_at),
                title="不同意",
                parts=(Part(name="until", label="いつまで", text=until),),
                source="opt_outs",
            )
    s, known = stopped_items, all_items()
    for row in source.conn.execute(
        select(s).where(s.c.student == source.student, s.c.from_at <= source.until)
        .order_by(s.c.from_at, s.c.item)
    ):  # fmt: skip
        name = known[row.item].label if row.item in known else row.item
        yield Record(
            id=f"stopped-{row.item}",
            section="consent",
            on=instant_ja(row.from_at),
            title="利用停止",
            parts=(Part(name="item", label="項目", text=name),),
            source="stopped_items",
        )
    r = family_requests
    for row in source.conn.execute(
        select(r).where(r.c.student == source.student, r.c.created_at <= source.until)
        .order_by(r.c.created_at)
    ):  # fmt: skip
        parts = [Part(name="by", label="受け付けた人", text=source.by(row.created_by))]
        for name, label, text in (
            ("wish", "請求の内容", row.sealed_wish),
            ("reason", "決定の理由", row.sealed_reason),
        ):
            if text:
                parts.append(Part(name=name, label=label, text=text, sealed=True))
        yield Record(
            id=f"request-{row.id}",
            section="consent",
            on=day_ja(row.received_on),
            title=KINDS[Kind(row.kind)],
            parts=tuple(parts),
            source="family_requests",
        )
