"""False alarms on odd looking in a year of ordinary work, by the shipped rules.

    python benchmarks/odd_looks.py

Writes every look of the year to a trail in SQLite, day by day, lets the watch read it, and counts.
The generated town's work is made up (demo/looking.py), so this shows how the figures behave on
work of that shape, and nothing about real schools. The last line is `false_alarms=N`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import func, select

from demo.looking import FIRST, LAST, ODD_DAYS, Year, odd, write_day
from demo.town import make_town
from warning_service.access.tables import audit, looking, looking_alarms
from warning_service.access.trail.alarm_rules import load_rules
from warning_service.access.trail.alarms import Watch
from warning_service.access.trail.audit import Trail, TrailKeys
from warning_service.clock import MovableClock, at, day_of
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.settings import Settings


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder),
            secret_keys=[SecretStr(Fernet.generate_key().decode())],
            public_url="https://kizashi.example",
        )
        database = Database(settings.sqlalchemy_url)
        migrate(database)
        clock = MovableClock(at(FIRST))
        trail = Trail(database, clock, TrailKeys(settings))
        watch = Watch(database, clock, load_rules(Path(folder)))
        year = Year(make_town())
        wanted = odd(year)
        planned = [moment for looks in wanted.values() for moment in looks]
        for n in range((LAST - FIRST).days + 1):
            day = FIRST + timedelta(days=n)
            extra = [moment for moment in planned if day_of(moment[0]) == day]
            moments = sorted([*year.day(day), *extra], key=lambda one: one[0])
            write_day(database, trail, clock, moments)
            watch.run()
        with database.reading() as conn:
            rows = conn.execute(select(looking_alarms)).all()
            looks = conn.execute(select(func.count()).select_from(audit)).scalar_one()
            people = conn.execute(select(func.count(looking.c.staff.distinct()))).scalar_one()
        database.close()
    found = {row.rule for row in rows if row.day in ODD_DAYS}
    false = [row for row in rows if row.day not in ODD_DAYS]
    print(f"{looks} looks of {people} people")
    print(f"odd looking not found: {', '.join(sorted(wanted.keys() - found)) or 'none'}")
    print(f"by rule: {dict(Counter(row.rule for row in false))}")
    print(f"false_alarms={len(false)}")


if __name__ == "__main__":
    main()
