"""All routes of the portal in one router, for app.py to include."""

from __future__ import annotations

from fastapi import APIRouter

from teacher_portal import (
    account,
    alerts,
    board,
    cases,
    classes,
    committee,
    follow_up,
    home,
    invitation,
    language,
    lists,
    live,
    second_factor,
    security,
    sign_in,
    status,
    students,
)

router = APIRouter()
for room in (
    sign_in, second_factor, security, invitation, account, language, home, live, alerts, classes,
    students, lists, committee, follow_up,
    board, cases, status,
):  # fmt: skip
    router.include_router(room.router)
