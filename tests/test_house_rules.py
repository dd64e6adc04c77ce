"""The house rules see what they are there for, and the checkout keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import SQLModel

import warning_service.tables  # noqa: F401  (fills the metadata)
from tests import house_rules as rules
from warning_service.database import ROSTER

BAD = [
    (rules.wall_clock, "models/x.py", "from datetime import datetime\nx = datetime.now()\n"),
    (rules.wall_clock, "demo/x.py", "import time\nx = time.time()\n"),
    (rules.bare_jwt, "teacher_portal/x.py", "from jose import jwt\n"),
    (rules.bare_jwt, "teacher_portal/x.py", "import jose.jwt\n"),
    (rules.bare_jwt, "connectors/sign_in/x.py", "from jose import jwt\n"),
    (rules.bare_jwt, "warning_service/access/doors/tokens.py", "from joserfc import jwt\n"),
    (rules.bare_jwt, "connectors/messaging/x.py", "import joserfc.jwk\n"),
    (rules.bare_jwt, "connectors/sign_in/x.py", "import jwt\n"),
    (
        rules.names_outside_access,
        "teacher_portal/x.py",
        "from warning_service.roster.tables import students\n",
    ),
    (
        rules.names_outside_access,
        "warning_service/alerts/x.py",
        "from warning_service.roster import tables as r\nq = r.staff\n",
    ),
    (
        rules.names_outside_access,
        "warning_service/judging/x.py",
        "import warning_service.roster.tables\nq = warning_service.roster.tables.students\n",
    ),
    (
        rules.names_outside_access,
        "warning_service/judging/x.py",
        "from warning_service import roster\nq = roster.tables.seats\n",
    ),
    (
        rules.names_outside_access,
        "warning_service/events/x.py",
        "q = 'SELECT family_name FROM roster.students'\n",
    ),
    (
        rules.past_the_scope,
        "teacher_portal/x.py",
        "with rooms.database.as_service().reading() as conn:\n    pass\n",
    ),
    (
        rules.past_the_scope,
        "student_checkin/x.py",
        "with rooms.database.writing() as conn:\n    pass\n",
    ),
    (rules.inline_or_outside, "design/x.html", '<p style="color: red">'),
    (rules.inline_or_outside, "design/x.html", "<script>alert(1)</script>"),
    (rules.inline_or_outside, "design/x.html", '<img src="https://elsewhere.example/x.png">'),
    (rules.inline_or_outside, "design/x.html", '<button onclick="x()">'),
    (rules.skipped_tests, "tests/x.py", "pytest.skip('no browser')\n"),
    (rules.registry_hosts, "README.md", "see " + "py" + "pi.org"),
    (rules.module_docstring, "models/x.py", "x = 1\n"),
    (rules.too_long, "models/x.py", "x = 1\n" * 451),
]
GOOD = [
    (rules.bare_jwt, "connectors/sign_in/x.py", "from joserfc.jwk import KeySet\n"),
    (rules.bare_jwt, "warning_service/access/doors/tokens.py", "from jose import jwt\n"),
    (
        rules.past_the_scope,
        "teacher_portal/x.py",
        "with rooms.database.reading() as conn:\n    pass\n",
    ),
    (
        rules.past_the_scope,
        "warning_service/access/x.py",
        "with database.as_service().reading() as conn:\n    pass\n",
    ),
    (rules.wall_clock, "models/x.py", "now = clock.now()\n"),
    (rules.wall_clock, "warning_service/clock.py", "x = datetime.now(UTC)\n"),
    (
        rules.names_outside_access,
        "warning_service/access/x.py",
        "from warning_service.roster.tables import students\n",
    ),
    (
        rules.names_outside_access,
        "teacher_portal/x.py",
        "from warning_service.roster.tables import schools\n",
    ),
    (rules.inline_or_outside, "design/x.html", '<script src="/static/x.js" defer></script>'),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_sees(rule: rules.Rule, path: str, text: str) -> None:
    assert list(rule(Path(path), text))


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_leaves_alone(rule: rules.Rule, path: str, text: str) -> None:
    assert not list(rule(Path(path), text))


def test_every_table_of_names_is_known_to_its_rule() -> None:
    named = {t.name for t in SQLModel.metadata.tables.values() if t.schema == ROSTER}
    assert named == rules._NAME_TABLES


def test_this_checkout_keeps_them() -> None:
    assert rules.broken() == []
