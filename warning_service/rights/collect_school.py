"""Collectors that read tables: who the child is, its lists, alerts, records and cases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import select

from models.student_state import from_bytes
from warning_service.access.asked_about import identity_of
from warning_service.alerts.tables import alerts as alert_rows
from warning_service.clock import day_of
from warning_service.follow_up.tables import cases as case_rows
from warning_service.follow_up.tables import follow_ups as follow_up_rows
from warning_service.follow_up.tables import opinions as opinion_rows
from warning_service.judging.tables import (
    feature_states,
    left_out,
    list_entries,
    list_scores,
    warning_lists,
)
from warning_service.rights.about_help import HELP_KINDS, help_traces
from warning_service.rights.held import Part, Record
from warning_service.rights.source import Source
from warning_service.rights.words import day_ja, instant_ja, roles_ja


def registration(source: Source) -> Iterator[Record]:
    """Name, number, household, classes, and how the child signs in (never with what)."""
    held = identity_of(source.conn, source.student, day_of(source.until))
    yield Record(
        id="person",
        section="registration",
        on="",
        title="名簿",
        parts=(
            Part(name="name", label="氏名", text=held.person.name),
            Part(name="kana", label="ふりがな", text=held.person.kana),
            Part(name="born", label="生年月日", text=day_ja(held.person.born)),
            Part(name="sex", label="性別(名簿のとおり。判定には使わない)", text=held.sex),
            Part(name="number", label="番号(学籍番号など)", text=held.number),
            Part(name="household", label="世帯番号", text=held.household),
            Part(name="home", label="世帯をさす内部の番号(無作為)", text=held.home),
            Part(name="key", label="内部の番号(無作為)", text=source.student),
        ),
        source="roster",
    )
    for row in held.enrolments:
        until = "在籍中" if row.until_day is None else day_ja(row.until_day)
        yield Record(
            id=f"enrolment-{row.class_id}-{row.from_day.isoformat()}",
            section="registration",
            on=day_ja(row.from_day),
            title="在籍",
            parts=(
                Part(name="class", label="学級", text=f"{row.school_name} {row.class_name}"),
                Part(name="until", label="いつまで", text=until),
            ),
            source="enrolments",
        )
    for row in held.seats:
        yield Record(
            id=f"seat-{row.class_id}",
            section="registration",
            on="",
            title="サインインのための登録",
            parts=(
                Part(name="seat", label="出席番号", text=f"{row.class_name} {row.seat}番"),
                Part(
                    name="secret",
                    label="絵や数字のあいことば",
                    text="もとに戻せない形だけを保存(あいことばそのものは持っていません)",
                ),
            ),
            source="seats",
        )
    parts = [
        Part(name=f"account-{n}", label="学習用アカウントとの結びつき", text=words)
        for n, words in enumerate(held.accounts)
    ]
    if held.has_key:
        words = "この子についての文章を封じる鍵を1つ保存(鍵そのものは開示できません)"
        parts.append(Part(name="key", label="暗号の鍵", text=words))
    if held.sign_ins:
        days = "、".join(instant_ja(at) for at in held.sign_ins)
        parts.append(Part(name="sessions", label="最近のサインイン", text=days))
    if parts:
        yield Record(
            id="door",
            section="registration",
            on="",
            title="サインイン",
            parts=tuple(parts),
            source="sessions",
        )


def lists(source: Source) -> Iterator[Record]:
    """Lists the child was ranked for: place and frozen reasons, or only the score."""
    entries, scores, made = list_entries, list_scores, warning_lists
    mine = {
        row.list_id: row
        for row in source.conn.execute(select(entries).where(entries.c.student == source.student))
    }
    rows = source.conn.execute(
        select(
            made.c.id, made.c.list_date, made.c.judge, made.c.model_version,
            scores.c.score, scores.c.rules_score, scores.c.rank, scores.c.listed,
        )
        .join(made, made.c.id == scores.c.list_id)
        .where(scores.c.student == source.student, made.c.published_at <= source.until)
        .order_by(made.c.list_date)
    ).all()  # fmt: skip
    seen = set()
    for row in rows:
        seen.add(row.id)
        parts = [
            Part(
                name="listed", label="リストに載ったか", text="載った" if row.listed else "載らない"
            ),
            Part(name="rank", label="順位", text=f"{row.rank}番目"),
            Part(name="score", label="計算値", text=f"{row.score:.4f}"),
            Part(name="rules", label="点数による計算値", text=f"{row.rules_score:g}"),
            Part(
                name="judge",
                label="どう決めたか",
                text=("点数のきまり" if row.judge == "rules" else "モデル")
                + f"({row.model_version})",
            ),
        ]
        if (entry := mine.get(row.id)) is not None:
            parts += _evidence(entry)
        yield Record(
            id=row.id, section="lists", on=day_ja(row.list_date), title="予兆リストの計算",
            parts=tuple(parts), source="list_scores",
        )  # fmt: skip
    for list_id, entry in mine.items():
        if list_id not in seen and entry_in_time(source, list_id):
            yield Record(
                id=list_id, section="lists", on="", title="予兆リストの計算",
                parts=tuple(_evidence(entry)), source="list_entries",
            )  # fmt: skip
    yield from _states(source)


def entry_in_time(source: Source, list_id: str) -> bool:
    """Was the list published by then?"""
    row = source.conn.execute(
        select(warning_lists.c.published_at).where(warning_lists.c.id == list_id)
    ).scalar_one_or_none()
    return row is not None and row <= source.until


def _evidence(entry: Any) -> list[Part]:
    told = msgspec.json.decode(entry.evidence)
    raising = "、".join(f["text_ja"] for f in told.get("raising", ()))
    lowering = "、".join(f["text_ja"] for f in told.get("lowering", ()))
    # What another child of the home shows is that child's, and told to whoever asks for it.
    others = told.pop("siblings_show", None)
    # The welfare office's words for the same reasons name its own records, which are held, and
    # decided on one by one, where they stand themselves.
    words = told.pop("welfare", None)
    changed = others is not None or words is not None
    whole = msgspec.json.encode(told).decode() if changed else entry.evidence
    return [
        Part(name="place", label="リストでの場所", text=f"{entry.place}番目"),
        Part(name="level", label="段階", text=entry.level),
        Part(
            name="is_new", label="前のリストになかった", text="はい" if entry.is_new else "いいえ"
        ),
        Part(name="times", label="つづけて載った回数", text=f"{entry.times_running}回"),
        # Whether somebody helped before can tell of a call for help; it stands there for everybody.
        Part(
            name="supported",
            label="そのとき支援があったか",
            text="あった" if entry.supported else "なかった",
            ground="harm",
        ),
        Part(name="raising", label="計算値を上げたこと", text=raising or "—"),
        Part(name="lowering", label="計算値を下げたこと", text=lowering or "—"),
        Part(name="evidence", label="根拠の全文(機械用)", text=whole),
    ]


def _states(source: Source) -> Iterator[Record]:
    """The summaries that scores are made from, as they stand now."""
    for table, title in (
        (feature_states, "計算のための要約"),
        (left_out, "不同意のあいだ計算から外している要約"),
    ):
        state = source.conn.execute(
            select(table.c.state).where(table.c.student == source.student)
        ).scalar_one_or_none()
        if state is None:
            continue
        held = from_bytes(bytes(state))
        # The day of the last support can be that of an answer to a call for help: governed with it.
        supported, held.supported_on = held.supported_on, 0
        yield Record(
            id=table.name,
            section="lists",
            on="",
            title=title,
            parts=(
                Part(
                    name="state",
                    label="内容(機械用)",
                    text=msgspec.json.encode(held, order="deterministic").decode(),
                ),
            ),
            source=table.name,
        )
        if supported:
            yield Record(
                id=f"supported-{table.name}",
                section="follow_up",
                on="",
                title=title,
                parts=(
                    Part(
                        name="on",
                        label="さいごに支援した日",
                        text=day_ja(date.fromordinal(supported)),
                    ),
                ),
                source=table.name,
                about_help=True,
            )


def follow_ups(source: Source) -> Iterator[Record]:
    """What adults recorded; what closed a call for help is governed with it.

    So is what the welfare office recorded, whatever its case was given for.
    """
    f, offered = follow_up_rows, source.playbook.follow_up
    calls = help_traces(source.conn, source.student).calls
    rows = source.conn.execute(
        select(f).where(f.c.student == source.student, f.c.at <= source.until).order_by(f.c.at)
    )
    for row in rows:
        parts = [
            Part(name="action", label="したこと", text=source.chosen(offered.actions, row.action)),
            Part(name="change", label="ようす", text=source.chosen(offered.changes, row.change)),
            Part(name="by", label="記録した人", text=source.by(row.author)),
        ]
        if row.sealed:
            parts.append(Part(name="note", label="メモ", text=row.sealed, sealed=True))
        yield Record(
            id=row.id, section="follow_up", on=instant_ja(row.at), title="見守りの記録",
            parts=tuple(parts), source="follow_ups",
            about_help=row.alert_id in calls or row.case_id is not None,
        )  # fmt: skip


OPINIONS = {
    "helpful": "役に立った",
    "not_helpful": "役に立たなかった",
    "differs": "自分の見立てとちがう",
}


def opinions(source: Source) -> Iterator[Record]:
    """What adults thought of an alert or a list entry. Those on calls for help are about help."""
    o = opinion_rows
    calls = help_traces(source.conn, source.student).calls
    rows = source.conn.execute(
        select(o).where(o.c.student == source.student, o.c.at <= source.until).order_by(o.c.at)
    )
    for row in rows:
        yield Record(
            id=f"opinion-{row.about}-{row.author}", section="follow_up", on=instant_ja(row.at),
            title="お知らせへの評価" if row.kind == "alert" else "予兆リストへの評価",
            parts=(
                Part(name="verdict", label="評価", text=OPINIONS.get(row.verdict, row.verdict)),
                Part(name="by", label="評価した人", text=source.by(row.author)),
            ),
            source="opinions", about_help=row.about in calls,
        )  # fmt: skip


def cases(source: Source) -> Iterator[Record]:
    """Cases handed over to the welfare office. Those for the child's safety are about help."""
    c = case_rows
    rows = source.conn.execute(
        select(c).where(c.c.student == source.student, c.c.given_at <= source.until)
        .order_by(c.c.given_at)
    )  # fmt: skip
    for row in rows:
        ended = "" if row.ended_at is None else instant_ja(row.ended_at)
        parts = [
            Part(name="by", label="引き継いだ人", text=source.by(row.given_by)),
            *_looked_at_on(source, row),
            Part(name="ended", label="終わった日時", text=ended or "—"),
            Part(name="ended_by", label="終えた人", text=source.by(row.ended_by) if ended else "—"),
        ]
        for name, label, words in (
            ("reason", "理由", row.sealed),
            ("ended_reason", "終えた理由", row.ended_sealed),
        ):
            if words:
                parts.append(Part(name=name, label=label, text=words, sealed=True))
        yield Record(
            id=row.id, section="departments", on=instant_ja(row.given_at),
            title="福祉部局への引き継ぎ", parts=tuple(parts), source="cases",
            about_help=row.ground == "help",
        )  # fmt: skip


