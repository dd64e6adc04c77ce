"""Where each duty of the board is told: routes to channels, for the accounts officer.

A change asks for a confirmation of the last minutes, because it decides who hears of a call for
help; a trial does not. What a change took the place of is shown with a button that puts
it back: an undo is a change like any other, checked and on the trail.

The page after a change is the answer to the POST itself: an address can be somebody's mail address
and must not stand in the address line. Sending, limits and retries are the deliverer's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from connectors.messaging.registry import kinds
from design.render import language, say
from teacher_portal.accounts import LAST_OF_PRIMARY
from teacher_portal.frame import go, show
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.access.web import Needs
from warning_service.alerts.routes import TOLD, USING, Route, Unfit
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter(prefix="/portal/channels")
Clerk = Annotated[Principal, Depends(Needs(USING))]
FreshClerk = Annotated[Principal, Depends(Needs(USING, fresh=True))]
Text = Annotated[str, Form(max_length=254)]

WHY = frozenset(
    {
        "timeout", "not_reachable", "no_such_host", "closed", "not_trusted", "tls", "redirect",
        "proxy", "private_address", "unknown_address", "unexpected_answer", "rate_limited",
        "too_large_an_answer", "http_401", "http_403", "http_404", "http_410",
    }
)  # fmt: skip
"""Codes of channels the page has words for; others stand there as they are."""

EMPTY = dict.fromkeys(("duty", "school", "grade", "room", "channel", "address"), "") | {"turn": "1"}


@router.get("")
def index(request: Request, who: Clerk, tried: str = "") -> Response:
    """All routes of the board with how each fares; `tried`: the id of a trial just owed."""
    return _page(request, who, tried=tried)


def _page(request: Request, who: Principal, *, status: int = 200, **more: Any) -> Response:
    rooms = rooms_of(request)
    tried = rooms.routes.trial(more.pop("tried", "") or "-")
    found = [one for one in rooms.routes.of_board(who.board) if not _by_people(one.channel)]
    places = _Places(request, rooms, who)
    groups: dict[str, list[Route]] = defaultdict(list)
    for one in found:
        groups[places.school_of(one.place)].append(one)
    known = kinds()
    lang = language(request)
    return show(
        request,
        who,
        "portal_channels.html",
        status=status,
        groups=[
            (places.school_words(school), rows)
            for school, rows in sorted(groups.items(), key=lambda item: places.order(item[0]))
        ],
        total=len(found),
        places=places,
        duties=TOLD,
        duty_kinds={duty: OFFICES[duty].place.value for duty in TOLD},
        channels={
            name: kind.label_en if lang == "en" else kind.label for name, kind in known.items()
        },
        hints={name: kind.hint_en if lang == "en" else kind.hint for name, kind in known.items()},
        set_up=_set_up(rooms),
        choices={name: list(kind.choices(rooms.settings)) for name, kind in known.items()},
        why_words=lambda code: say(lang, f"channels.why_{code}") if code in WHY else code,
        tried=tried,
        **({"problem": "", "done": "", "was": None, "form": EMPTY} | more),
    )


def _set_up(rooms: Rooms) -> frozenset[str]:
    """Channels the settings have; the others cannot be chosen."""
    found = set()
    for name, kind in kinds().items():
        if kind.by_people:
            continue
        try:
            there = kind.connect(rooms)
        except ValueError:
            continue  # the command line says what is wrong with it
        if there is not None:
            found.add(name)
    return frozenset(found)


def _by_people(channel: str) -> bool:
    """Do people switch this channel on for themselves? Their devices are not the board's."""
    kind = kinds().get(channel)
    return kind is not None and kind.by_people


