"""Words of the disclosure file: Japanese only, because a family reads it.

The pages around it are bilingual and take their words from texts.toml; a document that is handed
out is in the language of the authority.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from warning_service.access.roles import Role
from warning_service.clock import JAPAN

ROLE_JA: dict[Role, str] = {
    Role.CHILD: "本人",
    Role.HOMEROOM: "担任",
    Role.GRADE_LEAD: "学年主任",
    Role.NURSE: "養護教諭",
    Role.COUNSELLOR: "スクールカウンセラー",
    Role.SOCIAL_WORKER: "スクールソーシャルワーカー",
    Role.GUIDANCE: "生徒指導主任",
    Role.MANAGEMENT: "管理職",
    Role.COMMITTEE: "校内委員会",
    Role.BOARD: "教育委員会(集計)",
    Role.BOARD_GUIDANCE: "指導主事",
    Role.WELFARE: "福祉部局",
    Role.PRIVACY: "個人情報担当",
    Role.ACCOUNTS: "アカウント担当",
    Role.AUDITOR: "監査担当",
    Role.OPERATOR: "運用担当",
}

WEEKDAYS = "月火水木金土日"


def roles_ja(roles: Collection[str]) -> str:
    """Names of roles, joined; an id that is not a role any more stays as it is."""
    known = {role.value: words for role, words in ROLE_JA.items()}
    return "・".join(known.get(role, role) for role in roles)


def day_ja(day: date) -> str:
    """2026年5月11日(月)."""
    return f"{day.year}年{day.month}月{day.day}日({WEEKDAYS[day.weekday()]})"


def instant_ja(at: datetime) -> str:
    """2026年5月11日(月) 09:00, in Japan."""
    local = at.astimezone(JAPAN)
    return f"{day_ja(local.date())} {local:%H:%M}"
