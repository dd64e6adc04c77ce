"""Questions about warning lists: which there are, who is on them, what everyone scored.

Keys only, no names; whoever shows them asks `access/gateway.py` first whom they may show.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from models.challenger import Forest, forest_of
from warning_service.judging.tables import list_entries, list_scores, list_trees, warning_lists
from warning_service.judging.telling import formula


def lists_of_school(conn: Connection, school: str) -> list[Any]:
    """All lists of a school, newest first (rows of `warning_lists`)."""
    t = warning_lists
    return list(
        conn.execute(select(t).where(t.c.school == school).order_by(t.c.list_date.desc(), t.c.id))
    )


def lists_of_board(conn: Connection, board: str) -> list[Any]:
    """All lists of a board's schools, newest first, then by school."""
    t = warning_lists
    return list(
        conn.execute(select(t).where(t.c.board == board).order_by(t.c.list_date.desc(), t.c.school))
    )


def latest_list(conn: Connection, school: str) -> Any | None:
    """A school's newest list, or None before the first."""
    return next(iter(lists_of_school(conn, school)), None)


def one_list(conn: Connection, list_id: str) -> Any | None:
    """A list by its id, or None."""
    t = warning_lists
    return conn.execute(select(t).where(t.c.id == list_id)).one_or_none()


def entries(conn: Connection, list_id: str) -> list[Any]:
    """The listed students of a list (rows of `list_entries`), in the order of their places."""
    t = list_entries
    return list(conn.execute(select(t).where(t.c.list_id == list_id).order_by(t.c.place)))


def entry(conn: Connection, list_id: str, student: str) -> Any | None:
    """One student's entry on a list, or None."""
    t = list_entries
    return conn.execute(
        select(t).where(t.c.list_id == list_id, t.c.student == student)
    ).one_or_none()


def off_since(conn: Connection, school: str, student: str, last: date) -> date | None:
    """The day of the school's latest list, when the child was on one of `last` and is not on it
    although it was ranked: who is left out or inside a known outcome has not come off a list.
    """
    made = latest_list(conn, school)
    if made is None or made.list_date <= last:
        return None
    t = list_scores.c
    asked = select(t.listed).where(t.list_id == made.id, t.student == student)
    ranked = conn.execute(asked).scalar_one_or_none()
    found: date = made.list_date
    return found if ranked is not None and not ranked else None


def entries_of_student(conn: Connection, student: str) -> list[Any]:
    """All entries of a student with `list_date`, newest first."""
    t, lists = list_entries, warning_lists
    return list(
        conn.execute(
            select(t, lists.c.list_date)
            .join(lists, lists.c.id == t.c.list_id)
            .where(t.c.student == student)
            .order_by(lists.c.list_date.desc())
        )
    )


def scores(conn: Connection, list_id: str) -> list[Any]:
    """Every ranked student of a list (rows of `list_scores`), by rank."""
    t = list_scores
    return list(conn.execute(select(t).where(t.c.list_id == list_id).order_by(t.c.rank)))


def evidence_of(row: Any) -> dict[str, Any]:
    """An entry's frozen evidence as a dictionary."""
    found: dict[str, Any] = msgspec.json.decode(row.evidence)
    return found


def why_of(row: Any) -> dict[str, Any]:
    """A list's evidence for who judged it, as a dictionary."""
    found: dict[str, Any] = msgspec.json.decode(row.judge_why)
    found.pop(formula.KEY, None)
    return found


def trees_of(conn: Connection, row: Any) -> Forest | None:
    """The trees that made a list; None for one that the challenger did not make."""
    t = list_trees
    held = conn.execute(
        select(t.c.trees).where(t.c.board == row.board, t.c.version == row.model_version)
    ).scalar_one_or_none()
    return None if held is None else forest_of(bytes(held))


def formula_of(row: Any) -> formula.Formula | None:
    """What made a list's scores, as far as it was kept with it."""
    return formula.kept_in(msgspec.json.decode(row.judge_why))
