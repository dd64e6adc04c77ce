"""A board's way of working: what it is now, and what another would have meant for the past.

Officers of the board change the numbers that matter, or paste a changed file; errors stand beside
their field or line. A file that is fit is tried on the board's own past by the worker
(judging/trying/trials.py); its page can be closed and opened again. What is shown are counts with
small ones hidden, never names. Nothing here puts a playbook into force: the file is taken out and
handed to the operator.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import go, show
from teacher_portal.playbook_figures import view_of
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.judging.trying.trials import Busy, result_of
from warning_service.playbooks.checking.check import Checked, check
from warning_service.playbooks.checking.positions import Path
from warning_service.playbooks.editing import Number, changed, number_in, numbers
from warning_service.playbooks.model import Playbook
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter(prefix="/portal/playbook")
USING = Ability.TRY_PLAYBOOK
Officer = Annotated[Principal, Depends(Needs(USING))]

LONGEST = 60_000
"""Characters of a pasted file; a request's body is bounded (web_hardening.py)."""
BAR_DATES = 14
"""So many of the latest dates are drawn; the table has them all."""
AROUND = 1
"""Lines shown before and after one with an error."""


@router.get("")
def index(request: Request, who: Officer) -> Response:
    """The playbook in force, its numbers in a form, a field for a file, and earlier tries."""
    return _page(request, who)


async def _given(request: Request) -> dict[str, str]:
    """The form as it was sent; which fields it has depends on the board's playbook."""
    return {key: value for key, value in (await request.form()).items() if isinstance(value, str)}


@router.post("/numbers")
def try_numbers(
    request: Request, who: Officer, given: Annotated[dict[str, str], Depends(_given)]
) -> Response:
    """Try the playbook in force with other numbers. Empty fields stay as they are."""
    rooms = rooms_of(request)
    text, playbook = rooms.playbooks.source_of(who.board), rooms.playbooks.of(who.board)
    new: dict[Path, str] = {}
    wrong: dict[str, tuple[str, str]] = {}
    for number in numbers(playbook):
        typed = given.get(number.field, "").strip()
        if not typed:
            continue
        read = number_in(typed)
        if read is None:
            wrong[number.field] = ("数で入力してください", "enter a number")
        elif number.value is None or float(read) != number.value:
            new[number.path] = read
    since = _day(given.get("since", ""))
    if not new and not wrong:
        return _page(request, who, status=422, given=given, problem="nothing_changed")
    new["version",] = str(playbook.version + 1)
    tried = changed(text, new)
    found = check(tried, playbook)
    fields = {number.path: number.field for number in numbers(playbook)}
    wrong |= {fields[one.path]: (one.ja, one.en) for one in found.errors if one.path in fields}
    rest = [one for one in found.errors if one.path not in fields]
    if wrong or rest or since is None:
        problem = "" if since is not None else "since"
        return _page(
            request, who, status=422, given=given, wrong=wrong, errors=rest, problem=problem
        )
    return _start(request, who, tried, since, given=given)


