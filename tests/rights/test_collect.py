"""Whatever knows a child is in its disclosure file, or somebody has said why not."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import get_args

import pytest
from sqlalchemy import Column, MetaData, String, Table
from sqlmodel import SQLModel

import warning_service.tables  # noqa: F401
from models.student_state import StudentState, to_bytes
from tests import make
from tests.rights.conftest import Town
from warning_service.access.roles import Role
from warning_service.events.types import (
    AnyBody,
    CheckInSubmitted,
    ObservationCorrected,
    ObservationRecorded,
    OutcomeRecorded,
    ReviewDecided,
    tag_of,
)
from warning_service.judging.tables import feature_states
from warning_service.rights.collect import COLLECTORS, NOT_COLLECTED, collect
from warning_service.rights.collect_school import _evidence
from warning_service.rights.held import HELP, SECTIONS, Part, Record, Rulebook
from warning_service.rights.words import ROLE_JA

# Columns that can hold a child's key, or a blob made of several children's data.
KEY_COLUMNS = {"student", "subject", "key", "account"}
BLOBS = {"block", "state", "raw"}

# They have such a column, and no child can be behind it; each with the reason.
OTHER_KEYS = {
    "facts": "about the installation",
}

ABOUT_NO_STUDENT = {"day_closed", "list_due", "list_published", "log_shortened", "pool_taken"}


def might_know_a_child(table: Table) -> bool:
    return bool((KEY_COLUMNS | BLOBS) & set(table.columns.keys()))


def uncovered(metadata: MetaData) -> list[str]:
    covered = {name for one in COLLECTORS for name in one.tables}
    known = covered | set(NOT_COLLECTED) | set(OTHER_KEYS)
    return [
        table.fullname
        for table in metadata.sorted_tables
        if might_know_a_child(table) and table.fullname not in known
    ]


def test_every_table_that_can_know_a_child_is_covered_or_explained() -> None:
    assert uncovered(SQLModel.metadata) == []


def test_a_new_table_would_be_seen() -> None:
    metadata = MetaData()
    Table("new_things", metadata, Column("student", String))
    assert uncovered(metadata) == ["new_things"]


def test_no_collector_and_no_explanation_is_about_a_table_that_is_gone() -> None:
    there = {table.fullname for table in SQLModel.metadata.sorted_tables}
    named = {name for one in COLLECTORS for name in one.tables}
    assert named | set(NOT_COLLECTED) <= there


def test_every_kind_of_event_about_a_student_is_covered() -> None:
    covered = {tag for one in COLLECTORS for tag in one.events}
    every = {tag_of(kind) for kind in get_args(AnyBody)}
    assert every - covered == ABOUT_NO_STUDENT
    assert covered <= every


def test_every_role_has_a_word() -> None:
    assert set(ROLE_JA) == set(Role)


def told(town: Town, student: str) -> list[Record]:
    database = town.rooms.database.as_service()
    with database.reading() as conn:
        book = town.rooms.playbooks.of(make.BOARD)
        return collect(conn, book, student, until=town.rooms.clock.now())


def of(records: list[Record], section: str) -> list[Record]:
    return [record for record in records if record.section == section]


def event(town: Town, body: object, actor: str = "staff-nurse") -> None:
    new = make.check_in(town.child, town.rooms.clock)
    make.append(
        town.rooms.log,
        type(new)(
            id=new.id + str(type(body).__name__), board=make.BOARD, student=town.child,
            on=new.on, actor=actor, body=body,  # type: ignore[arg-type]
        ),
    )  # fmt: skip


def test_everything_that_was_put_in_comes_out(town: Town) -> None:
    rooms, child = town.rooms, town.child
    today = rooms.clock.today()
    alert = town.alert(child, "nurse", words="ことば")
    event(town, CheckInSubmitted(questionnaire="kokoro_monthly", version=1,
                                 answers={"mood": 2, "gone": 1, "sleep": None},
                                 answered_at=rooms.clock.now()), "child")  # fmt: skip
    event(town, ObservationRecorded(item="absent_days", value=2.0, source="attendance"))
    make.append(
        rooms.log,
        *[
            type(e)(id=f"w{n}", board=make.BOARD, student=child, on=today, actor="x", body=body)
            for n, (e, body) in enumerate(
                (make.check_in(child, rooms.clock), body)
                for body in (
                    ObservationRecorded(item="public_assistance", value=1.0, source="welfare"),
                    ObservationRecorded(item="no_such_item", value=1.0, source="old"),
                    ObservationCorrected(item="absent_days", was=2.0, value=None,
                                         corrects="x", request="r"),
                    OutcomeRecorded(outcome="futoko", known_on=today, over_on=today),
                    OutcomeRecorded(outcome="other", known_on=today, over_on=None),
                    ReviewDecided(list_id="l", scheme="old", chosen="Z", directions=(),
                                  sealed=rooms.sealer.seal(child, "会議のメモ")),
                    CheckInSubmitted(questionnaire="gone", version=1, answers={"x": 3},
                                     answered_at=rooms.clock.now()),
                )
            )
        ],
    )  # fmt: skip
    list_id = town.warning_list([child])
    rooms.follow_ups.review(town.who("guidance"), list_id, child, "A", [], note="話す")
    rooms.follow_ups.record(town.who("nurse"), child, "talked", "better", "話せた", alert_id=alert)
    town.asked("opt_out", asked_by="guardian", wish="いや")
    records = told(town, child)
    assert [s for s in SECTIONS if not of(records, s)] == []
    assert {"欠席", "欠席(訂正)", "no_such_item"} <= {r.title for r in of(records, "school")}
    assert any(p.text == "なかったこと" for r in of(records, "school") for p in r.parts)
    assert "生活保護の受給" in {r.title for r in of(records, "departments")}
    answers = [p for r in of(records, "answers") for p in r.parts]
    assert any(p.text == "こたえたくない" for p in answers)
    assert any(p.text == "1" for p in answers) and any(p.text == "3" for p in answers)
    assert of(records, HELP)[0].about_help and of(records, "alerts")[0].about_help
    assert of(records, "follow_up")[0].about_help
    assert any("養護教諭" in p.text for r in of(records, "follow_up") for p in r.parts)
    closed = [p for r in records for p in r.parts if p.closed]
    assert [p.label for p in closed] == ["書かれたことば"]
    assert not any(p.text == "ことば" for r in records for p in r.parts)
    assert "不同意" in {r.title for r in of(records, "consent")}


def test_another_child_is_not_in_it(town: Town) -> None:
    other = town.children["sakura-1"][1]
    town.alert(other, "nurse", words="ことば")
    town.warning_list([other])
    records = told(town, town.child)
    assert not any(other in p.text for r in records for p in r.parts)
    assert {r.section for r in records} == {"registration"}


def test_the_day_of_support_is_governed_with_calls_for_help(town: Town) -> None:
    state = StudentState(supported_on=town.rooms.clock.today().toordinal())
    with town.rooms.database.writing() as conn:
        conn.execute(
            feature_states.insert().values(
                board=make.BOARD, student=town.child, state=to_bytes(state)
            )
        )
    records = told(town, town.child)
    (summary,) = of(records, "lists")
    assert str(state.supported_on) not in summary.parts[0].text and not summary.about_help
    (day,) = of(records, "follow_up")
    assert day.about_help and day.parts[0].text == "2026年5月11日(月)"
    listed = town.children["sakura-1"][1]
    town.warning_list([listed])
    parts = {p.name: p for r in of(told(town, listed), "lists") for p in r.parts}
    assert parts["supported"].ground == "harm" and parts["times"].text == "1回"


HELPED = Record(id="1", section="alerts", on="", title="", source="", about_help=True,
                parts=(Part(name="a", label="", text=""),
                       Part(name="b", label="", text="")))  # fmt: skip
PLAIN = Record(id="1", section="answers", on="", title="", source="",
               parts=(Part(name="a", label="", text="", ground="harm"),
                      Part(name="b", label="", text="")))  # fmt: skip


@pytest.mark.parametrize(
    ("choices", "by_child", "helped", "plain", "out", "any_"),
    [
        ({}, False, ["harm", "harm"], ["harm", ""], True, True),
        ({}, True, ["", ""], ["", ""], False, False),
        ({HELP: ""}, False, ["", ""], ["harm", ""], False, True),
        ({HELP: "conduct"}, True, ["conduct", "conduct"], ["", ""], True, True),
        # A choice on a whole section does not reach what is about help in it …
        ({"alerts": ""}, False, ["harm", "harm"], ["harm", ""], True, True),
        # … one on the record, or on a part of it, does.
        ({"alerts/1": ""}, False, ["", ""], ["harm", ""], False, True),
        ({"alerts/1/b": ""}, False, ["harm", ""], ["harm", ""], False, True),
        # Shown as a matter of principle, one withheld: it stands there, withheld.
        ({HELP: "", "alerts/1": "harm"}, False, ["harm", "harm"], ["harm", ""], False, True),
        ({"answers": ""}, False, ["harm", "harm"], ["", ""], True, True),
        ({"answers": "conduct", "answers/1/b": ""}, True, ["", ""], ["conduct", ""], False, True),
    ],
)
def test_the_narrowest_choice_counts(
    choices: dict[str, str],
    by_child: bool,
    helped: list[str],
    plain: list[str],
    out: bool,
    any_: bool,
) -> None:
    rules = Rulebook(choices, by_child)
    assert [rules.ground(HELPED, part) for part in HELPED.parts] == helped
    assert [rules.ground(PLAIN, part) for part in PLAIN.parts] == plain
    assert rules.left_out(HELPED) is out
    assert not rules.left_out(PLAIN)
    assert rules.withholds([HELPED, PLAIN]) is any_


def test_what_a_sibling_shows_is_not_in_a_childs_file() -> None:
    told = {"raising": [], "lowering": [], "score": 0.25, "siblings_show": [2.0, 3.5]}
    # Nor what names the welfare office's records here, which are decided on where they stand.
    told["welfare"] = {"raising": [{"text_ja": "虐待の通告・相談"}], "lowering": []}
    entry = SimpleNamespace(
        evidence=json.dumps(told), place=1, level="watch", is_new=True, times_running=1,
        supported=False,
    )  # fmt: skip
    (whole,) = [part.text for part in _evidence(entry) if part.name == "evidence"]
    assert json.loads(whole) == {"raising": [], "lowering": [], "score": 0.25}
