"""Roles, what each may do and how far it reaches, and the declaration every route carries.

One table (`OFFICES`) says for each role at what kind of place it is held, which abilities it gives
and how far those reach; each ability serves one purpose. A route declares abilities, never roles,
so that a board which splits a duty differently changes this table and not the pages.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """Duties a person can hold."""

    CHILD = "child"
    HOMEROOM = "homeroom"  # 担任
    GRADE_LEAD = "grade_lead"  # 学年主任
    NURSE = "nurse"  # 養護教諭
    COUNSELLOR = "counsellor"  # スクールカウンセラー
    SOCIAL_WORKER = "social_worker"  # スクールソーシャルワーカー
    GUIDANCE = "guidance"  # 生徒指導主任
    MANAGEMENT = "management"  # 校長・教頭
    COMMITTEE = "committee"  # 校内委員会: the meeting's shared screen
    BOARD = "board"  # 教育委員会: statistics only
    BOARD_GUIDANCE = "board_guidance"  # 指導主事
    WELFARE = "welfare"  # 福祉部局・こども家庭センター
    PRIVACY = "privacy"  # 個人情報担当: refusals, disclosure, correction
    ACCOUNTS = "accounts"  # アカウント管理者: staff, duties, cards
    AUDITOR = "auditor"  # 監査: the trail, nothing else
    OPERATOR = "operator"  # 運用担当: the installation, no personal data


class Place(StrEnum):
    """What kind of place a role is held at; the roster's `duties.place` holds its id."""

    SELF = "self"
    CLASS = "class"
    GRADE = "grade"  # "school:grade"
    SCHOOL = "school"
    BOARD = "board"


class Reach(StrEnum):
    """Which children a role reaches from its place."""

    SELF = "self"
    CLASS = "class"  # on the roll of the class, or of the grade's classes, today
    SCHOOL = "school"  # on the roll of the school today
    BOARD = "board"  # on the roll of any of the board's schools today
    AGENDA = "agenda"  # listed on the school's current warning list, nobody else
    CASES = "cases"  # handed over to this office and not yet handed back
    NOBODY = "nobody"


class Purpose(StrEnum):
    """What personal data may be used for (利用目的); each ability serves one."""

    CARE = "care"  # helping a child: alerts, the child's page, records of what was done
    SCREENING = "screening"  # the list and the meeting on it
    STATISTICS = "statistics"
    RIGHTS = "rights"  # what families may ask of the board
    ACCOUNTS = "accounts"
    AUDIT = "audit"
    OPERATION = "operation"


class Ability(StrEnum):
    """What a route may need."""

    ANSWER = "answer"  # check-ins and consultations, for oneself
    SEE_ALERTS = "see_alerts"
    SEE_STUDENT = "see_student"
    SEE_LIST = "see_list"
    REVIEW = "review"  # decide in a meeting the playbook gives a seat in
    RECORD_FOLLOW_UP = "record_follow_up"
    FILL_SHEETS = "fill_sheets"  # a section of an assessment sheet on a child
    HAND_OVER = "hand_over"  # give a case to the welfare office, or take it back
    TAKE_CASES = "take_cases"  # the welfare office: cases handed over to it, and giving them back
    MANAGE_CARDS = "manage_cards"  # children's sign-in cards
    SEE_COUNTS = "see_counts"  # board statistics, no names
    TRY_PLAYBOOK = (
        "try_playbook"  # a changed playbook on the past, in counts; none comes into force
    )
    HANDLE_REQUESTS = "handle_requests"  # refusals, disclosure, correction, stop of use
    APPROVE_REQUESTS = "approve_requests"  # the second person where something is withheld
    MANAGE_ACCOUNTS = "manage_accounts"
    REVIEW_RIGHTS = "review_rights"  # the yearly review of who may what
    PLAN_COVER = "plan_cover"  # who is away, who stands in, who is on duty in a vacation
    SEE_TELLING = "see_telling"  # who would be told when, and where nobody would
    SEE_TRAIL = "see_trail"
    RUN_DEMO = "run_demo"  # move the demo's clock
    OPERATE = "operate"


