from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from models.replay_folder import FolderError, read_folder
from warning_service.judging.replaying.replay import run_replay

FIRST = date(2031, 4, 7)
TOML = """
outcome = "non_attendance"
horizon_days = 14
label_delay_days = 6
list_share = 0.10
list_dates = [{dates}]
items.visits = {{ kind = "count", worse = "low", label = "Visits per day" }}
items.late = {{ kind = "measure", worse = "high" }}
[items.missed]
kind = "flag"
worse = "high"
"""
Lines = dict[str, list[str]]


def invented(days: int = 110, students: int = 70, seed: int = 5) -> Lines:
    """Rows of the three CSV files; those who stop visiting are later found missing."""
    dice = random.Random(seed)
    rows: Lines = {"students": [], "observations": [], "outcomes": []}
    for n in range(students):
        name, group = f"s{n:03d}", f"g{n % 2}"
        start = dice.randrange(0, 10)
        until = dice.randrange(40, days + 30) if dice.random() < 0.2 else None
        rows["students"].append(
            f"{name},{group},{FIRST + timedelta(days=start)},"
            f"{FIRST + timedelta(days=until) if until else ''},{dice.choice('FM')}"
        )
        stops = dice.randrange(20, days) if dice.random() < 0.4 else days + 99
        if stops < days:
            on = FIRST + timedelta(days=stops + 6)
            known, over = on + timedelta(days=6), on + timedelta(days=15)
            rows["outcomes"].append(f"{name},{on},{known},{over}")
        for step in range(start, min(until or days, days)):
            slack = stops <= step < stops + 20
            day = FIRST + timedelta(days=step)
            if dice.random() < (0.1 if slack else 0.6):
                rows["observations"].append(f"{name},{day},visits,{dice.randrange(1, 9)}")
            if dice.random() < 0.1:
                rows["observations"].append(f"{name},{day},late,{dice.randrange(-3, 4)}")
            if dice.random() < (0.05 if slack else 0.01):
                rows["observations"].append(f"{name},{day},missed,1")
    return rows


def write(folder: Path, rows: Lines, days: int = 110) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    dates = ", ".join((FIRST + timedelta(days=d)).isoformat() for d in range(20, days, 14))
    (folder / "replay.toml").write_text(TOML.format(dates=dates), "utf-8")
    heads = {
        "students": "student,group,from,until,trait_gender",
        "observations": "student,on,item,value",
        "outcomes": "student,on,known_on,over_on",
    }
    for name, head in heads.items():
        text = "\n".join([head, *rows[name]]) + "\n"
        if name == "observations":
            (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / f"{name}.csv").write_text(text, "utf-8")
    return folder


def scores(folder: Path, out: Path, without: str | None = None) -> list[str]:
    run_replay(folder, out, without=without)
    return (out / "scores.csv").read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lines, list[str]]:
    where = tmp_path_factory.mktemp("base")
    rows = invented()
    return rows, scores(write(where / "in", rows), where / "out")


def test_both_judges_made_lists_and_the_report_is_complete(tmp_path: Path) -> None:
    days = []
    report = run_replay(
        write(tmp_path / "in", invented()), tmp_path / "out",
        progress=lambda day, done, of: days.append((done, of)),
    )  # fmt: skip
    stored = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert stored == report
    assert {
        "list_dates", "students", "rows", "labels_learned", "learn_cpu_s", "score_cpu_s",
        "wall_s", "model_bytes",
    } <= set(report)  # fmt: skip
    assert report["students"] == 70 and report["labels_learned"] > 500
    assert {j["judge"] for j in report["judges"]} == {"rules", "model"}
    assert report["accuracy"]["auc_within_group"] > 0.6
    assert days[-1][0] == days[-1][1] == len(days)


