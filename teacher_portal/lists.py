"""Warning lists: who is on them, why, how sure, and what has happened since.

A list is shown with all that was frozen when it was made: reasons on both sides, trend, age of the
data, who judged and by which model. A homeroom teacher sees the entries of the own class and how
many there are in all; the order can be changed by links, without script.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import show, worded
from teacher_portal.risks import risks_of, took
from warning_service.access.gateway import Child, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.catalogue.items import all_items
from warning_service.follow_up import queries as followed
from warning_service.follow_up.opinions import ENTRY
from warning_service.judging import queries as judging
from warning_service.judging.rules import SIBLING
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.sharing import ANSWER, Side, answer_shown_to, shown_to
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter()
Reader = Annotated[Principal, Depends(Needs(Ability.SEE_LIST))]
LEVELS = ("high", "raised", "watch", "unmeasured")
JUDGE_REASONS = (
    "too_few_outcomes", "rules_measured_better", "model_measured_no_worse",
    "pool_measured_no_worse", "challenger_measured_better", "not_measured_yet",
)  # fmt: skip
CHALLENGED = ("silent", "too_little_compared", "not_clearly_better", "clearly_better")
MOST_LISTS = 60
SHOWN = ("all", "new", "again", "supported")
WHOLE_SCHOOL_ONLY = ("types", "items_reached", "held", "sibling_points", "siblings_show")
"""Of the frozen reasons, what is for those who see the school's whole list: scores by type and the
like would tell a homeroom teacher what other departments hold, item for item.
"""
NOT_SAID = {
    "text_ja": "本人の回答(内容は学校の中だけで見ます)",
    "text_en": "The child's own answers (read at the school only)",
}
"""Stands for reasons from answers, to whom answers are not shown."""
HELD_BY_SCHOOL = {
    "text_ja": "学校が持つ情報(内容は学校の中だけで見ます)",
    "text_en": "What the school holds (read at the school only)",
}
"""Stands for all reasons that the welfare office does not read."""
OF_THE_HOME = {
    "text_ja": "本人以外の事情(内容は学校全体を見る人だけが見ます)",
    "text_en": "What is not about the child itself (read by those who see the whole school)",
}
"""Stands for what a sibling adds: to a homeroom teacher that is another class's child."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One list as the overview shows it. Counts are of the entries the asker may see."""

    list_id: str
    school: str
    school_name: str
    list_date: date
    entries: int
    new: int
    reviewed: int
    recorded: int
    whole_school: bool
    may_review: bool
    latest: bool


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry with its child, its frozen evidence and what has happened since."""

    row: Any
    child: Child
    evidence: dict[str, Any]
    review: Any | None
    class_words: str
    scheme: str
    latest: Any | None
    latest_words: str

    @property
    def level(self) -> str:
        """The level's wording key; one that came later than this page has none."""
        return self.row.level if self.row.level in LEVELS else "unmeasured"


ORDERS: dict[str, Callable[[Entry], Any]] = {
    "place": lambda e: e.row.place,
    "score": lambda e: e.row.score,
    "class": lambda e: (e.child.grade, e.child.class_name, e.child.seat or 999),
    "new": lambda e: (e.row.is_new, -e.row.times_running),
    "times": lambda e: e.row.times_running,
}


def list_of(rooms: Rooms, who: Principal, list_id: str) -> Any:
    """A list's row. Raises NotYours when it is unknown or of a school one has no duty at."""
    with rooms.database.reading() as conn:
        row = judging.one_list(conn, list_id)
    if row is None or row.school not in {
        s.id for s in rooms.gateway.schools_of(who, using=Ability.SEE_LIST)
    }:
        raise NotYours
    return row


def may_review(rooms: Rooms, who: Principal, row: Any) -> bool:
    """Has the asker a seat in a meeting on this list?"""
    return rooms.follow_ups.meetings.has_seat(who, row)


def entries_of(request: Request, who: Principal, row: Any, why: str) -> list[Entry]:
    """The entries the asker's duties cover today, by place on the list."""
    rooms = rooms_of(request)
    with rooms.database.reading() as conn:
        listed = judging.entries(conn, row.id)
        reviews = followed.reviews_of(conn, row.id)
        done = followed.since(conn, [e.student for e in listed], row.published_at)
    hidden = rooms.alerts.hidden_from(who, [record.alert_id for record in done])
    latest = {
        record.student: record
        for record in done
        if record.case_id is None and record.alert_id not in hidden
    }
    children = rooms.gateway.children(
        who, [e.student for e in listed], using=Ability.SEE_LIST, why=why, detail=row.id
    )
    # Also when nobody on it is the asker's: that the list was opened is a look by itself.
    rooms.gateway.note(who, "open_list", [row.id], why, using=Ability.SEE_LIST)
    playbook = rooms.playbooks.of(who.board)
    lang = language(request)
    sittings = {one.scheme: one for one in playbook.sittings}
    actions = {c.id: worded(c, lang) for c in playbook.follow_up.actions}
    changes = {c.id: worded(c, lang) for c in playbook.follow_up.changes}
    found = []
    for entry in listed:
        child = children.get(entry.student)
        if child is None or child.opted_out:  # a refusal works at once, also on last week's list
            continue
        review, record = reviews.get(entry.student), latest.get(entry.student)
        sitting = sittings.get(review.scheme) if review is not None else None
        classes = {c.id: worded(c, lang) for c in sitting.classes} if sitting else {}
        words = ""
        if record is not None:
            done = actions.get(record.action, record.action)
            words = f"{done} / {changes.get(record.change, record.change)}"
        found.append(
            Entry(
                row=entry,
                child=child,
                evidence=entry_as_seen(rooms, who, row, child, judging.evidence_of(entry)),
                review=review,
                class_words="" if review is None else classes.get(review.chosen, ""),
                scheme=sitting.scheme_name(lang) if sitting else "",
                latest=record,
                latest_words=words,
            )
        )
    return found


