"""The authorisation matrix: for every route, who may use it, and about which children.

This is written by hand and is not derived from `access/roles.py`: the test would prove nothing if
it asked the code what the code should do. **A new route needs a row here**, or
test_matrix.py::test_every_route_has_a_row fails. To add one:

    "GET /portal/thing/{student}": (Row("nurse management", of="student"),)

* the first word(s): roles that may use the route at all; all others must get 403. `STAFF` is
  everybody who may sign in as staff, `CHILD` a signed-in child, `OPEN` says the door is open to
  all and nothing else is checked but that it does not break.
* `of`: what the path (or form) addresses, one of the factories in `ADDRESSED`; '' when nothing of a
  child's: then the row is asked once for each role.
* `reach`: role -> situations (see matrix_world.SITUATIONS) in which it is allowed; whatever is not
  named must be 404. Left out: `REACH`, whom each role's child pages are about.
* `form`: fields of a POST, as a dict or a function of (world, situation); the CSRF token is added.
* `ok`: statuses that count as allowed (default: below 400).
* `touches`: tables an allowed request changes and that are put back after it.

Two rows for one route mean that it addresses two kinds of things (a call for help and an answer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from tests.access.matrix_world import CLASS_OF, CLASSES, ROLES, World
from warning_service.access import tables as access
from warning_service.alerts.tables import alerts, deliveries
from warning_service.events.types import new_id
from warning_service.follow_up.tables import cases, digest_choices, follow_ups, opinions, reviews
from warning_service.rights.tables import family_requests, request_links, request_steps
from warning_service.roster.tables import absences, duties, identities, stand_ins, working_days

CHILD = "child"
STAFF = " ".join(role for role in ROLES if role != CHILD)
OPEN = "open"

CARE = "homeroom grade_lead nurse counsellor social_worker guidance management"
LISTS = CARE + " committee board_guidance"
CHILDS_PAGE = LISTS + " welfare"
SEATS = "nurse counsellor social_worker guidance management committee board_guidance welfare"
"""Who may have a seat in a meeting. This world's playbook gives one to three of them only."""
SHEETS = CARE + " board_guidance welfare"
SHEET = {"sheet_id": "assessment"}
GIVERS = "social_worker guidance management board_guidance"
SCHOOL = ("nurse", "counsellor", "social_worker", "guidance", "management")

Reach = Mapping[str, frozenset[str]]


def _reach(own: str, school: str, **more: str) -> Reach:
    """Situations for homeroom teacher and grade lead; for the whole-school duties; for others."""
    found = {"homeroom": own, "grade_lead": own, **dict.fromkeys(SCHOOL, school), **more}
    return {role: frozenset(words.split()) for role, words in found.items()}


REACH = _reach(
    "own opted", "own class opted",
    committee="own", board_guidance="own class school opted", welfare="own", privacy="",
)  # fmt: skip
"""Whom pages about a child are about. The committee: who is on the agenda and has not refused; the
welfare office: whose case it has, and a refusal has not ended that."""

ANSWERS = _reach("own opted left", "own class opted left")
"""Alerts on answers: the duty's scope where and when it was raised."""

CALLS: Reach = {
    "homeroom": frozenset({"own", "opted", "left"}),
    "nurse": frozenset({"own", "class", "opted", "left"}),
}
"""Calls for help to "anyone": the homeroom teacher and the nurse were told, and nobody else."""

TOLD: Reach = {"guidance": frozenset({"own"}), "management": frozenset({"own"})}
"""A notice of the school `own` is in, that its list is out."""

