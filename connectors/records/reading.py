"""A file's bytes into a header and rows of text, whatever it was saved as.

Encodings met in practice: CP932 (what "CSV" means in most offices), UTF-8 with or without BOM. A
file may be damaged in one cell only; so bytes that do not decode are carried along as marks
(`surrogateescape`) and only the rows holding them are bad. Rows are counted as a spreadsheet shows
them, the header being row 1, so that people find the row a report names.

Nothing here knows what a column means (`columns.py`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from pathlib import Path

import msgspec

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 200_000
MAX_CELL = 2_000
_MARK = re.compile("[\udc80-\udcff]")


class Unreadable(ValueError):
    """The file as a whole cannot be taken; nothing of it was. `reason_ja`, `reason_en` say why."""

    def __init__(self, reason_ja: str, reason_en: str, column: str = "") -> None:
        super().__init__(reason_en)
        self.reason_ja = reason_ja
        self.reason_en = reason_en
        self.column = column


class Row(msgspec.Struct, frozen=True):
    """One row: its number as a spreadsheet shows it, and its cells as text, untrimmed."""

    number: int
    cells: tuple[str, ...]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A read file. `encoding` is utf-8 or cp932; `sha256` is of its bytes."""

    name: str
    encoding: str
    sha256: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


def damaged(cell: str) -> bool:
    """Does the cell hold bytes that its file's encoding cannot mean?"""
    return _MARK.search(cell) is not None


def as_shown(cell: str) -> str:
    r"""The cell with undecodable bytes written as `\xNN`, fit to be stored and shown."""
    return _MARK.sub(lambda mark: f"\\x{ord(mark.group()) - 0xDC00:02x}", cell)


def read_file(path: Path) -> Table:
    """Read a CSV file. Raises Unreadable (too large, not a CSV, no header) or OSError."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Unreadable(
            f"大きすぎます({MAX_BYTES // 1024 // 1024}MBまで)",
            f"too large (at most {MAX_BYTES // 1024 // 1024} MB)",
        )
    return read_bytes(path.read_bytes(), path.name)


def read_bytes(data: bytes, name: str) -> Table:
    """Read a CSV from memory. Raises Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable("大きすぎます", "too large")
    if data.startswith(b"PK\x03\x04") or data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable(
            "Excelのファイルです。CSVで保存してから取り込んでください",
            "an Excel workbook; save it as CSV first",
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data:
        raise Unreadable(
            "文字コードがUTF-16か、文字のファイルではありません。CSV(シフトJISかUTF-8)で保存してください",
            "UTF-16 or not a text file; save it as CSV in Shift JIS or UTF-8",
        )
    text, encoding = _decode(data)
    records = _records(text)
    if not records:
        raise Unreadable("中身がありません", "the file is empty")
    header = tuple(as_shown(cell).strip() for cell in records[0].cells)
    if not any(header):
        raise Unreadable("1行目に見出しがありません", "row 1 has no header")
    return Table(
        name=name,
        encoding=encoding,
        sha256=hashlib.sha256(data).hexdigest(),
        header=header,
        rows=tuple(records[1:]),
    )


def _decode(data: bytes) -> tuple[str, str]:
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:].decode("utf-8", "surrogateescape"), "utf-8"
    found = {}
    for encoding in ("utf-8", "cp932"):
        text = data.decode(encoding, "surrogateescape")
        marks = len(_MARK.findall(text))
        if marks == 0:
            return text, encoding
        found[encoding] = (marks, text)
    # Damaged: the encoding that explains more of the bytes is the one it was written in.
    best = min(found, key=lambda encoding: found[encoding][0])
    return found[best][1], best


def _records(text: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    number = 0
    try:
        for cells in reader:
            number += 1
            if not any(cell.strip() for cell in cells):
                continue  # an empty line holds nothing that could be lost
            if len(rows) > MAX_ROWS:
                raise Unreadable(
                    f"行が多すぎます({MAX_ROWS}行まで)", f"too many rows (at most {MAX_ROWS})"
                )
            rows.append(Row(number, tuple(cells)))
    except csv.Error:
        raise Unreadable(
            f'{number + 1}行目あたりで引用符(")が閉じていません',
            f"a quotation mark is not closed near row {number + 1}",
        ) from None
    return rows
