"""All routes of the tablet."""

from __future__ import annotations

from fastapi import APIRouter

from student_checkin import account, api, pages, sign_in

router = APIRouter()
router.include_router(api.router)
router.include_router(sign_in.router)
router.include_router(account.router)
router.include_router(pages.router)
