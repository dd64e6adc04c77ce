"""The replay's report: figures by hand, three judges side by side, a page that stands alone."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner

from models.curves import auc_interval, average_precision, gain, read_until
from models.replay_traits import read_traits
from tests.judging.test_replay import FIRST, invented, scores, write
from warning_service.cli import cli
from warning_service.judging.replaying.fairness import fairness, lead_time
from warning_service.judging.replaying.judges import JUDGES, Told, each_judge
from warning_service.judging.replaying.page import to_html
from warning_service.judging.replaying.replay import run_replay

DAYS = 150


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(folder, out) of a town large enough for the challenger to speak."""
    where = tmp_path_factory.mktemp("played")
    folder = write(where / "in", invented(days=DAYS, students=160), days=DAYS)
    run_replay(folder, where / "out")
    return folder, where / "out"


def report_of(out: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((out / "report.json").read_text("utf-8"))  # type: ignore[no-any-return]


def test_all_judges_stand_side_by_side_with_base_rates_and_intervals(
    played: tuple[Path, Path],
) -> None:
    report = report_of(played[1])
    each = report["side_by_side"]["each"]
    assert tuple(each) == JUDGES and each["challenger"]["rows"] > 100
    assert report["challenger_cpu_s"] > 0
    for found in each.values():
        for name in ("precision_listed", "base_rate", "hits_listed"):
            low, high = found[name]["interval"]
            assert low <= found[name]["value"] <= high
        low, high = found["auc_interval"]
        assert low < found["auc_within_group"] < high
        assert found["gain"][0][1] == 0 and found["gain"][-1][1] == 1
        assert found["brier"] and found["calibration_error"] is not None
    same = report["side_by_side"]["same_rows"]
    assert {found["rows"] for found in same.values()} == {each["challenger"]["rows"]}
    assert {found["hits"] for found in same.values()} == {each["challenger"]["hits"]}
    assert report["accuracy"]["rows"] == each["service"]["rows"]
    listed = {found["listed"] for found in same.values()}
    assert max(listed) - min(listed) <= 6, "as many places; who is inside an outcome differs"
    assert set(report["side_by_side"]["by_date"]) == set(report["list_dates"])
    assert report["lead_time"]["met"] <= report["lead_time"]["foreseeable"]
    assert all("challenger" in one["why"] for one in report["judges"])


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.reaches: list[str] = []
        self.asides: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "xlink:href") or name.startswith("on"):
                self.reaches.append(f"{tag} {name}={value}")
            if name == "lang":
                self.asides.append(value or "")


def test_the_page_stands_alone(played: tuple[Path, Path]) -> None:
    text = (played[1] / "report.html").read_text("utf-8")
    page = _Page()
    page.feed(text)
    assert page.reaches == [], "nothing from outside, no script, no handler"
    assert "script" not in page.tags and "link" not in page.tags and "img" not in page.tags
    assert "url(" not in text and "@import" not in text
    assert page.tags.count("svg") == 3 and page.tags.count("details") >= 4
    assert page.asides[0] == "ja" and page.asides.count("en") > 20
    assert "None" not in text and "Undefined" not in text
    for name in ("s001", "s042", "s100"):
        assert name not in text, "no student is named"


