"""The sentence on who reads the answers says what roles and sharing decide, for every grade."""

from __future__ import annotations

import re

import pytest

from design.render import say
from tests import make
from tests.student_checkin.conftest import Town
from warning_service.access.principals import Duty, Principal
from warning_service.access.roles import OFFICES, Ability, Place, Role
from warning_service.catalogue.questionnaires import plain, questionnaire
from warning_service.playbooks.model import Playbook, shipped
from warning_service.playbooks.sharing import answer_shown_to, welfare_reads_answers
from warning_service.rooms import Rooms

NAMED = {
    Role.HOMEROOM: ("担任", "homeroom teacher"),
    Role.GRADE_LEAD: ("学年主任", "grade lead"),
    Role.NURSE: ("保健室", "school nurse"),
    Role.COUNSELLOR: ("カウンセラー", "counsellor"),
    Role.SOCIAL_WORKER: ("ソーシャルワーカー", "social worker"),
    Role.GUIDANCE: ("生徒指導", "guidance teacher"),
    Role.MANAGEMENT: ("校長・教頭", "head or deputy head"),
    Role.COMMITTEE: ("話し合い", "a meeting at school"),
    Role.PRIVACY: ("教育委員会の係の人", "board of education's officer"),
}
"""Everybody who reads single answers, and the words the sentence has for them."""
ABOUT_CHILDREN = {Ability.SEE_STUDENT, Ability.SEE_LIST, Ability.SEE_ALERTS}


class Here:
    """A child's place."""

    school = make.SCHOOL
    class_id = "sakura-1"


def readers(rooms: Rooms, playbook: Playbook) -> set[Role]:
    """The roles to which a page shows a child's answers."""
    found = {role for role, o in OFFICES.items() if Ability.HANDLE_REQUESTS in o.abilities}
    for role, office in OFFICES.items():
        for using in office.abilities & ABOUT_CHILDREN:
            by_class = office.place in {Place.CLASS, Place.GRADE}
            duty = Duty(
                role, make.BOARD,
                schools=() if by_class else (Here.school,),
                classes=(Here.class_id,) if by_class else (),
            )  # fmt: skip
            who = Principal(kind="staff", key="k", board=make.BOARD, csrf="", duties=(duty,))
            side = rooms.gateway.side(who, Here(), using=using)
            if answer_shown_to(side, "mood", playbook):
                found.add(role)
    return found


def test_the_sentence_names_whoever_may_read(rooms: Rooms) -> None:
    playbook = shipped("nishinomiya")
    assert readers(rooms, playbook) == set(NAMED) and not welfare_reads_answers(playbook)
    japanese, english = (plain(say(lang, "child.reads")) for lang in ("ja", "en"))
    for words in NAMED.values():
        assert words[0] in japanese and words[1] in english
    assert "福祉" not in japanese and "指導主事" not in japanese


@pytest.mark.parametrize("opened", [["q.*"], ["q.sleep", "q.mood"]])
def test_it_says_so_when_the_board_opens_answers_to_welfare(
    rooms: Rooms, opened: list[str]
) -> None:
    whole = shipped("nishinomiya").model_dump()
    playbook = Playbook.model_validate({**whole, "sharing": {"welfare_sees": opened}})
    assert readers(rooms, playbook) == {*NAMED, Role.WELFARE}
    assert welfare_reads_answers(playbook)
    assert "福祉" in plain(say("ja", "child.reads_welfare"))


def read(page: str) -> str:
    return re.sub(r"<rt>.*?</rt>|<rp>.*?</rp>|<[^>]+>", "", page)


@pytest.mark.parametrize(
    ("grade", "has", "lacks"), [(1, "おとなの 人たちが 読みます", "カウンセラー"),
                                (6, "カウンセラー、ソーシャルワーカー", "見まもる")]
)  # fmt: skip
def test_first_readers_read_it_simply_and_older_ones_in_full(
    town: Town, grade: int, has: str, lacks: str
) -> None:
    town.grade(grade)
    with town.client(seat=1) as tablet:
        for path in ("/child", "/child/questionnaires/kokoro_daily"):
            told = read(tablet.get(path).text)
            assert has in told and lacks not in told and "福祉" not in told


def test_the_sentence_is_no_part_of_a_questionnaire() -> None:
    """What was answered to version 1 stays an answer to version 1, whoever reads it."""
    for name in ("kokoro_daily", "kokoro_monthly"):
        assert questionnaire(name).version == 1
        assert not hasattr(questionnaire(name), "who_reads")
