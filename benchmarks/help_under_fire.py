"""Calls for help while everything that serves them is killed with SIGKILL, over and over.

    python benchmarks/help_under_fire.py --minutes 10 --rate 100 --database postgresql

Real processes (`serve`, `work`, `schedule`, a chat server and, on PostgreSQL, the database server
itself), killed at random moments and started again, while children call at about `--rate` a second
and repeat each call until it is confirmed. At the end every confirmed call must be one alert,
delivered or moved on to the next step within its deadline, repeats must carry the same mark, and
the watchman's sums must agree; anything else ends with an error. How many calls really get in
depends on how much of the time there is a server to take them; the last line says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults.fire import town

CALLS_A_SECOND_OF_A_TABLET = 5.0


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--minutes", type=float, default=1.0)
    ask.add_argument("--rate", type=float, default=100.0, help="calls a second")
    ask.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    ask.add_argument("--seed", type=int, default=1)
    given = ask.parse_args()
    tablets = max(1, round(given.rate / CALLS_A_SECOND_OF_A_TABLET))
    # A child's calls beyond twenty an hour join earlier ones, so a long run has many children.
    children = max(80, round(given.rate * given.minutes * 60 / 15))
    with (
        tempfile.TemporaryDirectory(prefix="kizashi-fire-", ignore_cleanup_errors=True) as folder,
        town(
            given.database, Path(folder), Fernet.generate_key().decode(), tablets=tablets,
            pause=1 / CALLS_A_SECOND_OF_A_TABLET, children=children,
        ) as fire,
    ):  # fmt: skip
        fire.burn(given.minutes * 60, given.seed)
        result = fire.check()
    print("killed: " + ", ".join(f"{name} {n}" for name, n in sorted(fire.kills.items())))
    print(
        f"calls={result.calls} alerts={result.alerts} told={result.told} repeats={result.repeats} "
        f"lost=0 told_p99_s={result.p99_seconds:.1f} kills={sum(fire.kills.values())}"
    )


if __name__ == "__main__":
    main()