def _looked_at_on(source: Source, row: Any) -> Iterator[Part]:
    """On what the office may look, and at what of the school's, where the board asks for it."""
    if row.basis:
        words = source.chosen(source.playbook.sharing.bases, row.basis)
        day = f"({day_ja(row.consent_on)})" if row.consent_on else ""
        yield Part(name="basis", label="引き継ぎの根拠", text=f"{words}{day}")
    if row.items is not None:
        known = source.playbook.catalogue_items()
        names = [known[i].label if i in known else i for i in row.items.split(",") if i]
        yield Part(name="items", label="見せることにした項目", text="、".join(names) or "なし")


def alerts(source: Source) -> Iterator[Record]:
    """Alerts raised about the child, and who took them on."""
    a, rules = alert_rows, {r.id: r.label for r in source.playbook.alert_rules}
    rows = source.conn.execute(
        select(a).where(a.c.student == source.student, a.c.raised_at <= source.until)
        .order_by(a.c.raised_at)
    )  # fmt: skip
    for row in rows:
        consultation = row.kind == "consultation"
        taken = "" if row.acknowledged_at is None else instant_ja(row.acknowledged_at)
        closed = "" if row.handled_at is None else instant_ja(row.handled_at)
        yield Record(
            id=row.id,
            section="alerts",
            on=instant_ja(row.raised_at),
            title="相談の申し込み" if consultation else rules.get(row.rule, row.rule),
            parts=(
                Part(
                    name="urgency",
                    label="急ぎかどうか",
                    text="至急" if row.urgency == "urgent" else "きょう中",
                ),
                Part(name="told", label="知らせた先", text=roles_ja(_split(row.duties)) or "—"),
                Part(
                    name="taken",
                    label="対応をはじめた",
                    text=f"{taken} {source.by(row.acknowledged_by)}" if taken else "—",
                ),
                Part(
                    name="closed",
                    label="記録して終えた",
                    text=f"{closed} {source.by(row.handled_by)}" if closed else "—",
                ),
            ),
            source="alerts",
            about_help=row.kind in HELP_KINDS,
        )


def _split(duties: str) -> list[str]:
    return [duty for duty in duties.split(",") if duty]
