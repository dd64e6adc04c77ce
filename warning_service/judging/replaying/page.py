"""A replay's report as one page that needs nothing else: a board's way to try Kizashi on its past.

Japanese first, English beneath; pictures as SVG with a table behind each; no script, nothing from
outside, so that it can be mailed, printed and kept. It shows what report.json holds, nothing more,
and names no student.
"""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from warning_service.judging.replaying.charts import Line, plot, top_of
from warning_service.judging.replaying.judges import JUDGES

NAMES = {
    "service": ("このサービス", "this service"),
    "rules": ("点数の決まり", "points rule"),
    "model": ("学習したモデル", "learned model"),
    "challenger": ("作り直すモデル", "refitted boosting"),
}
REASONS = {
    "too_few_outcomes": ("わかっている結果がまだ少ない", "too few outcomes were known"),
    "not_measured_yet": ("モデルはまだ測られていない", "the model was not measured yet"),
    "rules_measured_better": ("決まりのほうが正しくならべた", "the rule was measured better"),
    "pool_measured_no_worse": (
        "ほかの自治体と学んだモデルは決まりに劣らなかった",
        "a model learned with other boards was no worse",
    ),
    "model_measured_no_worse": ("モデルは決まりに劣らなかった", "the model was no worse"),
    "challenger_measured_better": (
        "作り直すモデルが、偶然とは言えないほど良かった",
        "the refitted model was clearly better",
    ),
}
KINDS = {"count": "回数 count", "measure": "値 measure", "flag": "あり/なし flag"}
CANNOT = {
    "other_children": (
        "ほかの年、ほかの学校、ほかの子どもたちでも同じように当たるとは言えません。",
        "That it would be as right for other years, schools or children.",
    ),
    "acted_on": (
        "リストを見て大人が動いていたら、どうなったか。過去には、このリストはありませんでした。",
        "What would have happened had adults acted on these lists: in the past there were none.",
    ),
    "entered_later": (
        "記録は、その日のうちに入力されたものとしてあつかいました。実際の入力がおくれていたら、"
        "本番のリストはこれより弱くなります。",
        "Facts are taken as entered on their day. Where they were entered later, real lists would "
        "be weaker.",
    ),
    "cause": (
        "なぜ起きたか。項目は前ぶれであって、原因とはかぎりません。",
        "Why it happened: an item goes before an outcome and need not cause it.",
    ),
    "leaving": (
        "転出した子にその後何があったか。データの終わりまでに起きなければ「起きなかった」"
        "と数えています。",
        "What became of children who left: what is not in the data counts as not having happened.",
    ),
    "few_hits": (
        "結果が起きた子が50人に満たないので、どの数も幅が広く、順位の入れかわりは偶然かもしれません。",
        "Fewer than 50 children met the outcome: every figure is unsure, and so is who is better.",
    ),
    "few_dates": (
        "リストの日が6回に満たないので、季節や学期によるちがいはわかりません。",
        "With fewer than six list dates, nothing can be said of seasons and terms.",
    ),
    "no_traits": (
        "性別や学年などによる、まちがいの多さのちがい(trait_…の列がありません)。",
        "Whether it errs more often for some children: there are no trait_ columns.",
    ),
    "one_item": (
        "項目が1つだけなので、ほかのデータをつないだらどうなるか。",
        "What other data would add: there is one item only.",
    ),
    "empty_items": (
        "1件も記録のない項目があります。その項目が役に立つかどうかはわかりません。",
        "Some items have no rows at all; nothing can be said of their worth.",
    ),
}


def to_html(report: dict[str, Any]) -> str:
    """The whole page from what report.json holds."""
    here = files(__package__)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(here.joinpath("page.template").read_text("utf-8"))
    return template.render(
        r=report,
        css=Markup(here.joinpath("page.css").read_text("utf-8")),  # noqa: S704 - our file
        judges=JUDGES,
        names=NAMES,
        reasons=REASONS,
        kinds=KINDS,
        cannot=CANNOT,
        plots={name: Markup(svg) for name, svg in plots(report).items()},  # noqa: S704 - escaped
        makers=_makers(report),
        decisions=_decisions(report),
    )


def plots(report: dict[str, Any]) -> dict[str, str]:
    """The three pictures as SVG."""
    each = report["side_by_side"]["each"]
    percent = [(n / 5, f"{n * 20}%") for n in range(6)]
    return {
        "dates": _by_date(report["side_by_side"]["by_date"]),
        "calibration": _calibration(each),
        "gain": plot(
            [
                Line(NAMES[judge][0], each[judge]["gain"], marks=False)
                for judge in JUDGES
                if each[judge]["gain"]
            ],
            label="読む割合と、会えた結果の割合 / share read and share of hits met",
            x_ticks=percent, y_ticks=percent, diagonal=True,
            x_name="リストを上から読む割合 / share read", y_name="会えた割合 / hits met",
        ),
    }  # fmt: skip


def _by_date(dates: dict[str, Any]) -> str:
    days = list(dates)
    found = {
        judge: [_value(dates[day][judge], "precision_listed") for day in days] for judge in JUDGES
    }
    base = [_value(dates[day]["service"], "base_rate") for day in days]
    top = top_of([*base, *(y for held in found.values() for y in held)])
    width = max(1, len(days) - 1)

    def line(name: str, held: list[float | None]) -> Line:
        return Line(
            name,
            [(n / width, None if y is None else y / top) for n, y in enumerate(held)],
        )

    step = -(-len(days) // 6)
    return plot(
        [*(line(NAMES[judge][0], found[judge]) for judge in JUDGES), line("もとの割合", base)],
        label="リストの日ごとの的中の割合 / share of the listed that was right, by list date",
        x_ticks=[(n / width, day[2:]) for n, day in enumerate(days) if n % step == 0],
        y_ticks=[(n / 5, f"{n * top * 20:.0f}%") for n in range(6)],
        x_name="リストの日 / list date", y_name="的中 / right",
    )  # fmt: skip


def _calibration(each: dict[str, Any]) -> str:
    bins = [one for judge in JUDGES for one in each[judge]["calibration"]]
    top = top_of([one[key] for one in bins for key in ("stated", "happened")])
    ticks = [(n / 5, f"{n * top * 20:.0f}%") for n in range(6)]
    return plot(
        [
            Line(
                NAMES[judge][0],
                [
                    (one["stated"] / top, one["happened"] / top)
                    for one in each[judge]["calibration"]
                ],
            )
            for judge in JUDGES
            if each[judge]["calibration"]
        ],
        label="言った確率と、起きた割合 / stated probability and what happened",
        x_ticks=ticks, y_ticks=ticks, diagonal=True,
        x_name="言った確率 / stated", y_name="起きた割合 / happened",
    )  # fmt: skip


def _value(held: dict[str, Any] | None, name: str) -> float | None:
    found = held and held[name]
    return found["value"] if found else None


def _makers(report: dict[str, Any]) -> dict[str, str]:
    """Who made the lists of each date, in words; several when groups differed."""
    found: dict[str, Counter[str]] = {day: Counter() for day in report["list_dates"]}
    for one in report["judges"]:
        found[one["list_date"]][one["judge"]] += 1
    return {
        day: "、".join(NAMES[judge][0] for judge, _ in held.most_common())
        for day, held in found.items()
    }


def _decisions(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line for each date and judge: all groups of a date are decided on the same figures."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for one in report["judges"]:
        seen.setdefault((one["list_date"], one["judge"]), one)
    return [seen[key] for key in sorted(seen)]
