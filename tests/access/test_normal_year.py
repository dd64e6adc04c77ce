"""A term of ordinary work in the generated town: few alarms, and odd looking in it is found.

One term, so that it is quick; `benchmarks/odd_looks.py` counts a whole year.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from demo.looking import ODD_DAYS, Year, odd, write_day
from demo.town import make_town
from tests import make
from warning_service.access.tables import audit, looking_alarms
from warning_service.access.trail.alarm_rules import load_rules
from warning_service.access.trail.alarms import Watch
from warning_service.access.trail.audit import Trail, TrailKeys
from warning_service.clock import MovableClock, at, day_of
from warning_service.database import Database
from warning_service.settings import Settings

FIRST, LAST = date(2025, 9, 15), date(2025, 12, 19)
MOST_FALSE_ALARMS = 4
"""In the whole town's term: about one a month for its one auditor."""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # long enough once
def test_an_ordinary_term_gives_few_alarms_and_odd_looking_is_found(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    clock = MovableClock(at(FIRST))
    trail = Trail(database, clock, TrailKeys(settings))
    watch = Watch(database, clock, load_rules(tmp_path))
    year = Year(make_town())
    wanted = odd(year)
    planned = [moment for looks in wanted.values() for moment in looks]
    for n in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=n)
        extra = [moment for moment in planned if day_of(moment[0]) == day]
        write_day(database, trail, clock, sorted([*year.day(day), *extra], key=lambda one: one[0]))
        watch.run()
    rows = make.rows(database, looking_alarms)
    assert {row.rule for row in rows if row.day in ODD_DAYS} >= wanted.keys()
    false = [row for row in rows if row.day not in ODD_DAYS]
    assert len(make.rows(database, audit)) > 25_000
    assert len(false) <= MOST_FALSE_ALARMS, [(r.rule, r.subject, r.day, r.count) for r in false]
