"""All routes of the portal in one router, for app.py to include."""

from __future__ import annotations

from fastapi import APIRouter

from teacher_portal import (
    account,
    account_links,
    accounts,
    alerts,
    board,
    cards,
    cases,
    classes,
    committee,
    follow_up,
    home,
    invitation,
    language,
    lists,
    live,
    notices,
    requests,
    requests_amend,
    requests_approval,
    requests_disclosure,
    rights_review,
    second_factor,
    security,
    retention,
    sign_in,
    status,
    students,
    trail,
    trail_alarms,
    trail_child,
)

router = APIRouter()
for room in (
    sign_in, second_factor, security, invitation, account, language, home, live, alerts, notices,
    classes, students, lists, committee, follow_up,
    board, cases, cards, accounts, account_links, status,
    requests, requests_disclosure, requests_amend, requests_approval,
    trail, trail_alarms, trail_child, rights_review, retention,
):  # fmt: skip
    router.include_router(room.router)