def test_scores_are_as_the_format_says(base: tuple[Lines, list[str]]) -> None:
    rows, lines = base
    assert lines[0] == "list_date,student,score,rank,listed"
    group = {r.split(",")[0]: r.split(",")[1] for r in rows["students"]}
    table = [line.split(",") for line in lines[1:]]
    assert [r[:2] for r in table] == sorted(r[:2] for r in table)
    by_group: dict[tuple[str, str], list[list[str]]] = {}
    for r in table:
        assert 0.0 <= float(r[2]) <= 1.0 and len(r[2].split(".")[1]) >= 6
        by_group.setdefault((r[0], group[r[1]]), []).append(r)
    for held in by_group.values():
        wanted = sorted(held, key=lambda r: (-float(r[2]), r[1]))
        assert [int(r[3]) for r in wanted] == list(range(1, len(held) + 1))
        places = -(-len(held) // 10)
        assert [r[4] for r in wanted] == ["1"] * places + ["0"] * (len(held) - places)


def test_who_is_scored(base: tuple[Lines, list[str]]) -> None:
    rows, lines = base
    outcomes = {r.split(",")[0]: [date.fromisoformat(d) for d in r.split(",")[1:]]
                for r in rows["outcomes"]}  # fmt: skip
    scored = {tuple(line.split(",")[:2]) for line in lines[1:]}
    checked = 0
    for day in sorted({d for d, _ in scored}):
        on = date.fromisoformat(day)
        for r in rows["students"]:
            name, _, start, until, _ = r.split(",")
            there = date.fromisoformat(start) <= on and (
                not until or on < date.fromisoformat(until)
            )
            if name in outcomes:
                _, known, over = outcomes[name]
                checked += known <= on < over
                there = there and not known <= on < over
            assert ((day, name) in scored) == there
    assert checked > 5, "some should have been inside a known outcome"


@pytest.mark.parametrize("how", ["again", "shuffled", "doubled", "traits"])
def test_row_order_doubling_and_traits_do_not_matter(
    base: tuple[Lines, list[str]], tmp_path: Path, how: str
) -> None:
    rows, wanted = base
    dice = random.Random(1)
    changed = {name: list(held) for name, held in rows.items()}
    for held in changed.values():
        if how == "doubled":
            held.extend(held[::3])
        if how != "again":
            dice.shuffle(held)
    if how == "traits":
        changed["students"] = [r[:-1] + dice.choice("XYZ") for r in changed["students"]]
    assert scores(write(tmp_path / "in", changed), tmp_path / "out") == wanted


def test_what_comes_later_does_not_reach_a_list(
    base: tuple[Lines, list[str]], tmp_path: Path
) -> None:
    rows, wanted = base
    cut = FIRST + timedelta(days=20 + 14 * 4)
    other = invented(seed=77)
    mixed: Lines = {"students": [], "observations": [], "outcomes": []}
    starts = {}
    for r in rows["students"]:
        name, group, start, until, trait = r.split(",")
        if until and date.fromisoformat(until) > cut:
            until = ""  # a later fact
        starts[name] = (date.fromisoformat(start), until and date.fromisoformat(until))
        mixed["students"].append(",".join((name, group, start, until, trait)))
    for r in rows["observations"]:
        if date.fromisoformat(r.split(",")[1]) <= cut:
            mixed["observations"].append(r)
    for r in other["observations"]:
        name, on = r.split(",")[0], date.fromisoformat(r.split(",")[1])
        if on > cut and starts[name][0] <= on and not starts[name][1]:
            mixed["observations"].append(r)
    for r in rows["outcomes"]:
        name, on, known, over = r.split(",")
        if date.fromisoformat(known) > cut:
            continue  # not known yet: as if it had never been
        if date.fromisoformat(over) > cut:
            over = ""  # nobody knows yet that it will be over
        mixed["outcomes"].append(",".join((name, on, known, over)))
    mixed["students"].append(f"zzz,g0,{cut + timedelta(days=1)},,F")
    found = scores(write(tmp_path / "in", mixed), tmp_path / "out")
    until = cut.isoformat()
    assert [r for r in found if r[:10] <= until] == [r for r in wanted if r[:10] <= until]
    assert found != wanted, "the change should have changed something later"


def test_without_is_never_having_been_there(base: tuple[Lines, list[str]], tmp_path: Path) -> None:
    rows, wanted = base
    gone = rows["outcomes"][2].split(",")[0]
    fewer = {name: [r for r in held if r.split(",")[0] != gone] for name, held in rows.items()}
    never = scores(write(tmp_path / "fewer", fewer), tmp_path / "out1")
    without = scores(write(tmp_path / "in", rows), tmp_path / "out2", without=gone)
    assert without == never != wanted


def test_twins_get_the_same_score(base: tuple[Lines, list[str]], tmp_path: Path) -> None:
    rows, _ = base
    for twin, of in (("zz1", "s003"), ("a00", "s017"), ("s0035", "s003")):
        for held in rows.values():
            held += [r.replace(of + ",", twin + ",", 1) for r in held if r.startswith(of + ",")]
    lines = scores(write(tmp_path / "in", rows), tmp_path / "out")
    found = {tuple(line.split(",")[:2]): line.split(",")[2:] for line in lines[1:]}
    compared = 0
    for (day, name), (score, rank, _) in found.items():
        if name == "s003":
            assert found[day, "zz1"][0] == found[day, "s0035"][0] == score
            assert int(rank) < int(found[day, "s0035"][1]) < int(found[day, "zz1"][1])
            compared += 1
        if name == "s017":
            assert found[day, "a00"][0] == score
            equal = sorted(who for (on, who), one in found.items() if on == day and one[0] == score)
            apart = equal.index("s017") - equal.index("a00")
            assert int(found[day, "a00"][1]) + apart == int(rank), "ties go by student id"
    assert compared > 3


def test_empty_beginnings(tmp_path: Path) -> None:
    """No outcomes at all, nobody on a date, an item without rows: lists are made all the same."""
    rows = {
        "students": ["a,g,2031-05-20,,F", "b,g,2031-05-21,,F"],
        "observations": ["a,2031-05-20,visits,3"],
        "outcomes": [],
    }
    lines = scores(write(tmp_path / "in", rows, days=70), tmp_path / "out")
    assert [line.split(",")[1] for line in lines[1:]] == ["a", "b"] * 2
    nobody: Lines = {"students": [], "observations": [], "outcomes": []}
    assert len(scores(write(tmp_path / "none", nobody), tmp_path / "out2")) == 1
    only = {"students": rows["students"][:1], "observations": [], "outcomes": []}
    run_replay(write(tmp_path / "only", only), tmp_path / "out3", without="a")
    reports = [json.loads((tmp_path / out / "report.json").read_text()) for out in ("out2", "out3")]
    assert reports[0]["fairness"] == reports[1]["fairness"] == {"gender": []}


def test_one_mistyped_value_of_any_size_keeps_nobodys_list_from_being_made(tmp_path: Path) -> None:
    """Sums and squares of 1e308 overflow; such a value counts as a very large one, like 1e200."""
    found = []
    for large in ("1e308", "1e200"):
        rows = invented(days=60, students=20)
        who = [r.split(",")[0] for r in rows["students"] if r.endswith(",,F")][:2]
        of_others = [r for r in rows["observations"] if r.split(",")[0] not in who]
        rows["observations"] = of_others + [
            f"{one},{FIRST + timedelta(days=day)},{item},{sign}{large}"
            for day in (12, 30) for one, sign in zip(who, ("", "-"), strict=True)
            for item in ("visits", "late")
        ]  # fmt: skip
        found.append(scores(write(tmp_path / f"in{large}", rows, days=60), tmp_path / large))
    assert found[0] == found[1] and len(found[0]) > 50


def test_who_was_inside_an_outcome_long_before_the_first_day_is_not_listed(tmp_path: Path) -> None:
    rows = {
        "students": ["a,g,2031-05-05,,F", "b,g,2031-05-05,,F", "c,g,2031-05-05,,F"],
        "observations": ["a,2031-05-05,visits,3"],
        "outcomes": ["a,2031-03-01,2031-03-04,", "b,2031-02-01,2031-02-04,2031-03-05"],
    }
    lines = scores(write(tmp_path / "in", rows, days=70), tmp_path / "out")
    assert {line.split(",")[1] for line in lines[1:]} == {"b", "c"}


def change(name: str, text: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / name
        if name.endswith(".gz"):
            file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()) + text.encode()))
        else:
            file.write_text(file.read_text("utf-8") + text, "utf-8")

    return apply