def test_the_report_is_the_same_on_every_run_but_for_seconds(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", invented(days=70, students=30), days=70)
    one, two = run_replay(folder, tmp_path / "one"), run_replay(folder, tmp_path / "two")
    seconds = {name for name in one if name.endswith("_s")}
    assert {k: v for k, v in one.items() if k not in seconds} == {
        k: v for k, v in two.items() if k not in seconds
    }


def test_shuffled_outcomes_are_not_foreseen(tmp_path: Path) -> None:
    """Whose outcomes they are is drawn by lot: nobody may seem to have foreseen them."""
    rows = invented(days=DAYS, students=300, seed=8)
    dice = random.Random(4)
    names = [r.split(",")[0] for r in rows["students"]]
    held: dict[str, list[tuple[str, str]]] = {}
    drawn = []
    for r in rows["outcomes"]:
        _, on, known, over = r.split(",")
        whose = dice.choice(names)
        while any(not (over <= a or b <= on) for a, b in held.get(whose, [])):
            whose = dice.choice(names)
        held.setdefault(whose, []).append((on, over))
        drawn.append(f"{whose},{on},{known},{over}")
    rows["outcomes"] = drawn
    report = run_replay(write(tmp_path / "in", rows, days=DAYS), tmp_path / "out")
    assert report["accuracy"]["hits"] > 90
    assert 0.45 <= report["accuracy"]["auc_within_group"] <= 0.55


def test_a_silent_item_and_a_playbook_still_make_lists(tmp_path: Path) -> None:
    rows = invented(days=80, students=50)
    begin, end = FIRST + timedelta(days=30), FIRST + timedelta(days=62)
    rows["observations"] = [
        r for r in rows["observations"]
        if not (r.split(",")[2] == "visits" and begin <= date.fromisoformat(r.split(",")[1]) < end)
    ]  # fmt: skip
    folder = write(tmp_path / "in", rows, days=80)
    lines = scores(folder, tmp_path / "out")
    dates = {line[:10] for line in lines[1:]}
    assert len(dates) == 5
    report = report_of(tmp_path / "out")
    silent = {one["item"]: one["silences"] for one in report["folder"]["items"]}
    assert len(silent["visits"]) == 1 and silent["late"] == []
    assert {"few_dates", "few_hits"} <= set(report["cannot_say"])
    plain = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "1件もなかった期間" in plain


def test_traits_are_read_apart_and_leave_with_their_student(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"students": ["a,g,2031-05-20,,F", "b,g,2031-05-20,,"],
                                     "observations": [], "outcomes": []})  # fmt: skip
    assert read_traits(folder) == {"gender": {"a": "F"}}
    assert read_traits(folder, without="a") == {"gender": {}}


def test_a_playbook_that_gives_no_points_here_is_not_told_as_none(
    played: tuple[Path, Path],
) -> None:
    report = report_of(played[1])
    assert "(方針ファイルなし)" in to_html(report)
    page = to_html({**report, "playbook": "ours:1:abc", "named_items": []})
    assert "ours:1:abc は、このデータのどの項目にも点をつけていません" in page
    assert "方針ファイルなし" not in page and "no playbook" not in page


def test_a_playbook_that_is_not_fit_is_told_by_its_line(
    played: tuple[Path, Path], tmp_path: Path
) -> None:
    bad = tmp_path / "ours.toml"
    bad.write_text('id = "ours"\nversion = "one"\n', "utf-8")
    asked = ["replay", str(played[0]), "--out", str(tmp_path / "out"), "--playbook", str(bad)]
    found = CliRunner().invoke(cli, asked)
    assert found.exit_code == 2 and not (tmp_path / "out").exists()
    assert "ours.toml:2:" in found.output and "使えません" in found.output


DAY = date(2031, 5, 1)


def told(student: str, *, hit: bool, listed: bool, day: date = DAY) -> Told:
    return Told(day, student, "g", 0.5, listed, hit)


def test_small_groups_are_not_shown_nor_had_by_subtracting() -> None:
    rows = [told(f"m{n}", hit=n < 20, listed=n % 2 == 0) for n in range(60)]
    rows += [told(f"f{n}", hit=n < 30, listed=n % 3 == 0) for n in range(70)]
    rows += [told(f"x{n}", hit=n < 2, listed=False) for n in range(30)]
    groups = {one.student: one.student[0] for one in rows}
    found = {one["group"]: one for one in fairness(rows, {"t": groups})["t"]}
    assert found["x"]["missed"] is None
    assert found["m"]["missed"] is None, "else x could be had by subtracting"
    assert found["f"]["missed"]["value"] == pytest.approx(20 / 30, abs=1e-5)
    # All others follow from the sum, which is known anyhow.
    assert found["f"]["missed"]["against_others"][0] == pytest.approx(20 / 30 - 12 / 22, abs=1e-5)
    # Of "x" 28 were spared: were their rate not hidden with a shown number of children, two follow.
    assert found["x"]["children"] is None


