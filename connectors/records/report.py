"""What became of a file, row by row: for people to read, and to correct by.

Every row of the file is in exactly one of the counts. Reasons name the row and the column and say
what is wrong; they never repeat the cell, because a report may be looked at by people who are not
entitled to it (an operator). The cells themselves wait in `roster.rejects`.
"""

from __future__ import annotations

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with one cell (`column` may be '' for the row as such)."""

    row: int
    column: str
    reason_ja: str
    reason_en: str


class ImportReport(msgspec.Struct, kw_only=True):
    """One file's import. Counts are rows: total = new + known + rejected + opted_out + not_counted.

    `refused`: nothing of the file was taken (wrong columns, not a CSV …), and `problems` say why.
    """

    import_id: str
    board: str
    kind: str
    kind_label: str
    file_name: str
    encoding: str = ""
    refused: bool = False
    rows_total: int = 0
    rows_new: int = 0
    rows_known: int = 0
    rows_rejected: int = 0
    rows_opted_out: int = 0
    rows_not_counted: int = 0
    rows_mended: int = 0  # of the new or known ones: earlier rejected, now right
    ignored_columns: tuple[str, ...] = ()
    problems: list[Problem] = msgspec.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Was every row taken or left out for a good reason?"""
        return not self.refused and self.rows_rejected == 0

    def table(self) -> RenderableType:
        """The report, for a terminal."""
        return as_table([self])


def as_table(reports: list[ImportReport], *, most_problems: int = 20) -> RenderableType:
    """The reports for a terminal (rich): one line a file, then what is wrong, by row."""
    table = RichTable(title="取り込み / Import", title_justify="left")
    table.add_column("ファイル / file", overflow="fold")
    table.add_column("種類 / kind")
    for head in (
        "行 / rows",
        "新 / new",
        "既知 / known",
        "不可 / rejected",
        "不同意 / opted out",
        "対象外 / not counted",
    ):
        table.add_column(head, justify="right")
    for r in reports:
        state = "取り込まず / refused" if r.refused else r.kind_label
        table.add_row(
            r.file_name, state, str(r.rows_total), str(r.rows_new), str(r.rows_known),
            str(r.rows_rejected), str(r.rows_opted_out), str(r.rows_not_counted),
        )  # fmt: skip
    parts: list[RenderableType] = [table]
    for r in reports:
        for problem in r.problems[:most_problems]:
            column = f"「{problem.column}」" if problem.column else ""
            parts.append(
                Text(
                    f"{r.file_name} {problem.row}行目 {column}{problem.reason_ja}"
                    f" / row {problem.row}: {problem.reason_en}"
                )
            )
        if (more := len(r.problems) - most_problems) > 0:
            parts.append(Text(f"{r.file_name} …ほか{more}件 / and {more} more"))
        if r.ignored_columns:
            names = "、".join(r.ignored_columns)
            parts.append(Text(f"{r.file_name} 読まなかった列 / columns not read: {names}"))
    return Group(*parts)
