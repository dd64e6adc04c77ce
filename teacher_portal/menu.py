"""Which pages stand in a person's menu, and where somebody lands after signing in.

One table by ability, so that a new page is one line here. Leaving a page out of the menu protects
nothing: its route declares what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from warning_service.access.principals import Principal
from warning_service.access.roles import Ability


class Page(msgspec.Struct, frozen=True):
    """A page of the menu: its path, the key of its name, and for whom it is there."""

    path: str
    key: str
    shown: Callable[[Principal], bool]


def _may(*abilities: Ability) -> Callable[[Principal], bool]:
    return lambda who: any(who.may(ability) for ability in abilities)


def _has_classes(who: Principal) -> bool:
    """Classes seen whole: not from the meeting's screen, not from the welfare office."""
    extent = who.reach(Ability.SEE_STUDENT)
    return bool(extent.schools or extent.classes)


def _sees_a_school_not_counts(who: Principal) -> bool:
    """Lists of a whole school, or its meeting's; the board has the page of all its schools."""
    extent = who.reach(Ability.SEE_LIST)
    return bool(extent.schools or extent.agendas) and not who.may(Ability.SEE_COUNTS)


def _at_school(who: Principal) -> bool:
    """Who plans, or works at a school and can enter an absence of their own."""
    return who.may(Ability.PLAN_COVER) or who.may(Ability.SEE_ALERTS)


LISTS, MEETINGS, SHEETS = "/portal/lists", "/portal/meetings", "/portal/sheets"
ABOUT_LISTS = frozenset({LISTS, "/portal/board", "/portal/evaluation", "/portal/evaluation/school"})
"""Pages that show nothing at a board whose way of working makes no lists; it counts its cases."""

PAGES = (
    Page("/portal", "frame.nav_home", _may(Ability.SEE_ALERTS, Ability.SEE_LIST)),
    Page("/portal/alerts", "frame.nav_alerts", _may(Ability.SEE_ALERTS)),
    Page("/portal/classes", "frame.nav_classes", _has_classes),
    Page(LISTS, "frame.nav_lists", _may(Ability.SEE_LIST)),
    Page("/portal/cases", "frame.nav_cases", _may(Ability.TAKE_CASES)),
    Page("/portal/handed-over", "frame.nav_handed_over", _may(Ability.HAND_OVER)),
    Page(MEETINGS, "frame.nav_meetings", _may(Ability.REVIEW)),
    Page(SHEETS, "frame.nav_sheets", _may(Ability.FILL_SHEETS)),
    Page("/portal/board", "frame.nav_board", _may(Ability.SEE_COUNTS)),
    Page("/portal/case-counts", "frame.nav_case_counts", _may(Ability.SEE_COUNTS)),
    Page("/portal/playbook", "frame.nav_playbook", _may(Ability.TRY_PLAYBOOK)),
    Page("/portal/evaluation", "frame.nav_evaluation", _may(Ability.SEE_COUNTS)),
    Page("/portal/evaluation/school", "frame.nav_evaluation_school", _sees_a_school_not_counts),
    Page("/portal/requests", "frame.nav_requests", _may(Ability.HANDLE_REQUESTS)),
    Page("/portal/retention", "frame.nav_retention", _may(Ability.HANDLE_REQUESTS)),
    Page("/portal/approvals", "frame.nav_approvals", _may(Ability.APPROVE_REQUESTS)),
    Page("/portal/cards", "frame.nav_cards", _may(Ability.MANAGE_CARDS)),
    Page("/portal/accounts", "frame.nav_accounts", _may(Ability.MANAGE_ACCOUNTS)),
    Page("/portal/channels", "frame.nav_channels", _may(Ability.MANAGE_ACCOUNTS)),
    Page("/portal/cover", "frame.nav_cover", _at_school),
    Page("/portal/told", "frame.nav_told", _may(Ability.SEE_TELLING)),
    Page("/portal/rights-review", "frame.nav_rights_review", _may(Ability.REVIEW_RIGHTS)),
    Page("/portal/trail", "frame.nav_trail", _may(Ability.SEE_TRAIL)),
    Page("/portal/drift", "frame.nav_drift", _may(Ability.SEE_COUNTS)),
    Page("/portal/status", "frame.nav_status", _may(Ability.OPERATE)),
    Page("/portal/feeds", "frame.nav_drift", _may(Ability.OPERATE)),
    Page("/portal/watchman", "frame.nav_watchman", _may(Ability.OPERATE)),
    Page("/portal/messages", "frame.nav_messages", _may(Ability.OPERATE)),
    Page(
        "/portal/notices",
        "frame.nav_notices",
        _may(
            Ability.SEE_ALERTS,
            Ability.SEE_COUNTS,
            Ability.OPERATE,
            Ability.SEE_TRAIL,
            Ability.HANDLE_REQUESTS,
        ),
    ),
)
"""In the order of the menu; the first one that is shown is where a person lands."""


def menu_of(who: Principal, *, without: Collection[str] = ()) -> list[tuple[str, str]]:
    """(path, key of its name) of each page of this person's menu.

    `without`: paths of pages that the board's way of working has no use for.
    """
    return [(page.path, page.key) for page in PAGES if page.shown(who) if page.path not in without]