def test_small_groups_whose_sum_is_small_take_a_larger_one_with_them() -> None:
    rows = [told(f"m{n}", hit=n < 20, listed=n % 2 == 0) for n in range(60)]
    rows += [told(f"f{n}", hit=n < 30, listed=n % 3 == 0) for n in range(70)]
    rows += [told(f"{name}0", hit=True, listed=True) for name in "xy"]  # one child each
    rows += [told(f"{name}{n}", hit=False, listed=n < 6) for name in "xy" for n in range(1, 12)]
    groups = {one.student: one.student[0] for one in rows}
    found = {one["group"]: one for one in fairness(rows, {"t": groups})["t"]}
    # Of 52 hits 50 would be seen: the other two could only be one each.
    assert [found[name]["missed"] for name in "xym"] == [None] * 3
    assert found["f"]["missed"] is not None
    # Beyond the groups that are shown, the rest is one group more.
    many = {one.student: one.student for one in rows}
    assert len(fairness(rows, {"t": many})["t"]) == 20
    assert fairness([], {"t": {}}) == {"t": []}


def test_each_child_counts_once_in_fairness() -> None:
    rows = [told("a", hit=True, listed=False), told("a", hit=True, listed=True, day=date.max)]
    rows += [told(f"b{n}", hit=True, listed=n < 6) for n in range(12)]
    one = fairness(rows, {"t": {}})["t"][0]
    assert one["children"] == 13
    assert one["missed"]["value"] == pytest.approx(6 / 13, abs=1e-5), "a was met once: not missed"


def test_lead_time_counts_from_the_first_list(played: tuple[Path, Path]) -> None:
    from models.replay_folder import FolderOutcome, read_folder

    data = read_folder(played[0])
    first = data.list_dates[0]
    student = data.students[0].student
    on = first + timedelta(days=10)
    alone = data.without("nobody")
    object.__setattr__(alone, "outcomes", (FolderOutcome(student, on, on, None),))
    rows = [
        told(student, hit=True, listed=True, day=first),
        told(student, hit=True, listed=True, day=first + timedelta(days=7)),
    ]
    assert lead_time(alone, rows)["median_days"] == 10
    assert lead_time(alone, rows[1:])["median_days"] == 3
    assert lead_time(alone, [])["foreseeable"] == 0


def test_others_list_as_many_as_the_service_did() -> None:
    class R:
        def __init__(self, n: int) -> None:
            self.list_date, self.student, self.group = DAY, f"k{n}", "g"
            self.score, self.listed = 0.1 * n, n in (8, 9)
            self.said = {"rules": 0.5, "model": -0.1 * n, "challenger": None}

    found = each_judge([R(n) for n in range(10)], [None] * 10)
    assert [one.student for one in found["rules"] if one.listed] == ["k0", "k1"], "ties by student"
    assert [one.student for one in found["model"] if one.listed] == ["k0", "k1"]
    assert found["challenger"] == [], "silent"


pairs = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(pairs)
def test_the_area_is_scikit_learns(rows: list[tuple[int, bool]]) -> None:
    given_, hits = np.array([float(s) for s, _ in rows]), np.array([h for _, h in rows])
    if not hits.any():
        assert average_precision(given_, hits) is None
    else:
        wanted = average_precision_score(hits, given_)
        assert average_precision(given_, hits) == pytest.approx(wanted)


def test_gain_by_hand() -> None:
    met = read_until(
        np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, False, False, False, True]), ["g"] * 5
    )
    assert met.tolist() == [0.2, 1.0]
    curve = gain(met)
    assert curve[3] == 0.0 and curve[4] == 0.5 and curve[-1] == 1.0
    tied = read_until(np.zeros(4), np.array([True, False, False, False]), ["g"] * 4)
    assert tied.tolist() == [0.625], "the middle of its run"
    assert auc_interval(0.7, 0, 5) == (0.0, 1.0)
    low, high = auc_interval(0.7, 200, 2000)
    assert 0.65 < low < 0.7 < high < 0.75
