"""One row's cells, read by field; what is wrong with any of them is collected, not raised.

So that one look at a report is enough to mend a row, all its bad cells are named at once.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

import jaconv

from connectors.records.columns import Columns
from connectors.records.dates import NotADay, parse_day
from connectors.records.reading import MAX_CELL, Row, as_shown, damaged
from connectors.records.report import Problem

OLDEST = date(2000, 1, 1)
_AMOUNT = re.compile(r"-?\d{1,9}(\.\d{1,6})?")


class Cells:
    """The cells of `row`. Readers give a value, or a harmless stand-in and a `Problem`."""

    def __init__(self, columns: Columns, header: tuple[str, ...], row: Row, today: date) -> None:
        self.row = row
        self.problems: list[Problem] = []
        self._columns = columns
        self._header = header
        self._today = today
        extra = [cell for cell in row.cells[len(header) :] if cell.strip()]
        if len(row.cells) < len(header) or extra:
            self.wrong("", "列の数が見出しと違います", "not as many cells as headings")
        for place, cell in enumerate(row.cells[: len(header)]):
            if damaged(cell):
                self._note(header[place], "文字コードがこわれています", "bytes that are no text")
            elif len(cell) > MAX_CELL:
                self._note(header[place], "長すぎます", "too long")

    def _note(self, column: str, reason_ja: str, reason_en: str) -> None:
        self.problems.append(Problem(self.row.number, column, reason_ja, reason_en))

    def wrong(self, field: str, reason_ja: str, reason_en: str) -> None:
        """Note that a field's cell ('' for the row) cannot be taken."""
        place = self._columns.index.get(field)
        self._note("" if place is None else self._header[place], reason_ja, reason_en)

    @property
    def bad(self) -> bool:
        """Has anything been found wrong so far?"""
        return bool(self.problems)

    def has(self, field: str) -> bool:
        """Is there such a column?"""
        return field in self._columns.index

    def text(self, field: str, *, required: bool = True) -> str:
        """The cell, width-normalised and trimmed; '' when empty or no such column."""
        place = self._columns.index.get(field)
        cell = ""
        if place is not None and place < len(self.row.cells):
            cell = unicodedata.normalize("NFKC", self.row.cells[place]).strip()
        if not cell and required and place is not None:
            self.wrong(field, "空欄です", "empty")
        return cell

    def name(self, field: str, *, required: bool = True) -> str:
        """A name as it is written, trimmed only: a rare form of a character is part of it."""
        place = self._columns.index.get(field)
        cell = self.row.cells[place] if place is not None and place < len(self.row.cells) else ""
        if not cell.strip() and required and place is not None:
            self.wrong(field, "空欄です", "empty")
        return cell.strip()

    def kana(self, field: str) -> str:
        """A reading in hiragana, whatever kana it came in."""
        return str(jaconv.kata2hira(jaconv.h2z(self.text(field, required=False))))

    def number(self) -> str:
        """The child's number: letters, figures and hyphens; '' when wrong."""
        found = self.text("number")
        if found and not (found.replace("-", "").isascii() and found.replace("-", "").isalnum()):
            self.wrong("number", "番号として読めません", "not a number")
            return ""
        return found

    def day(self, field: str, *, required: bool = True) -> date:
        """A day. An empty optional cell gives `date.min`."""
        found = self.text(field, required=required)
        if not found:
            return date.min
        try:
            return parse_day(found)
        except NotADay as error:
            self.wrong(field, error.reason_ja, error.reason_en)
            return date.min

    def fact_day(self, field: str) -> date:
        """The day of a fact: not before 2000, not in the future."""
        day = self.day(field)
        if day == date.min:
            return day
        if day > self._today:
            self.wrong(field, "未来の日付です", "in the future")
        elif day < OLDEST:
            self.wrong(field, "2000年より前の日付です", "before 2000")
        return day

    def amount(
        self, field: str, least: float, most: float, *, required: bool = True
    ) -> float | None:
        """A number from `least` to `most`; None when empty or wrong."""
        found = self.text(field, required=required)
        if not found:
            return None
        if not _AMOUNT.fullmatch(found):
            self.wrong(field, "数として読めません", "not a number")
            return None
        value = float(found)
        if not least <= value <= most:
            self.wrong(
                field, f"{least:g}〜{most:g}の数ではありません", f"not from {least:g} to {most:g}"
            )
            return None
        return value

    def whole(self, field: str, least: int, most: int) -> int:
        """A whole number from `least` to `most`; `least` when wrong."""
        value = self.amount(field, least, most)
        if value is None:
            return least
        if value != int(value):
            self.wrong(field, "整数ではありません", "not a whole number")
        return int(value)

    def choice(self, field: str, choices: dict[str, str], *, required: bool = True) -> str:
        """What one of the known wordings means; '' when empty or unknown."""
        found = self.text(field, required=required)
        if not found:
            return ""
        if found not in choices:
            known = "、".join(list(choices)[:8])
            self.wrong(field, f"知らない区分です({known} など)", "not a value we know")
            return ""
        return choices[found]

    def as_dict(self) -> dict[str, str]:
        """The row as it came, by heading; cells beyond the header as 余分1, 余分2 …"""
        cells = [as_shown(cell) for cell in self.row.cells]
        named = dict(zip(self._header, cells, strict=False))
        extra = cells[len(self._header) :]
        return named | {f"余分{n}": cell for n, cell in enumerate(extra, 1)}
