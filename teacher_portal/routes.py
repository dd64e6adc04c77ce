"""All routes of the portal in one router, for app.py to include."""

from __future__ import annotations

from fastapi import APIRouter

from teacher_portal import (
    account,
    account_links,
    accounts,
    alert_life,
    alerts,
    board,
    cards,
    case_counts,
    cases,
    channels,
    classes,
    committee,
    cover,
    devices,
    digest,
    drift,
    entry,
    evaluation,
    evaluation_school,
    follow_up,
    home,
    invitation,
    language,
    lists,
    live,
    notices,
    opinions,
    playbook,
    requests,
    requests_amend,
    requests_approval,
    requests_disclosure,
    retention,
    rights_review,
    second_factor,
    security,
    sheets,
    sign_in,
    status,
    students,
    take,
    told,
    trail,
    trail_alarms,
    trail_child,
    watchman,
)

router = APIRouter()
for room in (
    sign_in, second_factor, security, invitation, account, language, home, live, alerts, alert_life,
    notices, opinions, digest,
    classes, students, lists, entry, committee, sheets, follow_up,
    board, playbook, evaluation, evaluation_school,
    cases, case_counts,
    cards, accounts, account_links, channels, cover, told, status, drift, watchman,
    requests, requests_disclosure, requests_amend, requests_approval,
    trail, trail_alarms, trail_child, rights_review, take, devices, retention,
):  # fmt: skip
    router.include_router(room.router)
