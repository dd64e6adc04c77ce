"""The town made of canaries: whoever stands in it, and whatever is written there, is found nowhere
else; and, once more by hand, who may see which of it (test_leaks.py asks).

Children have names, numbers and households; staff have names. Words stand where people write them:
a call for help, a note, a case handed over and one given back, a family's wish, what was withheld
from it and why, what came of an alarm and of the review of rights.
"""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import insert, update

from tests import make
from tests.teacher_portal.school import STAFF, School
from warning_service.access.tables import looking_alarms
from warning_service.access.trail import alarm_desk
from warning_service.access.trail.review import RightsReview, year_now
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as t

OWN, OTHER, FAR = "sakura-1", "sakura-2", "school2-1"
WORDS, NOTE = "鵺鳴川に ひとりで いた", "鶸沢の家に電話した"
TYPED = "鵜飼町の うわさ"  # what the walk itself puts into every form
READERS = {"nurse", "other"}  # whom the calls with words were addressed to
NOTED = {"homeroom", "lead", "nurse", "counsellor", "guidance", "social", "management", "officer"}
REASON, RETURNED = "鵤原のことで頼みたい", "鴫立沢で会えた"
WISH, MARK, WHY, WHY_FAR = "鶺鴒橋の話を見たい", "鶍の里に障る", "鵥谷を守るため", "鶫野を守るため"
ALARM, RIGHTS = "鷭池の当番だった", "鳰浜へ異動"
OFFICES = {
    REASON: {"social", "guidance", "management", "officer", "welfare"},
    RETURNED: {"social", "guidance", "management", "officer"},
    WISH: {"privacy"},
    MARK: {"privacy", "management", "board"},
    WHY: {"privacy", "management", "board"},
    WHY_FAR: {"privacy", "board"},
    ALARM: {"auditor"},
    RIGHTS: {"accounts", "management"},
}
"""What offices write, and who may read it."""

SECRETS = [WORDS, NOTE, TYPED, *OFFICES]
BOARDS = {"officer", "privacy", "welfare", "accounts", "auditor", "board"}
"""Who is at the board and may meet the names of staff of every school; the operator of none."""

# Who may see children of which class by name; 委員会 only those on the list.
SEES = {
    "homeroom": {OWN},
    "other": {OTHER},
    "nurse": {OWN, OTHER},
    "counsellor": {OWN, OTHER},
    "guidance": {OWN, OTHER},
    "social": {OWN, OTHER},
    "management": {OWN, OTHER},
    "lead": {OWN, OTHER},
    "nurse2": {FAR, "school2-2"},
    "officer": {OWN, OTHER, FAR, "school2-2"},
    "privacy": {OWN, OTHER, FAR, "school2-2"},
    "committee": set(),
    "welfare": set(),
    "board": set(),
    "accounts": set(),
    "auditor": set(),
    "operator": set(),
}
MORE_STAFF = {
    "lead": ("grade_lead", "sakura:4"),
    "social": ("social_worker", "sakura"),
    "management": ("management", "sakura"),
    "officer": ("board_guidance", make.BOARD),
    "privacy": ("privacy", make.BOARD),
    "welfare": ("welfare", make.BOARD),
    "accounts": ("accounts", make.BOARD),
    "auditor": ("auditor", make.BOARD),
    "operator": ("operator", make.BOARD),
}


