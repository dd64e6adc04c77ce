"""The statutory register of a personal information file (個人情報ファイル簿), filled in.

個人情報の保護に関する法律 第75条第1項 has local governments publish one for each file of a thousand
people or more. What the service knows (items in use from the catalogue and the board's playbook,
whom the file is about, how it comes in, to whom it goes) is filled in from the same tables that the
service works by; what only the board knows (which section, which address) it says, or the line
asks for it. The board's own form and its legal office have the last word.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from html import escape

import msgspec
from sqlalchemy import Connection, func, select

from warning_service.catalogue.items import Item, all_items
from warning_service.catalogue.questionnaires import plain, questionnaire
from warning_service.playbooks.model import Playbook
from warning_service.rights.words import day_ja
from warning_service.roster import tables as roster

LEAST_PEOPLE = 1000
"""Files about fewer people need no register (第75条第2項, 第74条第2項第9号 and its order)."""

SENSITIVE: dict[str, str] = {
    "disability_certificate": "心身の機能の障害",
    "mental_certificate": "心身の機能の障害",
    "dental_untreated": "健康診断の結果",
    "weight_percentile": "健康診断の結果",
    "eyesight_low": "健康診断の結果",
    "infant_check_missed": "健康診査の受診",
    "child_disability_support": "心身の機能の障害",
    "family_disability": "心身の機能の障害",
    "disability_service": "心身の機能の障害",
    "support_class": "心身の機能の障害",
    "family_care_level": "心身の機能の障害",
    "parent_mental_illness": "病歴",
    "maternal_illness": "病歴",
    "hospital_stays": "病歴",
    "health_finding": "健康診断の結果",
    "oral_finding": "健康診断の結果",
    "infant_caries": "健康診断の結果",
    "low_birth_weight": "健康診断の結果",
    "development_followup": "健康診断の結果",
    "prenatal_checks_missed": "健康診査の受診",
    "epds_score": "健康診断の結果",
    "dv_history": "犯罪により害を被った事実",
    "abuse_report": "犯罪により害を被った事実",
    "delinquency_report": "少年の保護事件に関する手続",
}
"""Items that are 要配慮個人情報 (第2条第3項 and its order), and as what."""

PERSON = (
    "氏名",
    "ふりがな",
    "生年月日",
    "性別",
    "番号(学籍番号など)",
    "世帯番号",
    "学校・学年・学級・出席番号",
    "サインインのための絵や数字(もとに戻せない形)",
)

MADE_HERE = (
    "相談(話したい相手、内容、書かれたことば)",
    "予兆リストの計算値、順位と根拠",
    "会議で決めた区分と支援の方向性",
    "見守り・経過記録",
    "お知らせとその対応",
    "福祉部局への引き継ぎ",
    "不同意、開示などの請求",
    "閲覧の記録",
)

PURPOSE = (
    "児童生徒の心身の不調、いじめ、不登校などの兆しに早く気づき、本人の相談に応じ、学校と関係機関が"
    "支援を検討し、見守るため。成績の評価や進学の資料には使わない。"
)


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """What only the board knows; '' is left to be filled in by hand."""

    section: str = ""
    address: str = ""
    law: str = ""  # another law with a special procedure for correction, if any
    remarks: str = ""


class Line(msgspec.Struct, frozen=True):
    """One line of the register."""

    label: str
    text: str


def asked_for(words: str, what: str) -> str:
    """The board's own words, or a line that asks for them."""
    return words or f"【記入してください: {what}】"


def people(conn: Connection, board: str) -> int:
    """How many children the file is about: all who are or have been on a roll of the board's."""
    e = roster.enrolments
    return int(
        conn.execute(
            select(func.count(func.distinct(e.c.student))).where(e.c.board == board)
        ).scalar_one()
    )


def items_of(playbook: Playbook) -> list[Item]:
    """Catalogue items the playbook uses, its outcome's included, in the catalogue's order."""
    used = {use.id for use in playbook.items} | {playbook.outcome.item}
    return [item for item in all_items().values() if item.id in used]


def questions_of(playbook: Playbook) -> list[str]:
    """The short names of all questions of the playbook's questionnaires, each once."""
    found: dict[str, None] = {}
    for name in playbook.questionnaires:
        for question in questionnaire(name).questions:
            found[plain(question.label)] = None
    return list(found)