PURPOSES: dict[Ability, Purpose] = {
    Ability.ANSWER: Purpose.CARE,
    Ability.SEE_ALERTS: Purpose.CARE,
    Ability.SEE_STUDENT: Purpose.CARE,
    Ability.SEE_LIST: Purpose.SCREENING,
    Ability.REVIEW: Purpose.SCREENING,
    Ability.RECORD_FOLLOW_UP: Purpose.CARE,
    Ability.FILL_SHEETS: Purpose.CARE,
    Ability.HAND_OVER: Purpose.CARE,
    Ability.TAKE_CASES: Purpose.CARE,
    Ability.MANAGE_CARDS: Purpose.ACCOUNTS,
    Ability.SEE_COUNTS: Purpose.STATISTICS,
    Ability.TRY_PLAYBOOK: Purpose.STATISTICS,
    Ability.HANDLE_REQUESTS: Purpose.RIGHTS,
    Ability.APPROVE_REQUESTS: Purpose.RIGHTS,
    Ability.MANAGE_ACCOUNTS: Purpose.ACCOUNTS,
    Ability.REVIEW_RIGHTS: Purpose.ACCOUNTS,
    Ability.PLAN_COVER: Purpose.ACCOUNTS,
    Ability.SEE_TELLING: Purpose.OPERATION,
    Ability.SEE_TRAIL: Purpose.AUDIT,
    Ability.RUN_DEMO: Purpose.OPERATION,
    Ability.OPERATE: Purpose.OPERATION,
}


class Office(msgspec.Struct, frozen=True):
    """What holding a role means. `reach`: whom the abilities about children are for."""

    place: Place
    reach: Reach
    abilities: frozenset[Ability]


_CARE = frozenset(
    {Ability.SEE_ALERTS, Ability.SEE_STUDENT, Ability.SEE_LIST, Ability.RECORD_FOLLOW_UP}
) | {Ability.FILL_SHEETS}
_LEAD = _CARE | {Ability.REVIEW, Ability.HAND_OVER}

OFFICES: dict[Role, Office] = {
    Role.CHILD: Office(Place.SELF, Reach.SELF, frozenset({Ability.ANSWER})),
    Role.HOMEROOM: Office(Place.CLASS, Reach.CLASS, _CARE | {Ability.MANAGE_CARDS}),
    Role.GRADE_LEAD: Office(Place.GRADE, Reach.CLASS, _CARE),
    Role.NURSE: Office(Place.SCHOOL, Reach.SCHOOL, _CARE | {Ability.REVIEW}),
    Role.COUNSELLOR: Office(Place.SCHOOL, Reach.SCHOOL, _CARE | {Ability.REVIEW}),
    Role.SOCIAL_WORKER: Office(
        Place.SCHOOL, Reach.SCHOOL, _CARE | {Ability.REVIEW, Ability.HAND_OVER}
    ),
    Role.GUIDANCE: Office(Place.SCHOOL, Reach.SCHOOL, _LEAD | {Ability.SEE_TELLING}),
    Role.MANAGEMENT: Office(
        Place.SCHOOL,
        Reach.SCHOOL,
        _LEAD
        | {Ability.MANAGE_CARDS, Ability.APPROVE_REQUESTS, Ability.REVIEW_RIGHTS}
        | {Ability.PLAN_COVER, Ability.SEE_TELLING},
    ),
    Role.COMMITTEE: Office(
        Place.SCHOOL,
        Reach.AGENDA,
        frozenset({Ability.SEE_LIST, Ability.SEE_STUDENT, Ability.REVIEW}),
    ),
    Role.BOARD: Office(
        Place.BOARD,
        Reach.NOBODY,
        frozenset({Ability.SEE_COUNTS, Ability.APPROVE_REQUESTS, Ability.SEE_TELLING})
        | {Ability.TRY_PLAYBOOK},
    ),
    Role.BOARD_GUIDANCE: Office(
        Place.BOARD,
        Reach.BOARD,
        frozenset({Ability.SEE_COUNTS, Ability.SEE_LIST, Ability.SEE_STUDENT, Ability.HAND_OVER})
        | {Ability.SEE_TELLING, Ability.REVIEW, Ability.FILL_SHEETS, Ability.TRY_PLAYBOOK},
    ),
    Role.WELFARE: Office(
        Place.BOARD,
        Reach.CASES,
        frozenset({Ability.SEE_STUDENT, Ability.RECORD_FOLLOW_UP, Ability.TAKE_CASES})
        | {Ability.REVIEW, Ability.FILL_SHEETS},
    ),
    Role.PRIVACY: Office(Place.BOARD, Reach.BOARD, frozenset({Ability.HANDLE_REQUESTS})),
    Role.ACCOUNTS: Office(
        Place.BOARD,
        Reach.NOBODY,
        frozenset({Ability.MANAGE_ACCOUNTS, Ability.REVIEW_RIGHTS})
        | {Ability.PLAN_COVER, Ability.SEE_TELLING},
    ),
    Role.AUDITOR: Office(Place.BOARD, Reach.NOBODY, frozenset({Ability.SEE_TRAIL})),
    Role.OPERATOR: Office(Place.BOARD, Reach.NOBODY, frozenset({Ability.OPERATE})),
}

AT_SCHOOL = frozenset(role for role, office in OFFICES.items() if office.place is Place.SCHOOL)
"""Roles whose place is a school."""