def entry_as_seen(
    rooms: Rooms, who: Principal, row: Any, child: Child, evidence: dict[str, Any]
) -> dict[str, Any]:
    """The frozen reasons of an entry as this reader of the list in `row` may read them."""
    told = as_seen(rooms, who, child, evidence)
    if sees_whole(who, row):
        return told
    for name in ("raising", "lowering"):
        lines = told[name]
        told[name] = [line for line in lines if line.get("item") != SIBLING]
        if len(told[name]) < len(lines):
            told[name].append(OF_THE_HOME)
    return {name: held for name, held in told.items() if name not in WHOLE_SCHOOL_ONLY}


def as_seen(
    rooms: Rooms,
    who: Principal,
    child: Child,
    evidence: dict[str, Any],
    *,
    using: Ability = Ability.SEE_LIST,
) -> dict[str, Any]:
    """The frozen reasons, less what the asker's side may not read (sharing.py): what was answered,
    for the welfare office what the school holds, and that a child comes later, where that tells of
    a register. The welfare office has its own words for them: what it holds itself is named.
    """
    side = rooms.gateway.side(who, child, using=using)
    held_back = kept_from(rooms, who, child, using=using)
    theirs = evidence.get("welfare", {}) if side is Side.WELFARE else {}
    evidence = {name: held for name, held in evidence.items() if name != "welfare"} | theirs
    told = dict(evidence)
    for name in ("raising", "lowering"):
        lines = evidence.get(name, [])
        told[name] = [line for line in lines if not held_back(str(line.get("item", "")))]
        if len(told[name]) < len(lines):
            told[name].append(NOT_SAID if side is not Side.WELFARE else HELD_BY_SCHOOL)
    told["data_age"] = [
        age for age in evidence.get("data_age", []) if not held_back(str(age.get("item", "")))
    ]
    since = dict(evidence.get("since_last", {}))
    for name in ("worse", "better", "otherwise"):
        lines = since.get(name, [])
        since[name] = [line for line in lines if not held_back(line["item"])]
        since["not_said"] = since.get("not_said", 0) + len(lines) - len(since[name])
    told["since_last"] = since
    told["habits"] = [one for one in evidence.get("habits", []) if not held_back(one["item"])]
    off = dict(evidence.get("off_list", {}))
    lines = off.get("lines", [])
    off["lines"] = [line for line in lines if not any(map(held_back, line["items"]))]
    off["not_said"] = len(lines) - len(off["lines"])
    told["off_list"] = off
    if "later" in told and not _may_read_later(rooms.playbooks.of(who.board), side):
        del told["later"]
    return told


def _may_read_later(playbook: Playbook, side: Side) -> bool:
    """May that side read every item by which the playbook puts children later?

    Where only a register does, "later" is the register in another word.
    """
    named = {condition.item for condition in playbook.list.later} - {""}
    items = all_items()
    return all(name in items and shown_to(side, items[name], playbook) == "value" for name in named)


def kept_from(
    rooms: Rooms, who: Principal, child: Child, *, using: Ability = Ability.SEE_LIST
) -> Callable[[str], bool]:
    """Which items' facts the asker's side may not read of this child (playbooks/sharing.py)."""
    side = rooms.gateway.side(who, child, using=using)
    playbook = rooms.playbooks.of(who.board)
    items = all_items()

    def held_back(item: str) -> bool:
        if item.startswith(ANSWER):
            return not answer_shown_to(side, item.removeprefix(ANSWER), playbook)
        known = items.get(item)
        return (
            side is Side.WELFARE
            and known is not None
            and shown_to(side, known, playbook) != "value"
        )

    return held_back


def only_agendas(rooms: Rooms, who: Principal) -> bool:
    """Is every list known to the asker from a meeting alone, and has the asker a seat in none?

    To such a one a list would look empty although it is not.
    """
    extent = who.reach(Ability.SEE_LIST)
    return not (extent.schools or extent.classes or rooms.follow_ups.meetings.sits(who))