def fill(board_name: str, playbook: Playbook, count: int, office: Office) -> list[Line]:
    """The register's lines, in the order of the law."""
    items = items_of(playbook)
    sensitive = [f"{i.label}({SENSITIVE[i.id]})" for i in items if i.id in SENSITIVE]
    owners = sorted({i.owner for i in items if i.department != "school"})
    bases = sorted({i.legal_basis for i in items})
    note = [f"対象者数 {count}人。", f"利用の根拠 {'、'.join(bases)}。"]
    if count < LEAST_PEOPLE:
        note.append(
            f"本人の数が{LEAST_PEOPLE}人に満たないファイルは作成・公表の義務の外です。条例も確かめてください。"
        )
    if office.remarks:
        note.append(office.remarks)
    return [
        Line("個人情報ファイルの名称", "兆し(Kizashi)児童生徒支援ファイル"),
        Line("行政機関等の名称", board_name),
        Line(
            "個人情報ファイルが利用に供される事務をつかさどる組織の名称",
            asked_for(office.section, "課・室の名前"),
        ),
        Line("個人情報ファイルの利用目的", PURPOSE),
        Line("記録項目", _numbered([*PERSON, *_questions(playbook), *_items(items), *MADE_HERE])),
        Line(
            "記録範囲", "市町村立の小学校、中学校、義務教育学校に在籍する、または在籍した児童生徒"
        ),
        Line("記録情報の収集方法", _collected(owners)),
        Line(
            "要配慮個人情報が含まれるときは、その旨",
            f"含む({'、'.join(sensitive)})" if sensitive else "含まない",
        ),
        Line(
            "記録情報の経常的提供先",
            "福祉部局・こども家庭センター(学校から引き継いだ児童生徒に限る)",
        ),
        Line(
            "開示請求等を受理する組織の名称及び所在地",
            f"{asked_for(office.section, '課・室の名前')} {asked_for(office.address, '所在地')}",
        ),
        Line(
            "訂正及び利用停止に関する他の法律又はこれに基づく命令の規定による特別の手続等",
            office.law or "なし",
        ),
        Line("個人情報ファイルの種別", "電算処理ファイル(法第60条第2項第1号)"),
        Line("令第21条第7項に該当するファイル(同じ目的のマニュアル処理ファイル)の有無", "無"),
        Line("行政機関等匿名加工情報の提案の募集をする個人情報ファイルである旨", "非該当"),
        Line("行政機関等匿名加工情報の提案を受ける組織の名称及び所在地", "—"),
        Line("行政機関等匿名加工情報の概要", "—"),
        Line("作成された行政機関等匿名加工情報に関する提案を受ける組織の名称及び所在地", "—"),
        Line("備考", "".join(note)),
    ]


def _questions(playbook: Playbook) -> list[str]:
    return [f"本人の回答: {label}" for label in questions_of(playbook)]


def _items(items: Sequence[Item]) -> list[str]:
    return [f"{item.label}({item.owner})" for item in items]


def _numbered(parts: Sequence[str]) -> str:
    return "、".join(f"{n} {part}" for n, part in enumerate(parts, 1))


def _collected(owners: Sequence[str]) -> str:
    words = "本人がタブレットで答える。学校の校務の記録から取り込む。"
    if owners:
        words += f"{'、'.join(owners)}からの提供を取り込む。"
    return words + "教職員が記録する。"


def to_csv(lines: Sequence[Line]) -> bytes:
    """Two columns, UTF-8 with a mark so that spreadsheets read it."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(["項目", "内容"])
    writer.writerows([line.label, line.text] for line in lines)
    return ("\ufeff" + made.getvalue()).encode()


def to_html(lines: Sequence[Line], board_name: str, on: date) -> str:
    """A page to print, complete in itself."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(line.label)}</th><td>{escape(line.text)}</td></tr>'
        for line in lines
    )
    css = (
        "body{font-family:'Hiragino Sans','Yu Gothic UI','Noto Sans JP',sans-serif;"
        "max-width:52rem;margin:2rem auto;padding:0 1rem;line-height:1.7}"
        "table{border-collapse:collapse;width:100%}"
        "th,td{border:1px solid #333;padding:.4rem .6rem;text-align:start;vertical-align:top}"
        "th{width:16rem;background:#f3f4f6;font-weight:600}"
        "@media print{body{margin:0;max-width:none;font-size:10pt}tr{break-inside:avoid}"
        "@page{size:A4;margin:15mm}}"
    )
    return (
        '<!doctype html>\n<html lang="ja"><head><meta charset="utf-8">'
        f"<title>個人情報ファイル簿</title><style>{css}</style></head>\n"
        f"<body><h1>個人情報ファイル簿</h1>\n<p>{escape(board_name)} {day_ja(on)} 作成</p>\n"
        f"<table><tbody>\n{rows}\n</tbody></table></body></html>\n"
    )
