"""Which file this is, and which of its columns means what: told from the header row.

A `Kind` lists the fields a file of that kind has and the headings they go under in practice. The
kind is the one whose required fields are all there; if several fit, the one that explains most
columns. Headings are compared without width, spaces, brackets and dots.

Reading the cells is `cells.py`, what follows from a row is in the `kind_…` modules.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from connectors.records.reading import Unreadable

REJECT_ID = "取込行ID"
"""Heading of the column by which a corrected row finds its reject again."""

REJECT_NOTES = ("取込もとの行", "取込できない列", "取込できない理由")
"""Headings of the columns that tell people what to mend; never read."""

_NOISE = re.compile(r"[\s()\[\]「」・..:*※]|_")


class Field(msgspec.Struct, frozen=True):
    """A field and the headings it is known under; the first is used in messages and our files."""

    id: str
    headings: tuple[str, ...]
    required: bool = True


class Kind(msgspec.Struct, frozen=True):
    """A kind of file."""

    id: str
    label: str
    fields: tuple[Field, ...]

    def heading(self, field_id: str) -> str:
        """The heading shown for a field."""
        return next(f.headings[0] for f in self.fields if f.id == field_id)


def _f(field_id: str, *headings: str) -> Field:
    return Field(field_id, headings)


def _maybe(field_id: str, *headings: str) -> Field:
    return Field(field_id, headings, required=False)


NUMBER = _f("number", "学籍番号", "宛名番号", "児童生徒番号", "個人番号コード")
ACCOUNT = _f("account", "アカウント", "メールアドレス", "UPN")
SCHOOL = ("学校名", "学校", "学校コード", "在籍校")

KINDS: tuple[Kind, ...] = (
    Kind(
        "schools", "学校一覧",
        (
            _f("school", "学校コード"),
            _f("name", "学校名", "名称"),
            _f("stage", "校種", "学校種別"),
        ),
    ),
    Kind(
        "roster", "学齢簿・名簿",
        (
            NUMBER,
            _maybe("family_name", "姓", "氏"),
            _maybe("given_name", "名"),
            _maybe("name", "氏名", "児童生徒氏名"),
            _maybe("family_kana", "姓ふりがな", "せい", "姓カナ"),
            _maybe("given_kana", "名ふりがな", "めい", "名カナ"),
            _maybe("kana", "ふりがな", "フリガナ", "氏名カナ", "氏名ふりがな"),
            _f("born", "生年月日"),
            _maybe("sex", "性別"),
            _maybe("household", "世帯番号"),
            _f("school", *SCHOOL),
            _f("grade", "学年"),
            _f("room", "組", "学級", "クラス"),
            _f("seat", "出席番号", "番号", "番"),
            _f("on", "基準日", "異動日", "年月日"),
            _maybe("status", "異動区分", "在籍区分"),
        ),
    ),
    Kind(
        "attendance", "出欠",
        (NUMBER, _f("on", "日付", "年月日"), _f("what", "出欠区分", "出欠", "区分")),
    ),
    Kind(
        "nurse", "保健室利用",
        (
            NUMBER,
            _f("on", "来室日", "利用日"),
            _maybe("time", "来室時刻", "時刻"),
            _maybe("why", "来室理由", "理由"),
        ),
    ),
    Kind(
        "health", "健康診断",
        (
            NUMBER,
            _f("on", "検査日", "健診日", "測定日"),
            _f("weight", "体重パーセンタイル", "体重パーセンタイル値"),
            _maybe("right", "視力右", "視力(右)", "右眼"),
            _maybe("left", "視力左", "視力(左)", "左眼"),
        ),
    ),
    Kind(
        "dental", "歯科検診",
        (
            NUMBER,
            _f("on", "検診日", "検査日", "健診日"),
            _f("untreated", "未処置歯数", "未処置歯", "未処置のむし歯"),
        ),
    ),
    Kind(
        "welfare", "福祉の抽出データ",
        (
            NUMBER,
            _f("on", "抽出日", "基準日"),
            _f("what", "制度区分", "登録区分", "手帳区分"),
        ),
    ),
    Kind(
        "infant_checks", "乳幼児健診",
        (
            NUMBER,
            _f("on", "抽出日", "基準日"),
            _f("check_1", "3〜4か月児健診受診日", "3-4か月児健診受診日"),
            _f("check_2", "1歳6か月児健診受診日"),
            _f("check_3", "3歳児健診受診日"),
        ),
    ),
    Kind(
        "items", "データ項目",
        (
            NUMBER,
            _f("on", "基準日", "抽出日", "日付"),
            _f("item", "データ項目", "項目"),
            _maybe("value", "値", "数値"),
        ),
    ),
    Kind(
        "opt_outs", "不同意書",
        (NUMBER, _f("on", "届出日", "受付日"), _f("what", "届出区分", "同意区分")),
    ),
    Kind(
        "staff", "職員・担当",
        (
            _f("login", "ログインID", "ユーザーID"),
            _f("name", "職員氏名", "氏名"),
            _f("role", "担当", "校務分掌", "職"),
            _maybe("school", *SCHOOL),
            _maybe("grade", "学年"),
            _maybe("room", "組", "学級"),
            _f("on", "開始日", "発令日"),
            _maybe("until", "終了日"),
            _maybe("slack", "SlackユーザーID", "SlackID"),
        ),
    ),
    Kind(
        "staff_accounts", "職員のアカウント",
        (_f("login", "ログインID", "ユーザーID"), ACCOUNT),
    ),
    Kind("child_accounts", "児童生徒のアカウント", (NUMBER, ACCOUNT)),
    Kind(
        "closed_days", "休業日",
        (
            _f("on", "休業日", "開始日"),
            _maybe("until", "終了日"),
            _maybe("school", *SCHOOL),
            _f("why", "休業理由", "事由", "名称", "理由"),
        ),
    ),
)  # fmt: skip

BY_ID = {kind.id: kind for kind in KINDS}


def normal(heading: str) -> str:
    """A heading as it is compared."""
    return _NOISE.sub("", unicodedata.normalize("NFKC", heading)).replace("~", "〜").lower()


class Columns(msgspec.Struct, frozen=True):
    """A header understood: field id -> index; what was not understood; where the reject id is."""

    kind: Kind
    index: dict[str, int]
    ignored: tuple[str, ...]
    reject_id: int | None


def _match(kind: Kind, header: tuple[str, ...]) -> dict[str, int]:
    where: dict[str, int] = {}
    for place, heading in enumerate(header):
        where.setdefault(normal(heading), place)
    index: dict[str, int] = {}
    for field in kind.fields:
        for heading in field.headings:
            found = where.get(normal(heading))
            if found is not None and found not in index.values():
                index[field.id] = found
                break
    return index


def _missing(kind: Kind, index: dict[str, int]) -> list[str]:
    missing = [f.headings[0] for f in kind.fields if f.required and f.id not in index]
    if (
        kind.id == "roster"
        and "name" not in index
        and not {"family_name", "given_name"} <= set(index)
    ):
        missing.append("氏名")
    return missing


def understand(header: tuple[str, ...], wanted: str | None = None) -> Columns:
    """The header's kind and columns; `wanted` names the kind when it is known.

    Raises Unreadable when a heading stands twice, a required column is missing or no kind fits,
    and KeyError for an unknown `wanted`.
    """
    seen = [normal(heading) for heading in header if heading]
    if twice := {heading for heading in header if heading and seen.count(normal(heading)) > 1}:
        raise Unreadable(
            "同じ見出しが2つあります", "a heading stands twice", "、".join(sorted(twice))
        )
    kinds = KINDS if wanted is None else (BY_ID[wanted],)
    fits = [(kind, _match(kind, header)) for kind in kinds]
    whole = [(kind, index) for kind, index in fits if not _missing(kind, index)]
    if not whole:
        near = max(fits, key=lambda fit: len(fit[1]) / len(fit[0].fields))
        missing = "、".join(_missing(*near))
        if wanted is None and len(near[1]) < 2:
            raise Unreadable(
                "見出しから種類がわかりません", "the header fits no kind of file we know"
            )
        raise Unreadable(
            f"「{near[0].label}」に必要な列がありません",
            f"a column that a file of kind '{near[0].id}' needs is missing",
            missing,
        )
    kind, index = max(whole, key=lambda fit: len(fit[1]))
    reject_id = None
    ignored = []
    for place, heading in enumerate(header):
        if normal(heading) == normal(REJECT_ID):
            reject_id = place
        elif heading and heading not in REJECT_NOTES and place not in index.values():
            ignored.append(heading)
    return Columns(kind, index, tuple(ignored), reject_id)