class Canaries:
    """The town; `of[class]` are the canaries of its children, one set for each child."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.of: dict[str, list[set[str]]] = {}
        self.case: dict[str, str] = {}
        self.request: dict[str, str] = {}
        self.link = ""
        self.staff = {login: f"鵲{n}橋" for n, login in enumerate((*STAFF, *MORE_STAFF), 1)}
        number = itertools.count(1)
        with school.rooms.database.writing() as conn:
            for class_id, keys in school.children.items():
                self.of[class_id] = []
                for key in keys:
                    n = next(number)
                    names = {f"鵺岡{n}号", f"鶸之助{n}号", f"ヌエオカ{n}ゴウ", f"ヒワノスケ{n}ゴウ"}
                    family, given, kana, given_kana = sorted(names, key=lambda s: (s[0] < "一", s))
                    values = {
                        "family_name": family, "given_name": given, "family_kana": kana,
                        "given_kana": given_kana, "number": f"NUE-{n:05d}",
                        "household": f"HIWA-{n:05d}",
                    }  # fmt: skip
                    conn.execute(
                        update(t.students).where(t.students.c.student == key).values(**values)
                    )
                    self.of[class_id].append(set(values.values()))
            service.put_rows(
                conn, t.staff, ["staff"],
                [
                    {"staff": f"staff-{login}", "board": make.BOARD, "login": login,
                     "name": f"先生{login}", "slack_user": None, "active": True,
                     "password_hash": _hash_of(school.rooms)}
                    for login in MORE_STAFF
                ],
            )  # fmt: skip
            service.put_rows(
                conn, t.duties, ["staff", "role", "place", "from_day"],
                [
                    {"staff": f"staff-{login}", "role": role, "place": place,
                     "from_day": school.rooms.clock.today(), "until_day": None}
                    for login, (role, place) in MORE_STAFF.items()
                ],
            )  # fmt: skip

            for login, name in self.staff.items():
                conn.execute(
                    update(t.staff).where(t.staff.c.staff == f"staff-{login}").values(name=name)
                )

    def everything(self) -> set[str]:
        """All canaries of all children and staff, words and notes included."""
        names = {one for rows in self.of.values() for row in rows for one in row}
        return names | set(SECRETS) | set(self.staff.values())

    def offices_work(self) -> None:
        """Cases, families' requests, alarms and the review of rights, each with its words.

        The welfare office has the case of the first child of OTHER, and had that of the fourth of
        OWN. Of the requests about the third child of each class, OWN's is decided, OTHER's and
        FAR's wait for a second person.
        """
        rooms, school = self.school.rooms, self.school
        cases, requests = rooms.follow_ups.hand_overs, rooms.rights.requests
        head, welfare, privacy = (
            school.who("management"),
            school.who("welfare"),
            school.who("privacy"),
        )
        self.case[OTHER] = cases.give(head, school.children[OTHER][0], "support", REASON)
        self.case[OWN] = cases.give(head, school.children[OWN][3], "support", REASON)
        cases.give_back(welfare, self.case[OWN], RETURNED)
        for class_id, why in ((OWN, WHY), (OTHER, WHY), (FAR, WHY_FAR)):
            self.request[class_id] = request = requests.receive(
                privacy, school.children[class_id][2], "disclosure", asked_by="legal",
                identity="photo_id", received_on=rooms.clock.today(), wish=WISH,
            )  # fmt: skip
            if class_id != FAR:
                rooms.rights.disclosures.mark(privacy, request, ["registration"], "harm", MARK)
            rooms.rights.disclosures.decide(
                privacy, request, "file", as_of=rooms.clock.now(), reason=why
            )
        rooms.rights.disclosures.approve(school.who("board"), self.request[OWN])
        link = rooms.rights.disclosures.link(requests.one(privacy, self.request[OWN]))
        assert link is not None
        self.link = str(link.id)
        alarm: dict[str, Any] = {
            "board": make.BOARD, "day": rooms.clock.today(), "count": 40, "threshold": 30,
            "usual": 0.0, "last_seq": 1, "raised_at": rooms.clock.now(), "acknowledged_by": "",
            "verdict": "", "note": "",
        }  # fmt: skip
        a_child = school.children[OWN][0]
        with rooms.database.writing() as conn:
            conn.execute(
                insert(looking_alarms),
                [
                    {"id": "open", "rule": "hour", "subject": "staff-nurse", **alarm},
                    {"id": "of-child", "rule": "watched", "subject": a_child, **alarm},
                    {"id": "settled", "rule": "night", "subject": "staff-other", **alarm},
                ],
            )  # fmt: skip
        alarm_desk.settle(
            rooms.database, rooms.clock, rooms.trail, school.who("auditor"), "settled",
            verdict="reasonable", note=ALARM,
        )  # fmt: skip
        RightsReview(rooms.database, rooms.clock, rooms.trail).decide(
            school.who("accounts"), "staff-nurse", year_now(rooms.clock), decision="keep",
            note=RIGHTS,
        )  # fmt: skip

    def hidden_from(self, login: str, listed: list[str]) -> set[str]:
        """Names and numbers this login may not see, words and notes it may not read."""
        hidden = set() if login in READERS | {"privacy"} else {WORDS}
        hidden |= set() if login in NOTED | {"privacy"} else {NOTE}
        hidden |= {words for words, readers in OFFICES.items() if login not in readers}
        hidden |= self._staff_hidden_from(login)
        handed_over = self.school.children[OTHER][0]
        return hidden | {
            canary
            for class_id, rows in self.of.items()
            for key, row in zip(self.school.children[class_id], rows, strict=True)
            if class_id not in SEES[login]
            and not (login == "committee" and key in listed)
            and not (login == "welfare" and key == handed_over)
            for canary in row
        }

    def _staff_hidden_from(self, login: str) -> set[str]:
        """Names of colleagues of schools that are not one's own."""
        if login in BOARDS:
            return set()
        if login == "operator":
            others = set(self.staff) - {"operator"}
        else:
            far = login == "nurse2"
            others = {one for one in self.staff if one not in BOARDS and (one == "nurse2") != far}
        return {self.staff[one] for one in others}


def _hash_of(rooms: Rooms) -> str:
    return str(next(iter(make.rows(rooms.database, t.staff))).password_hash)
