"""Sentences of frozen evidence: a table of them, and what must hold for any child's data."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import household
from models.features import Schema, extract
from models.online import Folded
from models.student_state import Spell, StudentState
from tests.judging.town import small_setup
from warning_service.judging import rules
from warning_service.judging.setup import Setup, Use
from warning_service.judging.telling import evidence, evidence_of_trees
from warning_service.judging.telling.evidence import Factor
from warning_service.judging.telling.facts import Facts

SETUP = small_setup()
USES = {use.spec.id: use for use in SETUP.uses}
TODAY = date(2026, 3, 2).toordinal()
KNOWN = TODAY - 1
START = TODAY - 330
CHILD = "k00"

Rows = dict[str, dict[int, float]]  # item -> days before TODAY -> value


def child(rows: Rows, *, refused: Rows | None = None) -> StudentState:
    state = StudentState(roll=[Spell(START, None, "s1", "c1", 5)])
    for item, values in rows.items():
        for before, value in sorted(values.items(), reverse=True):
            state.put(USES[item].spec, TODAY - before, value, TODAY)
    for item, values in (refused or {}).items():
        for before in values:
            state.put_refused(USES[item].spec, TODAY - before, TODAY)
    return state


def school(first: StudentState, others: Rows | None = None, n: int = 11) -> Facts:
    """`first` and `n` other children, who answered a week ago that all is well."""
    fine: Rows = {f"q.{q}": {9: 0.0, 40: 0.0} for q in ("mood", "sleep", "body", "school")}
    states = [first, *(child({**fine, **(others or {})}) for _ in range(n))]
    keys = [CHILD, *(f"k{at:02d}" for at in range(1, n + 1))]
    return Facts(SETUP, extract(SETUP.schema, keys, states, KNOWN), TODAY)


SENTENCES: list[tuple[str, Rows, int, str | None, str | None]] = [
    # counts, raising
    ("absent_days:rate28", {"absent_days": {2: 1, 3: 1, 4: 1, 5: 1}}, 1,
     "欠席 28日で4日(ふだんはほとんどない)", "Days absent: 4 in 28 days (usually hardly any)"),
    ("absent_days:change28", {"absent_days": {2: 1, 3: 1, 4: 1, 40: 1, 50: 1, 80: 9}}, 1,
     "欠席 28日で3日(ふだん月1日より多い)",
     "Days absent: 3 in 28 days (more than the usual 1 a month)"),
    ("absent_days:place28", {"absent_days": {2: 1, 3: 1}}, 1,
     "欠席 28日で2日(学校の平均0.2日より多い)",
     "Days absent: 2 in 28 days (more than the school's average, 0.2)"),
    ("absent_days:rate7", {"absent_days": {2: 1, 3: 1}}, 1,
     "欠席 この1週間で2日(ふだんはほとんどない)",
     "Days absent: 2 in the last week (usually hardly any)"),
    ("late_days:since", {"late_days": {3: 1}}, 1,
     "最後の遅刻は3日前", "Days late: last 3 days ago"),
    ("early_leave_days:since", {}, 1, None, None),
    ("early_leave_days:rate28", {}, 1, None, None),
    ("absent_days:change28", {"absent_days": {40: 9}}, 1, None, None),
    # counts, lowering
    ("absent_days:rate28", {}, -1,
     "欠席 28日で0日(ふだんもない)", "Days absent: 0 in 28 days (usually none either)"),
    ("absent_days:rate7", {"absent_days": {40: 11}}, -1,
     "欠席 28日で0日(ふだん月1日より少ない)",
     "Days absent: 0 in 28 days (less than the usual 1 a month)"),
    ("absent_days:since", {"absent_days": {64: 1}}, -1,
     "欠席は64日間ない", "Days absent: none for 64 days"),
    ("absent_days:rate28", {"absent_days": {2: 9}}, -1, None, None),
    # answers
    ("q.sleep:last", {"q.sleep": {16: 2, 50: 0, 80: 0}}, 1,
     "睡眠:「あまりねむれない」(16日前)、ふだんより悪い",
     "Do you sleep well at night?: “Not much” (16 days ago), worse than usual"),
    ("q.sleep:place", {"q.sleep": {16: 2, 50: 2, 80: 2}}, 1,
     "睡眠:「あまりねむれない」(16日前)、学校の平均より悪い",
     "Do you sleep well at night?: “Not much” (16 days ago), worse than the school's average"),
    ("q.sleep:last", {"q.sleep": {111: 2}}, 1,
     "睡眠:最後の答え「あまりねむれない」は古い(2025年11月11日、111日前)",
     "Do you sleep well at night?: the last answer, “Not much”, is old"
     " (11 November 2025, 111 days ago)"),
    ("q.sleep:last", {"q.sleep": {111: 0}}, -1, None, None),
    ("q.sleep:since", {"q.sleep": {111: 0}}, 1,
     "睡眠:111日こたえていない", "Sleep: not answered for 111 days"),
    ("q.sleep:since", {"q.sleep": {20: 3}}, 1, None, None),
    ("q.sleep:since", {}, 1, "睡眠:答えの記録なし", "Sleep: no answer on record"),
    ("q.sleep:last", {}, 1, None, None),
    ("q.mood:bad_run", {"q.mood": {2: 3, 3: 3, 4: 3, 5: 0, 6: 0}}, 1,
     "気分:ふだんより悪い答えが3回続く", "Mood: 3 answers running worse than usual"),
    ("q.mood:last", {"q.mood": {2: 0, 40: 2, 80: 2}}, -1,
     "気分:「とてもよい」(2日前)、ふだんよりよい",
     "How have you been feeling lately?: “Very good” (2 days ago), better than usual"),
    ("q.mood:last", {"q.mood": {2: 0, 40: 2, 80: 2}}, 1, None, None),
    # records of others
    ("dental_untreated:place", {"dental_untreated": {270: 3}}, 1, None, None),
    ("dental_untreated:since", {"dental_untreated": {420: 3}}, 1,
     "未処置のむし歯 最後の記録が古い(2025年1月6日)",
     "Untreated caries: the last record is old (6 January 2025)"),
    ("weight_percentile:place", {"weight_percentile": {270: 81.5}}, -1, None, None),
    ("eyesight_low:ever", {"eyesight_low": {20: 1}}, 1,
     "視力低下(B以下) あり(2月10日)", "Eyesight below B: yes (10 February)"),
    ("eyesight_low:ever", {}, -1, "視力低下(B以下) なし", "Eyesight below B: no"),
]  # fmt: skip


@pytest.mark.parametrize(("feature", "rows", "side", "ja", "en"), SENTENCES)
def test_the_fact_behind_a_feature(
    feature: str, rows: Rows, side: int, ja: str | None, en: str | None
) -> None:
    item, _, stat = feature.rpartition(":")
    found = school(child(rows)).behind(USES[item], stat, 0, side)
    assert (found and found.whole()) == (ja and (ja, en))


def test_a_measure_of_unknown_direction_and_an_old_one_say_their_date() -> None:
    facts = school(
        child({"weight_percentile": {270: 96.0}, "dental_untreated": {270: 6}}),
        {"weight_percentile": {270: 50.0}, "dental_untreated": {270: 0}},
    )
    weight = facts.behind(USES["weight_percentile"], "place", 0, 1)
    assert weight
    assert weight.ja == "体重パーセンタイル 96(2025年6月5日)、学校の平均53.8より高い"
    teeth = facts.behind(USES["dental_untreated"], "place", 0, 1)
    assert teeth and teeth.ja == "未処置のむし歯 6本(2025年6月5日)、学校の平均0.5本より多い"
    assert facts.behind(USES["weight_percentile"], "place", 0, -1) is None


def test_would_rather_not_say_is_told_as_such() -> None:
    facts = school(child({"q.mood": {9: 1.0}}, refused={"q.mood": {3: 0, 4: 0}}))
    told = facts.behind(USES["q.mood"], "missing", 0, 1)
    assert told and told.ja == "気分:「答えたくない」が28日で2回"
    assert facts.behind(USES["q.mood"], "missing", 1, 1) is None


def test_nobody_answers_in_the_holidays_and_that_is_no_fact_of_one_child() -> None:
    quiet: Rows = {"q.mood": {60: 0.0}}
    assert school(child(quiet), quiet).behind(USES["q.mood"], "since", 0, 1) is None


def test_few_lines_and_the_rest_in_one() -> None:
    silent = {"q.mood": {80: 0.0}, "q.sleep": {80: 0.0}}
    held = {"absent_days": {2: 3.0}, "late_days": {2: 3.0}, "public_assistance": {20: 1.0}}
    facts = school(child({**held, **silent}))
    shares = {
        "absent_days": (0.40, "rate28"), "q.mood": (0.06, "since"), "q.sleep": (0.05, "since"),
        "late_days": (0.03, "rate28"), "q.body": (0.02, "since"),
        "public_assistance": (0.05, "ever"),
        "early_leave_days": (0.13, "since"), "infant_check_missed": (0.10, "last"),
        "nurse_visits": (-0.16, "rate28"),
    }  # fmt: skip
    factors = [Factor(i, share, (f"{i}:{stat}",)) for i, (share, stat) in shares.items()]
    raising, lowering = evidence.told(facts, 0, factors, by_points=False)
    assert [(line["text_ja"], line["share"]) for line in raising] == [
        ("欠席 28日で3日(ふだんはほとんどない)", 0.4),
        ("気分・睡眠:80日こたえていない", 0.11),
        ("他部署のデータ: +1", 0.05),
        ("計算上だけのちがい 1件(それだけでは心配のしるしではない)", 0.13),
        ("そのほか小さな事実 2件", 0.05),
    ]
    assert [line["text_en"] for line in raising[-2:]] == [
        "1 difference in the figures only (no sign of worry alone)",
        "2 smaller facts",
    ]
    assert [line["text_ja"] for line in lowering] == ["保健室の利用 28日で0回(ふだんもない)"]
    for line in (*raising, *lowering):
        assert set(line) == {"feature", "item", "share", "text_ja", "text_en"}


def test_of_other_departments_only_what_is_on_record_is_counted() -> None:
    """Trees and weights move for every child a little; that is no fact of a welfare office's."""
    facts = school(child({"public_assistance": {20: 1.0}}))
    factors = [
        Factor("public_assistance", 0.4, ("public_assistance:ever",)),
        Factor("youtaikyo_case", 0.3, ("youtaikyo_case:since",)),
        Factor("temporary_custody", -0.3, ("temporary_custody:ever",)),
    ]
    raising, lowering = evidence.told(facts, 0, factors, by_points=False)
    assert [(line["feature"], line["text_ja"]) for line in raising] == [
        ("other_departments", "他部署のデータ: +1"),
        ("figures_only", "計算上だけのちがい 1件(それだけでは心配のしるしではない)"),
    ]
    assert [line["text_ja"] for line in lowering] == ["他部署のデータ: \u22121"]  # none on record