def why_none(rooms: Rooms, who: Principal) -> tuple[str, str, str]:
    """What stands where there is no list: keys of the head and the text, and the months of the
    calendar in which one is made ('': in all).
    """
    playbook = rooms.playbooks.for_help(who.board)
    if playbook.judgement.method == "none":
        return "cases.no_lists", "cases.no_lists_text", ""
    if only_agendas(rooms, who):
        return "portal.no_seat", "portal.no_seat_text", ""
    if playbook.list.months:
        months = "・".join(str(month) for month in playbook.list.months)
        return "portal.no_list", "portal.no_list_in_months", months
    return "portal.no_list", f"portal.no_list_{playbook.list.cadence}", ""


def summaries(request: Request, who: Principal) -> list[Summary]:
    """Lists of the asker's schools, newest first; keys are matched to the scope without names."""
    rooms = rooms_of(request)
    if only_agendas(rooms, who):
        return []
    schools = {
        school.id: school.name for school in rooms.gateway.schools_of(who, using=Ability.SEE_LIST)
    }
    newest: set[str] = set()
    found = []
    with rooms.database.reading() as conn:
        rows = [row for school in schools for row in judging.lists_of_school(conn, school)]
        rows.sort(key=lambda row: (-row.list_date.toordinal(), row.school))
        del rows[MOST_LISTS:]
        for row in rows:
            listed = _in_scope(conn, rooms, who, row)
            keys = [e.student for e in listed]
            done = followed.reviews_of(conn, row.id)
            records = followed.latest_of(conn, keys, row.published_at)
            found.append(
                Summary(
                    list_id=row.id,
                    school=row.school,
                    school_name=schools[row.school],
                    list_date=row.list_date,
                    entries=len(listed),
                    new=sum(e.is_new for e in listed),
                    reviewed=sum(key in done for key in keys),
                    recorded=len(records),
                    whole_school=sees_whole(who, row),
                    may_review=may_review(rooms, who, row),
                    latest=row.school not in newest,
                )
            )
            newest.add(row.school)
    return found


def sees_whole(who: Principal, row: Any) -> bool:
    """Is the list seen as a list, and not just the entries of one's own class?"""
    extent = who.reach(Ability.SEE_LIST)
    return row.school in extent.schools | extent.agendas


def _in_scope(conn: Any, rooms: Rooms, who: Principal, row: Any) -> list[Any]:
    listed = judging.entries(conn, row.id)
    roll = {e.student: e for e in roster.on_roll(conn, rooms.clock.today(), school=row.school)}
    mine = rooms.gateway.within(conn, who, roll, using=Ability.SEE_LIST)
    mine -= roster.refusing(conn, mine)  # shown nowhere, so counted nowhere
    return [entry for entry in listed if entry.student in mine]


@router.get("/portal/lists")
def lists(request: Request, who: Reader) -> Response:
    """All published lists of the asker's schools by month."""
    return show(
        request,
        who,
        "portal_lists.html",
        lists=summaries(request, who),
        no_list=why_none(rooms_of(request), who),
        may_review=rooms_of(request).follow_ups.meetings.sits(who),
    )


@router.get("/portal/lists/{list_id}")
def one_list(
    request: Request,
    who: Reader,
    list_id: str,
    *,
    sort: str = "place",
    dir: str = "",
    only: str = "all",
    risk: str = "",
) -> Response:
    """One list in the order and selection asked for. `risk`: only those listed by that type of
    difficulty, for who sees what the types say.
    """
    rooms = rooms_of(request)
    row = list_of(rooms, who, list_id)
    every = entries_of(request, who, row, why="list")
    sort = sort if sort in ORDERS else "place"
    only = only if only in SHOWN else "all"
    risks = risks_of([entry.evidence for entry in every])
    risk = risk if risk in risks else ""
    descending = dir == "desc"
    of_risk = [e for e in every if not risk or risk in took(e.evidence)]
    chosen = sorted((e for e in of_risk if _wanted(e, only)), key=lambda e: e.row.place)
    chosen.sort(key=ORDERS[sort], reverse=descending)
    return show(
        request,
        who,
        "portal_list.html",
        row=row,
        judge_why=_judge_why(row),
        entries=chosen,
        counts={name: sum(_wanted(e, name) for e in of_risk) for name in SHOWN},
        risks=list(risks.values()),
        risk=risk,
        everybody=len(every),
        sort=sort,
        direction="desc" if descending else "asc",
        only=only,
        whole_school=sees_whole(who, row),
        may_review=may_review(rooms, who, row),
        opinions=rooms.opinions.of(who, ENTRY, list_id),
        may_record=Ability.RECORD_FOLLOW_UP in who.abilities,
        outcome=rooms.playbooks.of(who.board).outcome,
    )


def _wanted(entry: Entry, only: str) -> bool:
    if only == "new":
        return bool(entry.row.is_new)
    if only == "again":
        return not entry.row.is_new
    if only == "supported":
        return bool(entry.row.supported)
    return True


def _judge_why(row: Any) -> dict[str, Any]:
    found = judging.why_of(row)
    if "pool_made_on" in found:
        found["pool_made_on"] = date.fromisoformat(found["pool_made_on"])
    if found.get("challenger") not in CHALLENGED:  # a list older than the challenger
        found["challenger"] = ""
    return found if found.get("reason") in JUDGE_REASONS else {**found, "reason": ""}