@router.post("/file")
def try_file(
    request: Request,
    who: Officer,
    *,
    text: Annotated[str, Form(max_length=LONGEST)] = "",
    since: Annotated[str, Form(max_length=10)] = "",
    only: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """Check a pasted file and try it; with `only` it is checked and nothing else."""
    rooms = rooms_of(request)
    text = text.replace("\r\n", "\n")
    found = check(text, rooms.playbooks.of(who.board))
    day = _day(since)
    if only or found.playbook is None or day is None:
        problem = "since" if found.playbook is not None and not only else ""
        status = 200 if only and found.playbook is not None else 422
        return _page(
            request, who, status=status, text=text, checked=found, problem=problem,
            given={"since": since},
        )  # fmt: skip
    return _start(request, who, text, day, pasted=text)


def _start(
    request: Request,
    who: Principal,
    text: str,
    since: date,
    *,
    given: dict[str, str] | None = None,
    pasted: str = "",
) -> Response:
    rooms = rooms_of(request)
    rooms.gateway.note(who, "playbook_tried", [who.board], since.isoformat(), using=USING)
    try:
        trial = rooms.trials.ask(who.board, who.key, text, since)
    except Busy:
        return _page(request, who, status=409, problem="busy", given=given, text=pasted)
    return go(f"/portal/playbook/tries/{trial}")


@router.get("/tries/{trial}")
def one_trial(request: Request, who: Officer, trial: str) -> Response:
    """A try: how far it is, or what came of it."""
    rooms = rooms_of(request)
    row = rooms.trials.one(who.board, trial)
    if row is None:
        raise HTTPException(404)
    rooms.gateway.note(who, "playbook_trial", [who.board], trial, using=USING)
    result = result_of(row)
    playbook = check(row.text).playbook
    with rooms.database.reading() as conn:
        names = {one.id: str(one.name) for one in roster.schools(conn, who.board)}
    view = None if result is None else view_of(result, names)
    return show(
        request, who, "portal_playbook_try.html",
        row=row, result=result, view=view, playbook=playbook,
        author=rooms.gateway.staff_names(who, [row.asked_by]).get(row.asked_by, ""),
        current=rooms.playbooks.of(who.board),
        bars=[] if view is None else view.dates[-BAR_DATES:],
        english=language(request) == "en",
        percent=round(100 * row.done / row.of) if row.of else 0,
    )  # fmt: skip


@router.post("/tries/{trial}/stop")
def stop_trial(request: Request, who: Officer, trial: str) -> Response:
    """Want it no more."""
    rooms = rooms_of(request)
    if rooms.trials.one(who.board, trial) is None:
        raise HTTPException(404)
    rooms.gateway.note(who, "playbook_stopped", [who.board], trial, using=USING)
    rooms.trials.stop(who.board, trial)
    return go(f"/portal/playbook/tries/{trial}")


@router.get("/tries/{trial}/file")
def file_of_trial(request: Request, who: Officer, trial: str) -> Response:
    """The tried file, for the operator. It is in force only where the operator has put it."""
    rooms = rooms_of(request)
    row = rooms.trials.one(who.board, trial)
    playbook = None if row is None else check(row.text).playbook
    if row is None or playbook is None or not playbook.id.isidentifier():
        raise HTTPException(404)
    # An identifier may be Japanese, which a header takes in the second form only.
    name = f'filename="{playbook.id}.toml"'
    if not playbook.id.isascii():
        name = f"filename*=UTF-8''{quote(playbook.id)}.toml"
    rooms.gateway.note(who, "playbook_taken", [who.board], trial, using=USING)
    return Response(
        row.text.encode(),
        media_type="application/toml; charset=utf-8",
        headers={
            "Content-Disposition": f"attachment; {name}",
            "Cache-Control": "no-store",
        },
    )


# -- the page ----


def _page(
    request: Request,
    who: Principal,
    *,
    status: int = 200,
    given: dict[str, str] | None = None,
    wrong: dict[str, tuple[str, str]] | None = None,
    errors: Any = (),
    checked: Checked | None = None,
    text: str = "",
    problem: str = "",
) -> Response:
    rooms = rooms_of(request)
    playbook, source = rooms.playbooks.of(who.board), rooms.playbooks.source_of(who.board)
    return show(
        request, who, "portal_playbook.html", status=status,
        playbook=playbook, source=source, text=text or source, groups=_groups(playbook),
        given=given or {}, wrong=wrong or {}, errors=errors, checked=checked, problem=problem,
        lines=_excerpts(checked, text), since=_since(rooms, given),
        tries=rooms.trials.of_board(who.board), english=language(request) == "en",
    )  # fmt: skip


def _groups(playbook: Playbook) -> dict[str, Any]:
    """The numbers by part of the form; items as rows of one table."""
    held = list(numbers(playbook))
    rows: dict[int, list[Number]] = {}
    for number in held:
        if number.part == "item":
            rows.setdefault(int(number.path[1]), []).append(number)
    return {
        "plain": [number for number in held if number.part != "item"],
        "items": list(rows.values()),
        "columns": [number.name for number in next(iter(rows.values()), [])],
    }


def _excerpts(checked: Checked | None, text: str) -> dict[int, list[tuple[int, str]]]:
    """The lines around each one with something wrong: (number, its text)."""
    lines = text.split("\n")
    found = {}
    for one in checked.problems if checked is not None else ():
        if one.line is not None:
            first, last = max(1, one.line - AROUND), min(len(lines), one.line + AROUND)
            found[one.line] = [(n, lines[n - 1]) for n in range(first, last + 1)]
    return found


def _since(rooms: Rooms, given: dict[str, str] | None) -> str:
    """The day in the field: what was typed, else a year ago."""
    typed = (given or {}).get("since", "")
    return typed or (rooms.clock.today() - timedelta(days=365)).isoformat()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