@pytest.mark.parametrize("shown", [(0.0, 0.0), (1.0, 0.0), (0.0, 2.0)])
def test_of_another_child_of_the_home_only_what_is_on_record_is_told(
    shown: tuple[float, float],
) -> None:
    """A learned weight moves the score of an only child, too: it has no sibling's records."""
    schema = Schema([use.spec for use in SETUP.uses], homes=True)
    setup = replace(SETUP)
    vars(setup)["schema"] = schema
    held = extract(schema, [CHILD], [child({})], KNOWN).with_homes(np.array([shown]))
    factors = [Factor(household.OWNER, 1.0, household.COLUMNS)]
    (line,), lowering = evidence.told(Facts(setup, held, TODAY), 0, factors, by_points=False)
    told = [at for at, value in zip(household.COLUMNS, shown, strict=True) if value]
    assert line["feature"] == (told[0] if told else "figures_only") and not lowering
    assert (line["text_en"] == "Records of another child of the home") == bool(told)


def test_trees_tell_the_amount_against_the_usual_before_when_it_last_was() -> None:
    names = ("rate28", "rate_ever", "since", "place28", "change7", "active28")
    parts = [(f"absent_days:{stat}", part) for stat, part in
             zip(names, (0.0, 0.2, 0.9, 0.1, -0.3, 0.05), strict=True)]  # fmt: skip
    order = evidence_of_trees._telling(parts, 0.95)
    assert [name.rpartition(":")[2] for name in order] == [
        "rate28", "change7", "place28", "active28", "since", "rate_ever",
    ]  # fmt: skip
    assert evidence_of_trees._telling(parts, 0.0) == ()
    facts = school(child({"absent_days": {4: 1, 5: 1, 6: 1, 40: 1, 50: 1, 80: 9}}))
    (line,), _ = evidence.told(facts, 0, [Factor("absent_days", 1.0, order)], by_points=False)
    assert line["text_ja"] == "欠席 28日で3日(ふだん月1日より多い)"
    usual = school(child({"late_days": {4: 1, **dict.fromkeys(range(30, 320, 28), 1.0)}}))
    late = tuple(name.replace("absent", "late") for name in order)
    (line,), _ = evidence.told(usual, 0, [Factor("late_days", 1.0, late)], by_points=False)
    assert line["text_ja"] == "遅刻 28日で1日(学校の平均0.1日より多い)", "as usual for this child"


