"""All routes of the portal in one router, for app.py to include."""

from __future__ import annotations

from fastapi import APIRouter

from teacher_portal import (
    account,
    alerts,
    board,
    classes,
    committee,
    follow_up,
    home,
    language,
    lists,
    live,
    sign_in,
    students,
)

router = APIRouter()
for room in (
    sign_in, account, language, home, live, alerts, classes, students, lists, committee, follow_up,
    board,
):  # fmt: skip
    router.include_router(room.router)
