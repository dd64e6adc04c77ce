"""Which data item is shown to whom: as a value, only counted, or not at all. Decided here alone.

The catalogue says how school staff see an item of another department (`shown`). The welfare office,
for a child whose case was handed over to it, sees the items of its own department; what the school
or another office holds is only counted for it, and children's answers are not mentioned. A playbook
may open further items to either side (`[sharing]`), and that is written down there for everybody.

The board's guidance officer works on how a school helps, not with the child: it sees the items a
school sees, and never a child's answers, which children are told stay with the adults at school.
What children read about it (`child.reads` in student_checkin/templates/texts.toml) and what is
decided here are held together by a test.

Who is on which side of a child is for access/gateway.py to say.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from warning_service.catalogue.items import Item, Shown
from warning_service.playbooks.model import Playbook

ANSWER = "q."
"""How the id of an answer as a data item begins."""

ALL_ANSWERS = "q.*"


class Side(StrEnum):
    """From where somebody looks at a child."""

    SCHOOL = "school"
    BOARD = "board"
    WELFARE = "welfare"


def shown_to(
    side: Side, item: Item, playbook: Playbook, chosen: Collection[str] | None = None
) -> Shown:
    """How an item may stand on a page for that side.

    `chosen`: what the giving side chose to share in this child's case; None: nothing was chosen.
    """
    if side is not Side.WELFARE:
        return "value" if item.id in playbook.sharing.school_sees else item.shown
    opened = playbook.sharing.welfare_sees
    if playbook.sharing.item_by_item:
        opened = tuple(chosen or ())
    if item.department == "welfare" or item.id in opened:
        return "value"
    return "score_only" if item.shown == "score_only" else "count_only"


def on_offer(playbook: Playbook) -> list[Item]:
    """What the school may share of a child's, item by item: what it sees itself and the welfare
    office does not hold anyway. Never a child's answers: children are told who reads those.
    """
    return [
        item
        for item in playbook.catalogue_items().values()
        if item.department != "welfare" and shown_to(Side.SCHOOL, item, playbook) == "value"
    ]


def answer_shown_to(side: Side, question: str, playbook: Playbook) -> bool:
    """May a child's answer to that question (its id, without `q.`) be shown to that side?"""
    if side is not Side.WELFARE:
        return side is Side.SCHOOL
    opened = playbook.sharing.welfare_sees
    return ALL_ANSWERS in opened or f"q.{question}" in opened


def welfare_reads_answers(playbook: Playbook) -> bool:
    """Has the board opened any answer to the welfare office? Children are told, if so."""
    return any(name.startswith(ANSWER) for name in playbook.sharing.welfare_sees)