def test_points_tell_what_reached_the_mark_and_what_speaks_against() -> None:
    facts = school(child({"absent_days": {2: 5}, "q.mood": {2: 3, 3: 2, 20: 1}, "q.body": {9: 2}}))
    points = rules.points_by_item(SETUP, facts.extract)
    factors = evidence.from_rules(SETUP, points, 0)
    raising, lowering = evidence.told(facts, 0, factors, by_points=True)
    assert [line["text_ja"] for line in raising] == [
        "欠席 28日で5日(ふだんはほとんどない、めやす3日以上)",
        "気分:28日の3回のうち2回が悪い答え(いちばん悪いのは「わるい」)",
        "体調:「すこしわるい」(9日前)、学校の平均より悪い",
    ]
    assert [line["text_ja"] for line in lowering] == [
        "遅刻 28日で0日(ふだんもない)",
        "保健室の利用 28日で0回(ふだんもない)",
        "早退 28日で0日(ふだんもない)",
    ]
    assert all(line["share"] == 0 for line in lowering)


# -- for any data ----

DAYS = st.integers(1, 320)
COUNTS = ("absent_days", "late_days", "early_leave_days", "nurse_visits")
QUESTIONS = ("q.mood", "q.sleep", "q.body", "q.school", "q.friends")
children = st.fixed_dictionaries(
    {
        **{item: st.dictionaries(DAYS, st.integers(1, 2), max_size=8) for item in COUNTS},
        **{item: st.dictionaries(DAYS, st.integers(0, 3), max_size=8) for item in QUESTIONS},
        "dental_untreated": st.dictionaries(DAYS, st.integers(0, 4), max_size=1),
        "weight_percentile": st.dictionaries(DAYS, st.integers(1, 99), max_size=1),
        "public_assistance": st.dictionaries(DAYS, st.just(1), max_size=1),
        "infant_check_missed": st.dictionaries(DAYS, st.integers(0, 3), max_size=1),
    }
)


