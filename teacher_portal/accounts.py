"""Accounts of the board's staff, for the accounts officer: find, add, duties, letting in and out.

What gives power (a new person, a duty, an invitation, a reset, opening a closed account) asks for a
confirmation of the last minutes; what takes it away does not, because that may be urgent. Nobody
changes their own account here (access/doors/accounts.py). An invitation is shown once, to be
printed or handed over in person; the service sends no mail.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

import segno
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from markupsafe import Markup

from design.render import language, say
from teacher_portal.frame import go, keys_named, show
from teacher_portal.invitation import invitation_address
from warning_service.access.doors.accounts import MOST_NAMED, STATES, USING, Search, Unfit
from warning_service.access.doors.passwords import INVITATION_SECONDS
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.access.web import Needs
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter(prefix="/portal/accounts")
Clerk = Annotated[Principal, Depends(Needs(USING))]
FreshClerk = Annotated[Principal, Depends(Needs(USING, fresh=True))]
Text = Annotated[str, Form(max_length=100)]

ROLES = [role for role in Role if role is not Role.CHILD]
DONE = ("added", "duty_given", "duty_ended", "closed", "opened", "factors_reset")
"""Words the page may show after a change, by the query value `done`."""
NOBODY = "nobody"
"""In place of keys, when nobody is meant by the words searched for."""
LAST_OF_PRIMARY = 6
"""Grades count on through junior high school (7 to 9), where people say 中1 to 中3."""


@router.get("")
def index(
    request: Request,
    who: Clerk,
    *,
    staff: str = "",
    more: bool = False,
    role: str = "",
    school: str = "",
    state: str = "",
    sort: str = "name",
    dir: str = "asc",
    page: int = 1,
) -> Response:
    """The staff of the board, filtered, sorted, page by page.

    `staff`: only these keys, as a search by name found them; no name stands in an address.
    """
    rooms = rooms_of(request)
    wanted = Search(
        staff=keys_named(staff),
        role=role if role in ROLES else "",
        school=school[:80],
        state=state if state in STATES else "",
        sort=sort if sort in {"name", "login", "state"} else "name",
        descending=dir == "desc",
        page=page,
    )
    found = rooms.accounts.search(who, wanted)
    kept = {
        name: value
        for name, value in (
            ("staff", ",".join(wanted.staff or ())), ("role", wanted.role),
            ("school", wanted.school), ("state", wanted.state),
        )
        if value
    }  # fmt: skip
    direction = "desc" if wanted.descending else "asc"
    return show(
        request,
        who,
        "portal_accounts.html",
        found=found,
        wanted=wanted,
        direction=direction,
        sorting=f"/portal/accounts?{urlencode(kept)}{'&' if kept else ''}",
        paging=f"/portal/accounts?{urlencode({**kept, 'sort': wanted.sort, 'dir': direction})}&",
        today=rooms.clock.today(),
        states=STATES,
        more=more,
        most=MOST_NAMED,
        **_places(request, rooms, who),
    )


@router.post("/search")
def search(
    request: Request,
    who: Clerk,
    *,
    words: Text = "",
    staff: Annotated[str, Form(max_length=4000)] = "",
    role: Text = "",
    school: Text = "",
    state: Text = "",
) -> Response:
    """Who is meant by the words, which go no further: the list is opened by keys."""
    kept = {"role": role if role in ROLES else "", "state": state if state in STATES else ""}
    rooms = rooms_of(request)
    with rooms.database.reading() as conn:
        kept["school"] = school if school in {s.id for s in roster.schools(conn, who.board)} else ""
    kept["staff"] = ",".join(keys_named(staff) or ())
    if words.strip():
        found, more = rooms.accounts.named(who, words)
        kept |= {"staff": ",".join(found) or NOBODY, "more": "1" if more else ""}
    query = urlencode({name: value for name, value in kept.items() if value})
    return go("/portal/accounts" + (f"?{query}" if query else ""))


@router.get("/new")
def new(request: Request, who: Clerk) -> Response:
    """The form for a new person."""
    return _new(request, who)


@router.post("")
def add(request: Request, who: FreshClerk, login: Text = "", name: Text = "") -> Response:
    """A new person, without a duty or a password yet."""
    try:
        staff = rooms_of(request).accounts.add(who, login, name)
    except Unfit as error:
        return _new(request, who, problem=error.key, login=login, name=name)
    return go(f"/portal/accounts/{staff}?done=added")


def _new(
    request: Request, who: Principal, *, problem: str = "", login: str = "", name: str = ""
) -> Response:
    return show(
        request,
        who,
        "portal_account_new.html",
        status=422 if problem else 200,
        problem=problem,
        login=login,
        name=name,
    )


@router.get("/{staff}")
def one(request: Request, who: Clerk, staff: str, done: str = "") -> Response:
    """One person: duties, how the account is secured, what can be done."""
    return _one(request, who, staff, done=done if done in DONE else "")


def _one(
    request: Request, who: Principal, staff: str, *, done: str = "", problem: str = ""
) -> Response:
    rooms = rooms_of(request)
    account = rooms.accounts.one(who, staff)
    return show(
        request,
        who,
        "portal_account.html",
        status=422 if problem else 200,
        account=account,
        factors=rooms.factors.of(staff),
        today=rooms.clock.today(),
        own=staff == who.key,
        done=done,
        problem=problem,
        **_places(request, rooms, who),
    )


@router.post("/{staff}/duties")
def give_duty(
    request: Request,
    who: FreshClerk,
    staff: str,
    *,
    role: Text = "",
    school: Text = "",
    grade: Text = "",
    room: Text = "",
    first: Text = "",
    last: Text = "",
) -> Response:
    """A duty; which of the places counts is for the role to say."""
    try:
        kind = OFFICES[Role(role)].place
        place = {
            Place.BOARD: who.board,
            Place.SCHOOL: school,
            Place.GRADE: f"{school}:{grade}",
            Place.CLASS: room,
        }.get(kind, "")
        rooms_of(request).accounts.give_duty(
            who, staff, role, place, first=_day(first), last=_day(last) if last else None
        )
    except Unfit as error:
        return _one(request, who, staff, problem=error.key)
    except ValueError:
        return _one(request, who, staff, problem="role" if role not in ROLES else "dates")
    return go(f"/portal/accounts/{staff}?done=duty_given")


def _day(text: str) -> date:
    return date.fromisoformat(text)


@router.post("/{staff}/duties/end")
def end_duty(
    request: Request,
    who: Clerk,
    staff: str,
    *,
    role: Text = "",
    place: Text = "",
    from_day: Text = "",
) -> Response:
    """End a duty today."""
    try:
        rooms_of(request).accounts.end_duty(who, staff, role, place, _day(from_day))
    except Unfit as error:
        return _one(request, who, staff, problem=error.key)
    except ValueError:
        return _one(request, who, staff, problem="dates")
    return go(f"/portal/accounts/{staff}?done=duty_ended")


@router.post("/{staff}/close")
def close(request: Request, who: Clerk, staff: str) -> Response:
    """Close the account; whoever is signed in with it is out at once."""
    return _change(request, who, staff, "closed")


@router.post("/{staff}/open")
def open_again(request: Request, who: FreshClerk, staff: str) -> Response:
    """Open a closed account again."""
    return _change(request, who, staff, "opened")


@router.post("/{staff}/factors")
def reset_factors(request: Request, who: FreshClerk, staff: str) -> Response:
    """Forget a lost phone or passkey; the next sign-in sets up a new one."""
    return _change(request, who, staff, "factors_reset")


def _change(request: Request, who: Principal, staff: str, done: str) -> Response:
    accounts = rooms_of(request).accounts
    try:
        if done == "factors_reset":
            accounts.reset_factors(who, staff)
        else:
            accounts.set_active(who, staff, active=done == "opened")
    except Unfit as error:
        return _one(request, who, staff, problem=error.key)
    return go(f"/portal/accounts/{staff}?done={done}")


@router.post("/{staff}/invitation")
def invite(request: Request, who: FreshClerk, staff: str) -> Response:
    """A link that works once, to hand over; shown here and never again."""
    rooms = rooms_of(request)
    try:
        token = rooms.accounts.invite(who, staff)
    except Unfit as error:
        return _one(request, who, staff, problem=error.key)
    address = invitation_address(rooms, token)
    # Made by the library from the address alone, so nothing of it needs escaping.
    picture = Markup(segno.make(address, error="m").svg_inline(border=4, omitsize=True))  # noqa: S704
    return show(
        request,
        who,
        "portal_account_invitation.html",
        account=rooms.accounts.one(who, staff),
        address=address,
        picture=picture,
        days=INVITATION_SECONDS // 86_400,
    )


def _places(request: Request, rooms: Rooms, who: Principal) -> dict[str, Any]:
    """What pages need to choose and to name places: `schools`, `classes`, `place_words`."""
    with rooms.database.reading() as conn:
        schools = roster.schools(conn, who.board)
        every = roster.classes_of_board(conn, who.board)
    newest = every[0].school_year if every else 0
    names = {school.id: str(school.name) for school in schools}
    rooms_by_id = {room.id: room for room in every}
    lang = language(request)

    def grade_words(grade: int) -> str:
        if grade > LAST_OF_PRIMARY:
            return say(lang, "accounts.grade_junior", n=grade - LAST_OF_PRIMARY)
        return say(lang, "accounts.grade_n", n=grade)

    def place_words(role: Role, place: str) -> str:
        kind = OFFICES[role].place
        if kind is Place.BOARD:
            return say(lang, "accounts.whole_board")
        if kind is Place.GRADE:
            school, _, grade = place.partition(":")
            at = names.get(school, school)
            return say(lang, "accounts.grade_at", school=at, grade=grade_words(int(grade or 0)))
        room = rooms_by_id.get(place)
        if room is None:
            return names.get(place, place)
        return f"{names.get(room.school, room.school)} {room.name}"

    return {
        "schools": schools,
        "classes": [room for room in every if room.school_year == newest],
        "school_names": names,
        "place_words": place_words,
        "grade_words": grade_words,
        "roles": ROLES,
        "role_kinds": {role: OFFICES[role].place.value for role in ROLES},
    }
