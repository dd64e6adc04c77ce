"""A board whose meetings come in stages: a committee, then a conference with the welfare office.

Made from the shipped playbook of Nishinomiya, so that everything else is as it runs.
"""

from __future__ import annotations

from typing import Any

from tests import make
from tests.teacher_portal.school import School
from warning_service.playbooks.model import Playbook, shipped

CLASSES = [
    {"id": "A", "label": "すでに支援中", "label_en": "supported already"},
    {"id": "B", "label": "気づいていた", "label_en": "noticed"},
    {"id": "C", "label": "気づいていなかった", "label_en": "not noticed"},
    {"id": "D", "label": "見守る", "label_en": "watch"},
]
CONFERENCE: dict[str, Any] = {
    "id": "conference",
    "label": "合同会議",
    "label_en": "Joint conference",
    "scheme": "town.conference",
    "scheme_label": "合同会議の判断",
    "scheme_label_en": "Conference",
    "classes": [
        {"id": "A", "label": "支援する", "label_en": "support"},
        {"id": "N", "label": "支援しない", "label_en": "no support"},
    ],
    "directions": [{"id": "home", "label": "家庭訪問", "label_en": "home visit"}],
    "supports": ["A"],
    "duties": ["social_worker", "welfare", "board_guidance"],
    "takes": ["A", "B", "C"],
    "minutes": 10,
    "households": 1,
    "days": 3,
}
REVIEW: dict[str, Any] = {
    "scheme": "town.committee",
    "scheme_label": "校内委員会の区分",
    "scheme_label_en": "School committee",
    "classes": CLASSES,
}


def playbook(**changes: Any) -> Playbook:
    """The staged board's way of working; `review` is merged, other parts replace."""
    whole = shipped("nishinomiya").model_dump()
    review = {**REVIEW, **changes.pop("review", {})}
    parts = {"meetings": [CONFERENCE], "resources": (), **changes}
    return Playbook.model_validate({**whole, "review": review, **parts})


def work_by(school: School, chosen: Playbook) -> None:
    """Let the test's board work by this playbook."""
    school.rooms.playbooks._by_board[make.BOARD] = chosen


SHEET: dict[str, Any] = {
    "id": "assessment",
    "label": "アセスメントシート",
    "label_en": "Assessment",
    "meetings": ["conference"],
    "checked_by": "school",
    "file": True,
    "sections": [
        {
            "id": "education", "label": "学校での困難", "label_en": "At school",
            "filled_by": "school", "seen_by": ["centre"],
            "fields": [
                {"id": "attendance", "label": "登校のようす", "label_en": "Attendance",
                 "item": "absent_days"},
                {"id": "trouble", "label": "困りごと", "label_en": "Trouble", "kind": "choice",
                 "choices": [
                     {"id": "often", "label": "よくある", "label_en": "often"},
                     {"id": "none", "label": "ない", "label_en": "none"},
                 ]},
            ],
        },
        {
            "id": "centre", "label": "センター", "label_en": "Centre", "filled_by": "centre",
            "fields": [
                {"id": "visits", "label": "訪問の回数", "label_en": "Visits", "kind": "number",
                 "least": 0, "most": 20},
                {"id": "agreed", "label": "家庭の同意", "label_en": "Agreed", "kind": "yes_no"},
            ],
        },
        {
            "id": "home", "label": "家庭の困難", "label_en": "At home", "filled_by": "welfare",
            "seen_by": ["centre"],
            "fields": [{"id": "money", "label": "家計", "label_en": "Money", "longest": 20}],
        },
    ],
}  # fmt: skip