def _no_hidden(setup: Setup) -> Setup:
    """The same board without items that are only scored: then every share is shown."""
    uses: tuple[Use, ...] = tuple(u for u in setup.uses if u.shown != "score_only")
    return replace(setup, uses=uses)


@settings(max_examples=60, deadline=None)
@given(st.lists(children, min_size=2, max_size=4), st.integers(0, 10_000), st.booleans())
def test_no_raising_nothing_and_shares_are_exact(
    rows: list[Rows], seed: int, by_points: bool
) -> None:
    for setup in (SETUP, _no_hidden(SETUP)):
        schema = setup.schema
        group = extract(
            schema, [f"k{n}" for n in range(len(rows))], [child(r) for r in rows], KNOWN
        )
        facts = Facts(setup, group, TODAY)
        random = np.random.default_rng(seed)
        weights = random.standard_normal(len(schema) + 1)
        folded = Folded(weights, 0.0, np.abs(random.standard_normal(len(schema) + 1)))
        points = rules.points_by_item(setup, group)
        for row in range(len(rows)):
            factors = (
                evidence.from_rules(setup, points, row)
                if by_points
                else evidence.from_model(setup, group, folded, points, row)
            )
            raising, lowering = evidence.told(facts, row, factors, by_points=by_points)
            _exact(factors, [*raising, *lowering])
            _raising_shows_something(facts, raising, row)
            assert len([f for f in raising if f["item"]]) <= 5
            assert len([f for f in lowering if f["item"]]) <= 3
            named = {f["item"] for f in (*raising, *lowering)}
            assert not named & {"public_assistance", "infant_check_missed"}
            assert all(f["share"] >= 0.04 or f["share"] == 0 for f in raising if f["item"])
            again = evidence.told(Facts(setup, group, TODAY), row, factors, by_points=by_points)
            assert again == (raising, lowering)


def _exact(factors: list[Factor], lines: list[evidence.Line]) -> None:
    shown = sum(Fraction(str(line["share"])) for line in lines)
    parts = evidence.in_parts([factor.share for factor in factors])
    assert sum(parts) in (0, evidence.PARTS)
    hidden = sum(
        part
        for factor, part in zip(factors, parts, strict=True)
        if factor.item in USES and USES[factor.item].shown == "score_only"
    )
    assert shown == Fraction(sum(parts) - hidden, evidence.PARTS)


def _raising_shows_something(facts: Facts, raising: list[evidence.Line], row: int) -> None:
    for line in raising:
        use = USES.get(line["item"])
        assert not re.search(r"\d+日で0[日回]", line["text_ja"]), line
        assert "なし" not in line["text_ja"].replace("記録なし", ""), line
        if use is None or use.spec.kind != "count":
            continue
        columns = facts.extract.items[use.spec.id]
        assert columns.recent[row] > 0 or columns.usual[row] > 0, line
