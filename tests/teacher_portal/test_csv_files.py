"""Cells of a file neither act in a spreadsheet nor lose what was written."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from teacher_portal.csv_files import ACTED_ON, as_written, csv_file

CELL = st.builds(
    str.__add__, st.sampled_from(["", "'", *ACTED_ON]), st.text("=+-@\t'あ1＝", max_size=4)
)


@given(CELL)
def test_no_cell_acts_and_each_comes_back(cell: str) -> None:
    body = bytes(csv_file("some.csv", [[cell, "x"]]).body).decode("utf-8-sig")
    ((found, _),) = csv.reader(io.StringIO(body, newline=""))
    assert not found.startswith(ACTED_ON)
    if not (cell.startswith("'") and cell[1:].startswith(ACTED_ON)):
        assert as_written(found) == cell  # but for who wrote the apostrophe too


def test_numbers_stay_numbers() -> None:
    assert b"-0.5,3" in bytes(csv_file("some.csv", [[-0.5, 3]]).body)
