"""The house rules see what they are there for, and the checkout keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import house_rules as rules

BAD = [
    (rules.wall_clock, "models/x.py", "from datetime import datetime\nx = datetime.now()\n"),
    (rules.wall_clock, "demo/x.py", "import time\nx = time.time()\n"),
    (rules.bare_jwt, "teacher_portal/x.py", "from jose import jwt\n"),
    (rules.bare_jwt, "teacher_portal/x.py", "import jose.jwt\n"),
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


def test_this_checkout_keeps_them() -> None:
    assert rules.broken() == []
