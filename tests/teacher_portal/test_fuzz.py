"""Whatever is sent to whichever address by whichever role: an answer, never a fault of ours.

Cases come from the application's own description of its addresses (which it does not serve). The
forms' CSRF tokens are right, so that what is sent gets past the door; everything else is made up.
What each role may reach is test_matrix's business; here nothing may end in a server error, hang, or
come back without the headers that every page carries.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests import make
from tests.teacher_portal.conftest import HTML
from tests.teacher_portal.school import School
from warning_service.access.web import CHILD_COOKIE, STAFF_COOKIE
from warning_service.app import create_app

STREAMS = {"/portal/live"}
CASES = 6
"""Different cases made up for each address; every role sends one of them, in turns."""
DOORS = re.compile(r"sign-out|revoke|deactivate")
"""Forms that would end the session the fuzzing itself uses."""

ROLES = {
    "homeroom": "sakura-1", "grade_lead": "sakura:4", "nurse": "sakura", "counsellor": "sakura",
    "social_worker": "sakura", "guidance": "sakura", "management": "sakura",
    "committee": "sakura", "board": make.BOARD, "board_guidance": make.BOARD,
    "welfare": make.BOARD, "privacy": make.BOARD, "accounts": make.BOARD, "auditor": make.BOARD,
    "operator": make.BOARD,
}  # fmt: skip


class Caller:
    """One role's session: cookies and the token its forms carry."""

    def __init__(self, url: str, cookie: str = "", token: str = "", csrf: str = "") -> None:
        cookies = {cookie: token} if cookie else {}
        self.client = httpx.Client(
            base_url=url, cookies=cookies, trust_env=False, verify=False, timeout=20, headers=HTML
        )
        self.csrf = csrf

    def send(self, case: Any) -> httpx.Response:
        """The case as this caller would send it."""
        given = case.as_transport_kwargs()
        body = case.body if isinstance(case.body, dict) else None
        json = body if case.media_type == "application/json" else None
        form = None if json is not None or body is None else _flat(body)
        return self.client.request(
            case.method,
            case.formatted_path,
            params={k: str(v) for k, v in (given.get("params") or {}).items()},
            headers={"x-kizashi-csrf": self.csrf} if self.csrf else {},
            json=json,
            data=form,
        )


def _flat(body: dict[str, Any]) -> dict[str, Any]:
    return {
        str(k): [str(one) for one in v] if isinstance(v, list) else str(v) for k, v in body.items()
    }


def callers(school: School, url: str) -> dict[str, Caller]:
    """One caller for each role, a child, and nobody."""
    rooms = school.rooms
    found = {"nobody": Caller(url)}
    for role, place in ROLES.items():
        key = make.staff(rooms.database, f"fuzz-{role}", (role, place))
        token = rooms.sessions.start_staff(key, make.BOARD, factors=("totp",))
        who = rooms.sessions.find(token)
        assert who is not None, role
        found[role] = Caller(url, STAFF_COOKIE, token, who.csrf)
    student = school.children["sakura-1"][0]
    token = rooms.sessions.start_child(student, make.BOARD, "sakura-1")
    who = rooms.sessions.find(token)
    assert who is not None
    found["child"] = Caller(url, CHILD_COOKIE, token, who.csrf)
    return found


def made_up(operation: Any, count: int) -> list[Any]:
    """Up to `count` different cases of one address; the same ones at every run."""
    found: list[Any] = []

    @given(case=operation.as_strategy())
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_that_is_sent_is_a_fault_of_ours(school: School, server: str) -> None:
    school.alert(school.children["sakura-1"][0], "nurse", words="はなしたい")
    school.warning_list(school.children["sakura-1"][:3])
    schema = schemathesis.openapi.from_dict(create_app(school.rooms).openapi())
    by_role = callers(school, server)
    sent = 0
    wrong: list[str] = []
    for operation in (found.ok() for found in schema.get_all_operations()):
        if operation.path in STREAMS or DOORS.search(operation.path):
            continue
        for role, case in zip(by_role, itertools.cycle(made_up(operation, CASES)), strict=False):
            answer = by_role[role].send(case)
            sent += 1
            at = f"{role}: {operation.label} -> {answer.status_code}"
            if answer.status_code >= 500:
                wrong.append(at)
            for header in ("content-security-policy", "x-content-type-options"):
                if header not in answer.headers:
                    wrong.append(f"{at} without {header}")
    for caller in by_role.values():
        caller.client.close()
    assert sent > 1500
    assert not wrong, "\n".join(sorted(set(wrong)))
