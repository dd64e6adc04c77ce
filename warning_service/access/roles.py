"""Roles, what each may do, and the declaration every route carries.

One table says which abilities a role has; places come from the person's duties (roster). A route
declares abilities, never roles, so that a board which splits a duty differently changes this table
and not the pages.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Duties a person can hold. The place of each is named beside it."""

    CHILD = "child"  # itself
    HOMEROOM = "homeroom"  # a class
    NURSE = "nurse"  # a school
    COUNSELLOR = "counsellor"  # a school
    GUIDANCE = "guidance"  # a school: 生徒指導主任
    MANAGEMENT = "management"  # a school
    COMMITTEE = "committee"  # a school: the meeting's shared screen
    BOARD = "board"  # a board: counts only
    OPERATOR = "operator"  # the installation: no personal data


class Ability(StrEnum):
    """What a route may need."""

    ANSWER = "answer"  # check-ins and consultations, for oneself
    SEE_ALERTS = "see_alerts"
    SEE_STUDENT = "see_student"
    SEE_LIST = "see_list"
    REVIEW = "review"  # class entries in a meeting
    RECORD_FOLLOW_UP = "record_follow_up"
    SEE_COUNTS = "see_counts"  # board statistics, no names
    RUN_DEMO = "run_demo"  # move the demo's clock
    OPERATE = "operate"


_SCHOOL_STAFF = frozenset(
    {Ability.SEE_ALERTS, Ability.SEE_STUDENT, Ability.SEE_LIST, Ability.RECORD_FOLLOW_UP}
)

ABILITIES: dict[Role, frozenset[Ability]] = {
    Role.CHILD: frozenset({Ability.ANSWER}),
    Role.HOMEROOM: _SCHOOL_STAFF,
    Role.NURSE: _SCHOOL_STAFF,
    Role.COUNSELLOR: _SCHOOL_STAFF,
    Role.GUIDANCE: _SCHOOL_STAFF | {Ability.REVIEW},
    Role.MANAGEMENT: _SCHOOL_STAFF | {Ability.REVIEW},
    Role.COMMITTEE: frozenset({Ability.SEE_LIST, Ability.SEE_STUDENT, Ability.REVIEW}),
    Role.BOARD: frozenset({Ability.SEE_COUNTS}),
    Role.OPERATOR: frozenset({Ability.OPERATE}),
}

WHOLE_SCHOOL = frozenset(
    {Role.NURSE, Role.COUNSELLOR, Role.GUIDANCE, Role.MANAGEMENT, Role.COMMITTEE}
)
"""Roles whose place is a school; a homeroom teacher's is a class."""
