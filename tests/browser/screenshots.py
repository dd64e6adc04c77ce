"""`make screenshots`: the browser walk again, keeping a picture of each station.

Only ever of the generated town: the walk builds one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.browser import town
from tests.browser.walk import Walk


def main(folder: Path) -> None:
    """Walk, and keep the pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        town.served(Path(data) / "town") as served,
        town.browser() as chromium,
    ):
        Walk(served, chromium, folder).all_of_it()
    print(f"Pictures are in {folder}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
