"""Files about places and time: the list of schools, closed days; and families' refusals.

Small files of many parts; each row stands for itself.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import select

from connectors.records.cells import Cells
from connectors.records.job import Job
from connectors.records.places import Schools
from warning_service.roster import queries, service
from warning_service.roster import tables as t

_STAGES = {
    "小学校": "primary", "小": "primary",
    "中学校": "junior_high", "中": "junior_high",
    "保育所": "nursery", "保育園": "nursery", "幼稚園": "nursery", "認定こども園": "nursery",
    "こども園": "nursery", "在宅": "home", "未就園": "home",
}  # fmt: skip
_REFUSALS = {"不同意": "refused", "撤回": "withdrawn", "同意": "withdrawn"}
_EVERYWHERE = {"全校", "全学校", "市内全校"}


def take_schools(job: Job, _kind: str, rows: list[Cells]) -> None:
    """Take in a list of schools, nurseries, and the place (在宅) of children who are in neither."""
    with job.rooms.database.reading() as conn:
        held = {row.id: (row.board, row.name, row.stage) for row in conn.execute(select(t.schools))}
    good: list[tuple[Cells, dict[str, Any]]] = []
    seen: set[str] = set()
    for cells in rows:
        code, name = cells.text("school").lower(), cells.text("name")
        stage = cells.choice("stage", _STAGES)
        if code and not (code.isascii() and code.isalnum()):
            cells.wrong("school", "英数字ではありません", "not letters and figures")
        if code in seen:
            cells.wrong(
                "school", "同じ学校がこのファイルにもうあります", "the file has this school already"
            )
        if code in held and held[code][0] != job.board:
            cells.wrong("school", "ほかの教育委員会の学校です", "a school of another board")
        if not cells.bad:
            seen.add(code)
            good.append((cells, {"id": code, "board": job.board, "name": name, "stage": stage}))
    with job.rooms.database.writing() as conn:
        service.put_rows(conn, t.schools, ["id"], [row for _, row in good])
    for cells, row in good:
        same = held.get(row["id"]) == (row["board"], row["name"], row["stage"])
        job.settle(cells, "known" if same else "new")


def take_closed_days(job: Job, _kind: str, rows: list[Cells]) -> None:
    """Take in closed days; a row may stand for a span of days, at one school or all."""
    c = t.closed_days
    with job.rooms.database.reading() as conn:
        schools = Schools(conn, job.board)
        held = {
            (row.school, row.day): row.why
            for row in conn.execute(select(c).where(c.c.board == job.board))
        }
    good: list[tuple[Cells, list[tuple[str, date]], str]] = []
    seen: set[tuple[str, date]] = set()
    for cells in rows:
        first = cells.day("on")
        last = cells.day("until", required=False)
        last = first if last == date.min else last
        why = cells.text("why")
        name = cells.text("school", required=False)
        school = None if not name or name in _EVERYWHERE else schools.read(cells)
        if not cells.bad and not 0 <= (last - first).days <= 100:
            cells.wrong(
                "until",
                "終わりが始まりより前か、100日より長いです",
                "ends before it begins, or is longer than 100 days",
            )
        if cells.bad:
            continue
        place = school.id if school is not None else ""
        days = [(place, first + timedelta(days=n)) for n in range((last - first).days + 1)]
        if seen >= set(days):
            cells.wrong(
                "", "同じ内容の行がこのファイルにもうあります", "the file has this row already"
            )
            continue
        seen |= set(days)
        good.append((cells, days, why))
    with job.rooms.database.writing() as conn:
        service.put_rows(
            conn, c, ["board", "school", "day"],
            [
                {"board": job.board, "school": school, "day": day, "why": why}
                for _, days, why in good
                for school, day in days
            ],
        )  # fmt: skip
    for cells, days, why in good:
        same = all(held.get(key) == why for key in days)
        job.settle(cells, "known" if same else "new")


def take_opt_outs(job: Job, _kind: str, rows: list[Cells]) -> None:
    """Take in 不同意書 and their withdrawals, in the order of the file; in force at once."""
    s = t.students
    with job.rooms.database.reading() as conn:
        students = {
            row.number: row.student
            for row in conn.execute(select(s.c.number, s.c.student).where(s.c.board == job.board))
        }
    for cells in rows:
        number = cells.number()
        cells.fact_day("on")
        refused = cells.choice("what", _REFUSALS) == "refused"
        student = students.get(number)
        if number and student is None:
            cells.wrong("number", "名簿にいない番号です", "no child on the roll has this number")
        if cells.bad or student is None:
            continue
        with job.rooms.database.reading() as conn:
            in_force = queries.opted_out(conn, student)
        service.set_opt_out(
            job.rooms.log, board=job.board, student=student, refused=refused, actor=job.actor
        )
        job.settle(cells, "known" if in_force == refused else "new")