@router.post("")
def put(
    request: Request,
    who: FreshClerk,
    *,
    duty: Text = "",
    school: Text = "",
    grade: Text = "",
    room: Text = "",
    place: Text = "",
    channel: Text = "",
    address: Text = "",
    turn: Text = "1",
) -> Response:
    """Set a route. `place` as such comes from an undo; else it is for the duty to say which."""
    rooms = rooms_of(request)
    form = {
        "duty": duty, "school": school, "grade": grade, "room": room, "channel": channel,
        "address": address, "turn": turn,
    }  # fmt: skip
    try:
        kind = kinds().get(channel)
        if kind is None or kind.by_people:
            raise Unfit("channel")
        if duty not in TOLD:
            raise Unfit("duty")
        address = address.strip()
        if not kind.fits(rooms.settings, address):
            raise Unfit("address")
        place = place or _place(who, duty, school=school, grade=grade, room=room)
        wanted = Route(
            place=place, duty=duty, channel=channel, address=address, priority=_number(turn)
        )
        line = rooms.trail.look(who, "route_set", place, f"{duty} {channel}", using=USING)
        was = rooms.routes.put(wanted, line)
    except Unfit as error:
        return _page(request, who, status=422, problem=error.key, form=form)
    done = "changed" if was else "set"
    return _page(request, who, done=done, was=was, made=wanted)


@router.post("/remove")
def remove(
    request: Request, who: FreshClerk, *, place: Text = "", duty: Text = "", channel: Text = ""
) -> Response:
    """Take a route off."""
    rooms = rooms_of(request)
    line = rooms.trail.look(who, "route_removed", place, f"{duty} {channel}", using=USING)
    try:
        if _by_people(channel):
            raise Unfit("gone")
        was = rooms.routes.remove(place, duty, channel, line)
    except Unfit as error:
        return _page(request, who, status=422, problem=error.key)
    return _page(request, who, done="removed", was=was)


@router.post("/try")
def send_trial(
    request: Request, who: Clerk, *, place: Text = "", duty: Text = "", channel: Text = ""
) -> Response:
    """Owe a trial message to a route; the page then says what has become of it."""
    rooms = rooms_of(request)
    line = rooms.trail.look(who, "route_tried", place, f"{duty} {channel}", using=USING)
    try:
        if _by_people(channel):
            raise Unfit("gone")
        trial = rooms.routes.owe_trial(place, duty, channel, line)
    except Unfit as error:
        return _page(request, who, status=422, problem=error.key)
    return go(f"/portal/channels?tried={trial}")


def _place(who: Principal, duty: str, *, school: str, grade: str, room: str) -> str:
    """Which of the places chosen counts is for the duty to say."""
    return {
        Place.BOARD: who.board,
        Place.SCHOOL: school,
        Place.GRADE: f"{school}:{grade}",
        Place.CLASS: room,
    }[OFFICES[Role(duty)].place]


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unfit("priority") from None


class _Places:
    """Words for the places of a board, in the reader's language."""

    def __init__(self, request: Request, rooms: Rooms, who: Principal) -> None:
        with rooms.database.reading() as conn:
            self.schools = roster.schools(conn, who.board)
            every = roster.classes_of_board(conn, who.board)
        newest = every[0].school_year if every else 0
        self.classes = [room for room in every if room.school_year == newest]
        self.school_names = {school.id: str(school.name) for school in self.schools}
        self._rooms = {room.id: room for room in every}
        self._lang = language(request)
        self._order = {school.id: number for number, school in enumerate(self.schools, 1)}

    def school_of(self, place: str) -> str:
        """The school a place belongs to; '' for the whole board."""
        room = self._rooms.get(place)
        school = room.school if room is not None else place.partition(":")[0]
        return str(school) if school in self.school_names else ""

    def order(self, school: str) -> int:
        """The board first, then its schools as they are listed everywhere."""
        return self._order.get(school, 0)

    def school_words(self, school: str) -> str:
        """A school's name; the whole board."""
        return self.school_names.get(school) or say(self._lang, "accounts.whole_board")

    def words(self, route: Route) -> str:
        """Where within its school a duty is held: a class, a grade, or nothing to add."""
        room = self._rooms.get(route.place)
        if room is not None:
            return str(room.name)
        _, _, grade = route.place.partition(":")
        return self.grade_words(int(grade)) if grade.isdigit() else ""

    def grade_words(self, grade: int) -> str:
        """A grade as people say it; from 7 on they count anew."""
        if grade > LAST_OF_PRIMARY:
            return say(self._lang, "accounts.grade_junior", n=grade - LAST_OF_PRIMARY)
        return say(self._lang, "accounts.grade_n", n=grade)