ROOMS = _reach("own", "own class", board_guidance="own class school")
OF_SCHOOL = _reach("own", "own", committee="own", board_guidance="own school")
MEETING = {role: frozenset({"own"}) for role in ("guidance", "management", "committee")}
SCHOOL_SEEN = {
    **dict.fromkeys(SCHOOL, frozenset({"own"})), "committee": frozenset({"own"}),
    "board_guidance": frozenset({"own", "school"}),
}  # fmt: skip
"""A school's own evaluation: who sees all of it, and its meeting; no homeroom teacher."""
DECIDE = {
    "guidance": frozenset({"own"}), "management": frozenset({"own"}),
    "committee": frozenset({"own"}),
}  # fmt: skip
TAKE_BACK = {role: frozenset({"own", "opted", "left"}) for role in GIVERS.split()}
PAPER_TAKEN: Reach = {"welfare": frozenset({"own"})}
PAPER_GIVEN = {role: frozenset({"own", "opted"}) for role in GIVERS.split()}
RETURN: Reach = {"welfare": frozenset({"own", "left"})}
FAMILIES: Reach = {"privacy": frozenset({"own", "class", "school", "opted", "left"})}
"""Families of the whole board, those of former children too."""

NOTHING: Reach = {}
"""There is no such thing in this world, so nobody reaches it and nobody learns that."""

APPROVE: Reach = {
    "management": frozenset({"own", "class", "opted", "left"}),
    "board": frozenset({"own", "class", "school", "opted", "left"}),
}
"""A second person: of the child's school, now or formerly, or the board's own, who sees no name."""

ALARMS: Reach = {"auditor": frozenset({"own"})}
CARDS: Reach = {"homeroom": frozenset({"own"}), "management": frozenset({"own", "class"})}
REVIEWED: Reach = {"management": frozenset({"own"}), "accounts": frozenset({"own", "school"})}
COVERED_FOR: Reach = {**REVIEWED, "nurse": frozenset({"own"})}
"""Who plans for the school, and the nurse, who is the colleague of "own"."""
COLLEAGUES: Reach = {"accounts": frozenset({"own"})}
OWN_WORDS: Reach = {"child": frozenset({"own"})}

BELOW_500 = frozenset(range(200, 500))
NOT_REFUSED = BELOW_500 - {401, 403, 404}
"""For pages whose forms come back when what was sent does not fit: the door itself was open."""