def replace(old: str, new: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / "replay.toml"
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")

    return apply


def directory(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return apply


BAD = {
    "students.csv:72: student 's001' is there twice": change(
        "students.csv", "s001,g9,2031-05-01,,F\n"
    ),
    "students.csv:72: from '2031-5-1' is not a date": change("students.csv", "n,g9,2031-5-1,,F\n"),
    "students.csv:72: until must be later than from": change(
        "students.csv", "n,g9,2031-05-01,2031-05-01,F\n"
    ),
    "students.csv:72: from 1900-01-01 is more than 36600 days before the last list date": change(
        "students.csv", "n,g9,1900-01-01,,F\n"
    ),
    "replay.toml: 'list_dates' must lie within 36600 days": replace(
        "list_dates = [", "list_dates = [1900-01-01, "
    ),
    "'list_dates' must lie in the years 1900 to 2200": lambda folder: (
        folder / "replay.toml"
    ).write_text(
        re.sub(
            r"list_dates = \[.*?\]", "list_dates = [0001-01-01]",
            (folder / "replay.toml").read_text("utf-8"), flags=re.DOTALL,
        ),
        "utf-8",
    ) and None,
    "students.csv:72: 2 fields, the header has 5": change("students.csv", "n,g9\n"),
    "unknown student 'nobody'": change("observations.csv.gz", "nobody,2031-05-01,visits,1\n"),
    "is not on the roll on 2030-01-01": change("observations.csv.gz", "s001,2030-01-01,visits,1\n"),
    "unknown item 'shoes'": change("observations.csv.gz", "s001,2031-05-01,shoes,1\n"),
    "value 'nan' is not a number": change("observations.csv.gz", "s001,2031-05-01,late,nan\n"),
    "'late' of 's001' on 2031-05-01 is there twice": change(
        "observations.csv.gz", "s001,2031-05-01,late,55\ns001,2031-05-01,late,56\n"
    ),
    "known_on must be 0 to 6 days after on": change(
        "outcomes.csv", "s001,2032-01-01,2032-01-08,\n"
    ),
    "over_on must not be earlier": change(
        "outcomes.csv", "s001,2032-01-05,2032-01-05,2032-01-04\n"
    ),
    "overlaps another outcome of 's001'": change(
        "outcomes.csv", "s001,2032-01-01,2032-01-02,\ns001,2032-02-01,2032-02-02,\n"
    ),
    "replay.toml: unknown key 'colour'": lambda folder: (folder / "replay.toml").write_text(
        'colour = "red"\n' + (folder / "replay.toml").read_text("utf-8"), "utf-8"
    ) and None,
    "'list_share' must be a number above 0": replace("list_share = 0.10", "list_share = nan"),
    "'label_delay_days' must be a whole number from 0 to 36600": replace(
        "label_delay_days = 6", "label_delay_days = 99999999999"
    ),
    "'visits' of 's001' on 2031-05-01 is there twice": change(
        "observations.csv.gz", "s001,2031-05-01,visits,1\ns001,2031-05-01,visits,1.0\n"
    ),
    "students.csv:1: begins with a byte order mark": lambda folder: (
        folder / "students.csv"
    ).write_bytes(b"\xef\xbb\xbf" + (folder / "students.csv").read_bytes()) and None,
    "outcomes.csv:1: unexpected end of data": lambda folder: (
        folder / "outcomes.csv"
    ).write_text('"student,on,known_on\n', "utf-8") and None,
    "students.csv: cannot be read: Is a directory": directory("students.csv"),
    "outcomes.csv: the file is missing": lambda folder: (folder / "outcomes.csv").unlink(),
    "observations.csv.gz: not a complete gzip file": lambda folder: (
        folder / "observations.csv.gz"
    ).write_bytes(b"student,on,item,value\n") and None,
}  # fmt: skip


@pytest.mark.parametrize("wanted", sorted(BAD))
def test_bad_folders_name_file_and_line(tmp_path: Path, wanted: str) -> None:
    folder = write(tmp_path, invented())
    BAD[wanted](folder)
    with pytest.raises(FolderError) as caught:
        read_folder(folder)
    assert wanted in str(caught.value)


def test_an_outcome_on_the_calendars_last_day_is_no_error(tmp_path: Path) -> None:
    rows: Lines = {
        "students": ["a,g,2031-05-20,,F"],
        "observations": [],
        "outcomes": ["a,9999-12-31,9999-12-31,"],
    }
    folder = write(tmp_path, rows)
    file = folder / "outcomes.csv"
    file.write_text("student,on,known_on\na,9999-12-31,9999-12-31\n", "utf-8")
    assert read_folder(folder).outcomes[0].over_on is None