Form = Mapping[str, Any] | Callable[[World, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """What a route must do; see the module's text."""

    roles: str
    of: str = ""
    reach: Reach = field(default_factory=lambda: REACH)
    form: Form = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    ok: frozenset[int] = frozenset(range(200, 400))
    touches: tuple[Table, ...] = ()
    query: str = ""
    path: Mapping[str, str] = field(default_factory=dict)

    @property
    def allowed(self) -> frozenset[str]:
        """The roles that may use it at all."""
        return frozenset(self.roles.split())


Address = Callable[[World, str], Mapping[str, str] | None]


def _class(_world: World, situation: str) -> Mapping[str, str] | None:
    return {"class_id": CLASS_OF[situation]} if situation not in {"opted", "left"} else None


def _list(world: World, situation: str) -> Mapping[str, str] | None:
    there = {"own": "sakura", "school": "midori", "board": "far"}
    return {"list_id": world.list[there[situation]]} if situation in there else None


def _school(_world: World, situation: str) -> Mapping[str, str] | None:
    there = {"own": "sakura", "school": "midori", "board": "far"}
    return {"school": there[situation]} if situation in there else None


def _entry(world: World, situation: str) -> Mapping[str, str]:
    return {"list_id": world.list[CLASSES[CLASS_OF[situation]][0]]}


def _case(world: World, situation: str) -> Mapping[str, str] | None:
    return {"case_id": world.case[situation]} if situation in world.case else None


def _person(_world: World, situation: str) -> Mapping[str, str] | None:
    there = {"own": "s-spare", "board": "s-far"}
    return {"staff": there[situation]} if situation in there else None


def _colleague(_world: World, situation: str) -> Mapping[str, str] | None:
    there = {"own": "s-nurse", "school": "s-spare", "board": "s-far"}
    return {"staff": there[situation]} if situation in there else None


ADDRESSED: dict[str, Address] = {
    "student": lambda world, s: {"student": world.child[s]},
    "class": _class,
    "call": lambda world, s: {"alert_id": world.alert_of_call(s)},
    "answer": lambda world, s: {"alert_id": world.alert_of_answer(s)},
    "listed": lambda world, s: {**_entry(world, s), "student": world.child[s]},
    "notice": lambda world, s: {"notice_id": world.notice} if s == "own" else None,
    "notice_of_call": lambda world, s: {"notice_id": world.alert_of_call(s)},
    "list": _list,
    "entry": _entry,
    "case": _case,
    "sent": lambda world, s: {"sent_id": world.call[s]},
    "request": lambda world, s: {"request_id": world.request[s]},
    "waiting": lambda world, s: {"request_id": world.waiting[s]},
    "decided": lambda world, s: dict(zip(("request_id", "link"), world.decided[s], strict=True)),
    "alarm": lambda world, s: {"alarm": world.alarm[s]} if s in world.alarm else None,
    "absence": lambda world, s: {"absence": world.absence[s]} if s in world.absence else None,
    "stand_in": lambda world, s: {"stand_in": world.stand_in[s]} if s in world.stand_in else None,
    "person": _person,
    "colleague": _colleague,
    "school": _school,
}
"""Path parameters for a situation; None where there is no such thing in it."""


def _decision(world: World, situation: str) -> Mapping[str, Any]:
    return {"student": world.child[situation], "chosen": "B", "n": "1"}


def _colleagues_school(situation: str) -> str:
    return {"own": "sakura", "school": "midori", "board": "far"}.get(situation, "sakura")


def _at_sakura(_world: World, situation: str) -> Mapping[str, Any]:
    return {"school": _colleagues_school(situation)}


def _absence(world: World, situation: str) -> Mapping[str, Any]:
    colleague = _colleague(world, situation) or {"staff": "nobody"}
    today = world.rooms.clock.today().isoformat()
    return {**_at_sakura(world, situation), **colleague, "first": today}


def _stand_in(world: World, situation: str) -> Mapping[str, Any]:
    school = _colleagues_school(situation)
    whose = (_colleague(world, situation) or {"staff": "nobody"})["staff"]
    form = {**_absence(world, situation), "staff": "s-homeroom"}
    return {**form, "duty": f"nurse|{school}|{whose}"}


def _fresh_id(**more: Any) -> Form:
    return lambda _world, _situation: {"id": new_id(), **more}


DISCLOSED = (family_requests, request_links, request_steps)
"""What a step of a disclosure changes."""

FORM_BACK = frozenset({200, 303, 422})
"""The request was reached; whether the form fits is for other tests."""


def _of_request(route: str, **more: Any) -> tuple[str, tuple[Row, ...]]:
    return route, (Row("privacy", of="request", reach=FAMILIES, ok=FORM_BACK, **more),)


def _of_account(path: str) -> tuple[str, tuple[Row, ...]]:
    return f"POST /portal/accounts/{{staff}}/{path}", (
        Row("accounts", of="person", reach=COLLEAGUES, ok=FORM_BACK),
    )


RECORD = {"action": "talked", "change": "same"}
HANDING_OVER = {"ground": "help", "reason": "理由"}

ROWS: dict[str, tuple[Row, ...]] = {
    # --- open doors -----------------------------------------------------------------------------
    "GET /healthz": (Row(OPEN),),
    "GET /readyz": (Row(OPEN, ok=BELOW_500 | {503}),),
    "GET /metrics": (Row(OPEN),),
    "GET /lang": (Row(OPEN),),
    "GET /child/sign-in": (Row(OPEN),),
    "POST /child/sign-in": (Row(OPEN, form={"code": "10000"}),),
    "GET /child/sign-in/{class_code}": (Row(OPEN, path={"class_code": "10000"}),),
    "GET /child/sign-in/{class_code}/{seat}": (
        Row(OPEN, path={"class_code": "10000", "seat": "1"}),
    ),
    "POST /child/sign-in/{class_code}/{seat}": (
        Row(OPEN, path={"class_code": "10000", "seat": "1"}),
    ),
    "GET /child/class": (Row(OPEN, ok=BELOW_500),),
    "GET /child/class/{seat}": (Row(OPEN, path={"seat": "1"}, ok=BELOW_500),),
    "POST /child/class/{seat}": (Row(OPEN, path={"seat": "1"}, ok=BELOW_500),),
    "GET /child/card/{card}": (Row(OPEN, path={"card": "no-such-card"}, ok=BELOW_500),),
    "GET /child/account/{why}": (Row(OPEN, path={"why": "unknown"}, ok=BELOW_500),),
    "GET /child/account/{name}/begin": (Row(OPEN, path={"name": "none"}, ok=BELOW_500),),
    "GET /child/account/{name}/back": (Row(OPEN, path={"name": "none"}, ok=BELOW_500),),
    "GET /child/sw.js": (Row(OPEN),),
    "GET /child/offline": (Row(OPEN),),
    "GET /child/help": (Row(OPEN),),
    "GET /portal/sw.js": (Row(OPEN),),
    "GET /portal/sign-in": (Row(OPEN),),
    "POST /portal/sign-in": (Row(OPEN, ok=frozenset({401, 429})),),
    "GET /portal/invitation/{token}": (
        Row(OPEN, path={"token": "no-such-invitation"}, ok=BELOW_500),
    ),
    "GET /portal/invitation": (Row(OPEN, ok=BELOW_500),),
    "POST /portal/invitation": (Row(OPEN, ok=BELOW_500),),
    "GET /portal/account/{why}": (Row(OPEN, path={"why": "unknown"}, ok=BELOW_500),),
    "GET /portal/account/{name}/begin": (Row(OPEN, path={"name": "none"}, ok=BELOW_500),),
    "GET /portal/account/{name}/back": (Row(OPEN, path={"name": "none"}, ok=BELOW_500),),
    "POST /slack/interactions": (Row(OPEN, ok=frozenset({401})),),
    # --- a child, about itself alone ------------------------------------------------------------
    "GET /child": (Row(CHILD),),
    "GET /child/api/session": (Row(CHILD),),
    "POST /child/api/check-ins": (Row(CHILD, json={}, ok=frozenset({422})),),
    "POST /child/api/consultations": (Row(CHILD, json={}, ok=frozenset({422})),),
    "GET /child/questionnaires/{questionnaire_id}": (
        Row(CHILD, path={"questionnaire_id": "kokoro_monthly"}),
    ),
    "POST /child/questionnaires/{questionnaire_id}": (
        Row(CHILD, path={"questionnaire_id": "kokoro_monthly"}, ok=frozenset({422})),
    ),
    "GET /child/consultation": (Row(CHILD),),
    "POST /child/consultation": (Row(CHILD, form=_fresh_id(whom="anyone")),),
    "GET /child/received/{sent_id}": (Row(CHILD, of="sent", reach=OWN_WORDS),),
    "POST /child/stay": (Row(CHILD),),
    "POST /child/sign-out": (Row(CHILD, touches=(access.sessions,)),),
    # --- every member of staff, about oneself ---------------------------------------------------
    "GET /portal": (Row(STAFF),),
    "POST /portal/sign-out": (Row(STAFF, touches=(access.sessions,)),),
    "GET /portal/second-factor": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/second-factor": (Row(STAFF, ok=NOT_REFUSED | {401}),),
    "GET /portal/confirm": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/confirm": (Row(STAFF, ok=NOT_REFUSED | {401}),),
    "GET /portal/second-factor/set-up": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/second-factor/set-up": (Row(STAFF, ok=NOT_REFUSED),),
    "GET /portal/second-factor/codes": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/second-factor/codes": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/passkeys/ask": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/passkeys/show": (Row(STAFF, ok=NOT_REFUSED | {401}),),
    "POST /portal/passkeys/ask-new": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/passkeys/new": (Row(STAFF, ok=NOT_REFUSED),),
    "GET /portal/devices": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/devices": (Row(STAFF, ok=NOT_REFUSED | {404}),),
    "POST /portal/devices/off": (Row(STAFF, ok=NOT_REFUSED),),
    "GET /portal/take/{token}": (Row(STAFF, path={"token": "no-such-link"}, ok=frozenset({404})),),
    "POST /portal/take/{token}": (Row(STAFF, path={"token": "no-such-link"}, ok=frozenset({404})),),
    "GET /portal/security": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/security/app/remove": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/security/passkeys/remove": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/security/sessions/end": (Row(STAFF, ok=NOT_REFUSED),),
    "POST /portal/security/sessions/end-others": (
        Row(STAFF, ok=NOT_REFUSED, touches=(access.sessions,)),
    ),
    "POST /portal/security/password": (Row(STAFF, ok=NOT_REFUSED | {401}),),
    # --- alerts ---------------------------------------------------------------------------------
    "GET /portal/alerts": (Row(CARE), Row(CARE, query="?state=done")),
    "GET /portal/alerts/fragment": (Row(CARE),),
    "GET /portal/live": (Row(CARE),),
    "GET /portal/alerts/{alert_id}": (
        Row(CARE, of="call", reach=CALLS),
        Row(CARE, of="answer", reach=ANSWERS),
    ),
    **{
        f"POST /portal/alerts/{{alert_id}}/{step}": (
            Row(CARE, of="call", reach=CALLS, touches=(alerts, deliveries)),
            Row(CARE, of="answer", reach=ANSWERS, touches=(alerts, deliveries)),
        )
        for step in ("acknowledge", "take-over", "put-back", "offer", "snooze", "close", "reopen")
    },
    **{
        f"POST /portal/alerts/{{alert_id}}/{step}": (
            Row(CARE, of="call", reach={}, touches=(alerts, deliveries)),  # nobody is asked
            Row(CARE, of="answer", reach={}, touches=(alerts, deliveries)),
        )
        for step in ("accept", "decline", "withdraw")
    },
    "POST /portal/alerts/{alert_id}/opinion": (
        Row(CARE, of="call", reach=CALLS, form={"verdict": "helpful"}, touches=(opinions,)),
        Row(CARE, of="answer", reach=ANSWERS, form={"verdict": "helpful"}, touches=(opinions,)),
    ),
    "POST /portal/lists/{list_id}/opinion/{student}": (
        Row(LISTS, of="listed", reach=OF_SCHOOL, form={"verdict": "differs"}, touches=(opinions,)),
    ),
    "GET /portal/digest": (Row(STAFF),),
    "POST /portal/digest/choice": (
        Row(
            STAFF, form={"kind": "morning", "wanted": "no"}, ok=frozenset({303}),
            touches=(digest_choices,),
        ),
    ),
    # --- notices: about a place, for the duties that were told ----------------------------------
    "GET /portal/notices": (Row(STAFF),),
    "GET /portal/notices/{notice_id}": (
        Row(STAFF, of="notice", reach=TOLD),
        Row(STAFF, of="notice_of_call", reach={}),
    ),
    "POST /portal/notices/{notice_id}/acknowledge": (
        Row(STAFF, of="notice", reach=TOLD, touches=(alerts, deliveries)),
        Row(STAFF, of="notice_of_call", reach={}),
    ),
    "POST /portal/notices/{notice_id}/end": (
        Row(STAFF, of="notice", reach=TOLD, touches=(alerts, deliveries)),
        Row(STAFF, of="notice_of_call", reach={}),
    ),
    # --- classes and children -------------------------------------------------------------------
    "GET /portal/classes": (Row(CHILDS_PAGE),),
    "GET /portal/classes/{class_id}": (Row(CHILDS_PAGE, of="class", reach=ROOMS),),
    "GET /portal/students/{student}": (Row(CHILDS_PAGE, of="student"),),
    "GET /portal/follow-up/{student}": (Row(CARE + " welfare", of="student"),),
    "POST /portal/follow-up/{student}": (
        Row(CARE + " welfare", of="student", form=RECORD, touches=(follow_ups,)),
    ),
    # --- cases ----------------------------------------------------------------------------------
    "GET /portal/cases": (Row("welfare"),),
    "GET /portal/handed-over": (Row(GIVERS),),
    "POST /portal/students/{student}/hand-over": (
        Row(GIVERS, of="student", form=HANDING_OVER, ok=frozenset({303, 422}), touches=(cases,)),
    ),
    "POST /portal/students/{student}/take-back": (
        Row(GIVERS, of="student", reach=TAKE_BACK, touches=(cases,)),
    ),
    "GET /portal/case-counts": (Row("board board_guidance"),),
    "GET /portal/cases/{case_id}/form": (Row("welfare", of="case", reach=PAPER_TAKEN),),
    "GET /portal/handed-over/{case_id}/form": (Row(GIVERS, of="case", reach=PAPER_GIVEN),),
    "POST /portal/cases/{case_id}/return": (
        Row("welfare", of="case", reach=RETURN, touches=(cases,)),
    ),
    # --- lists and the meeting ------------------------------------------------------------------
    "GET /portal/lists": (Row(LISTS),),
    "GET /portal/lists/{list_id}": (Row(LISTS, of="list", reach=OF_SCHOOL),),
    "GET /portal/lists/{list_id}/entry/{student}": (Row(LISTS, of="listed", reach=OF_SCHOOL),),
    "POST /portal/lists/{list_id}/entry/{student}": (
        Row(LISTS, of="listed", reach=OF_SCHOOL, form={"support": "talked"}),
    ),
    "GET /portal/meetings": (Row(SEATS),),
    "GET /portal/committee/{list_id}": (Row(SEATS, of="list", reach=MEETING),),
    "POST /portal/committee/{list_id}": (
        Row(SEATS, of="entry", reach=DECIDE, form=_decision, touches=(reviews,)),
    ),
    # Nothing is decided in this world, so there is nothing to take back, for nobody.
    "POST /portal/committee/{list_id}/undo": (
        Row(SEATS, of="entry", reach=NOTHING, form=_decision),
    ),
    # --- sheets: this world's playbook has none, so nobody reaches one ----------------------------
    "GET /portal/sheets": (Row(SHEETS),),
    "GET /portal/sheets/{sheet_id}/of/{student}": (
        Row(SHEETS, of="student", reach=NOTHING, path=SHEET),
    ),
    "POST /portal/sheets/{sheet_id}/of/{student}": (
        Row(SHEETS, of="student", reach=NOTHING, path=SHEET, form={"section": "a"}),
    ),
    "POST /portal/sheets/{sheet_id}/of/{student}/check": (
        Row(SHEETS, of="student", reach=NOTHING, path=SHEET),
    ),
    "GET /portal/sheets/{sheet_id}/file": (
        Row(SHEETS, path=SHEET, query="?school=sakura", ok=frozenset({404})),
    ),
    "POST /portal/sheets/{sheet_id}/file": (Row(SHEETS, path=SHEET, ok=frozenset({422})),),
    # --- counts, the installation ---------------------------------------------------------------
    "GET /portal/board": (Row("board board_guidance"),),
    "GET /portal/evaluation": (Row("board board_guidance"),),
    "GET /portal/evaluation/fairness": (Row("board board_guidance"),),
    "GET /portal/evaluation/effects": (Row("board board_guidance"),),
    "GET /portal/evaluation/file": (Row("board board_guidance"),),
    "GET /portal/evaluation/school": (Row(LISTS),),
    "GET /portal/evaluation/school/{school}": (Row(LISTS, of="school", reach=SCHOOL_SEEN),),
    "GET /portal/drift": (Row("board board_guidance"),),
    "GET /portal/playbook": (Row("board board_guidance"),),
    "POST /portal/playbook/numbers": (Row("board board_guidance", ok=FORM_BACK),),
    "POST /portal/playbook/file": (Row("board board_guidance", ok=FORM_BACK),),
    # No try of this board has that id: for whoever may, it is not there.
    "GET /portal/playbook/tries/{trial}": (
        Row("board board_guidance", path={"trial": "none"}, ok=frozenset({404})),
    ),
    "POST /portal/playbook/tries/{trial}/stop": (
        Row("board board_guidance", path={"trial": "none"}, ok=frozenset({404})),
    ),
    "GET /portal/playbook/tries/{trial}/file": (
        Row("board board_guidance", path={"trial": "none"}, ok=frozenset({404})),
    ),
    "GET /portal/status": (Row("operator"),),
    "GET /portal/feeds": (Row("operator"),),
    "GET /portal/watchman": (Row("operator"),),
    "GET /portal/messages": (Row("operator"),),
    "POST /portal/messages/again": (Row("operator", form={"message": "none"}),),
    # --- children's cards -----------------------------------------------------------------------
    "GET /portal/cards": (Row("homeroom management"),),
    "GET /portal/cards/{class_id}": (Row("homeroom management", of="class", reach=CARDS),),
    "POST /portal/cards/{class_id}/card": (Row("homeroom management", of="class", reach=CARDS),),
    "POST /portal/cards/{class_id}/stop": (Row("homeroom management", of="class", reach=CARDS),),
    "POST /portal/cards/{class_id}/children": (
        Row("homeroom management", of="class", reach=CARDS, form={"whom": "missing"}),
    ),
    "GET /portal/cards/{class_id}/accounts": (
        Row("homeroom management", of="class", reach=CARDS),
    ),
    "POST /portal/cards/{class_id}/accounts/unlink": (
        Row(
            "homeroom management", of="class", reach=CARDS, touches=(identities,),
            form=lambda world, s: {"seat": world.seat[s]},
        ),
        # A number nobody has is not found, in reach and out of it.
        Row("homeroom management", of="class", reach={}, form={"seat": "99"}),
    ),
    # --- accounts of staff ----------------------------------------------------------------------
    "GET /portal/accounts": (Row("accounts"),),
    "GET /portal/accounts/new": (Row("accounts"),),
    "GET /portal/channels": (Row("accounts"),),
    "POST /portal/channels": (Row("accounts", ok=FORM_BACK),),
    "POST /portal/channels/remove": (Row("accounts", ok=FORM_BACK),),
    "POST /portal/channels/try": (Row("accounts", ok=FORM_BACK),),
    "POST /portal/accounts": (Row("accounts", ok=FORM_BACK),),
    "POST /portal/accounts/search": (Row("accounts"),),
    "GET /portal/accounts/{staff}": (Row("accounts", of="person", reach=COLLEAGUES),),
    "GET /portal/accounts/{staff}/provider": (Row("accounts", of="person", reach=COLLEAGUES),),
    **dict(
        map(
            _of_account,
            ("provider", "provider/unlink", "duties", "duties/end", "factors", "invitation",
             "close", "open"),
        )
    ),
    # --- who is away, who is told -----------------------------------------------------------------
    "GET /portal/cover": (Row(STAFF),),
    "POST /portal/cover/absences": (
        Row(STAFF, of="colleague", reach=COVERED_FOR, form=_absence, touches=(absences,)),
    ),
    "POST /portal/cover/absences/{absence}/withdraw": (
        Row(STAFF, of="absence", reach=COVERED_FOR, form=_at_sakura, touches=(absences,)),
    ),
    "POST /portal/cover/working-days": (
        Row(STAFF, of="colleague", reach=COVERED_FOR, form=_absence, touches=(working_days,)),
    ),
    "POST /portal/cover/stand-ins": (
        Row(
            STAFF, of="colleague", reach=COVERED_FOR, form=_stand_in, ok=FORM_BACK,
            touches=(stand_ins, duties),
        ),
    ),
    "POST /portal/cover/on-duty": (
        Row(
            STAFF, of="colleague", reach=REVIEWED, form=_absence, ok=FORM_BACK,
            touches=(stand_ins, duties),
        ),
    ),
    "POST /portal/cover/stand-ins/{stand_in}/withdraw": (
        Row(STAFF, of="stand_in", reach=COVERED_FOR, form=_at_sakura, touches=(stand_ins, duties)),
    ),
    "GET /portal/told": (Row("guidance management board board_guidance accounts"),),
    "GET /portal/told/gaps": (Row("guidance management board board_guidance accounts"),),
    "GET /portal/rights-review": (Row("management accounts"),),
    "GET /portal/rights-review/file": (Row("management accounts"),),
    "POST /portal/rights-review/{staff}": (
        Row("management accounts", of="colleague", reach=REVIEWED, form={"decision": "keep"}),
    ),
    # --- requests of families -------------------------------------------------------------------
    "GET /portal/requests": (Row("privacy"),),
    "GET /portal/requests/new": (Row("privacy"),),
    "GET /portal/requests/new/{kind}": (Row("privacy", path={"kind": "disclosure"}),),
    "POST /portal/requests/new/{kind}": (
        Row("privacy", path={"kind": "disclosure"}, form={"words": "0"}, ok=FORM_BACK),
    ),
    "GET /portal/requests/new/{kind}/{student}": (
        Row("privacy", of="student", reach=FAMILIES, path={"kind": "disclosure"}),
    ),
    "POST /portal/requests/new/{kind}/{student}": (
        Row("privacy", of="student", reach=FAMILIES, path={"kind": "disclosure"}, ok=FORM_BACK),
    ),
    **dict(
        [
            _of_request("GET /portal/requests/{request_id}"),
            _of_request("GET /portal/requests/{request_id}/held"),
            _of_request(
                "GET /portal/requests/{request_id}/held/{section}", path={"section": "answers"}
            ),
            *(
                _of_request(f"POST /portal/requests/{{request_id}}/{what}")
                for what in ("held", "time", "decide", "renew", "correct", "stop", "told", "close",
                             "take-back")
            ),
        ]
    ),
    "GET /portal/requests/{request_id}/file/{link}": (
        Row("privacy", of="decided", reach=FAMILIES, ok=frozenset({200})),
        Row("privacy", of="request", path={"link": "none-yet"}, reach=FAMILIES, ok=FORM_BACK),
    ),
    "POST /portal/requests/{request_id}/file/{link}": (
        Row("privacy", of="decided", reach=FAMILIES, ok=frozenset({200}), touches=DISCLOSED),
        Row("privacy", of="request", path={"link": "none-yet"}, reach=FAMILIES, ok=FORM_BACK),
    ),
    "GET /portal/requests/{request_id}/notice": (
        Row("privacy", of="decided", reach=FAMILIES, ok=frozenset({200})),
        Row("privacy", of="request", reach={}),  # nothing is decided yet: there is no letter
    ),
    "GET /portal/retention": (Row("privacy"),),
    "GET /portal/approvals": (Row("management board"),),
    "GET /portal/approvals/{request_id}": (
        Row("management board", of="waiting", reach=APPROVE, ok=frozenset({200})),
        Row("management board", of="request", reach={}),  # what does not wait is not there
    ),
    "POST /portal/approvals/{request_id}": (
        Row(
            "management board", of="waiting", reach=APPROVE, form={"agree": "yes"},
            ok=frozenset({303}), touches=DISCLOSED,
        ),
        Row(
            "management board", of="waiting", reach=APPROVE,
            form={"agree": "no", "reason": "理由"}, ok=frozenset({303}), touches=DISCLOSED,
        ),
        Row("management board", of="request", reach={}, form={"agree": "yes"}),
    ),
    # --- the trail ------------------------------------------------------------------------------
    "GET /portal/trail": (Row("auditor"),),
    "POST /portal/trail": (Row("auditor", ok=FORM_BACK),),
    "GET /portal/trail/file": (Row("auditor"),),
    "GET /portal/trail/alarms": (Row("auditor"),),
    "POST /portal/trail/alarms/{alarm}": (
        Row(
            "auditor", of="alarm", reach=ALARMS, form={"verdict": "reasonable"},
            ok=frozenset({303}), touches=(access.looking_alarms,),
        ),
        Row("auditor", path={"alarm": "no-such-alarm"}, form={"verdict": "reasonable"},
            ok=frozenset({404})),
    ),
    "GET /portal/trail/child/{student}": (Row("privacy", of="student", reach=FAMILIES),),
}  # fmt: skip
