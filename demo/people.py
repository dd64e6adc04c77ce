"""The made-up people inside a running installation: their keys, principals, passwords, pictures.

`settle_in` gives those whom the importer has just made what a file does not carry: staff passwords
and children's pictures. Passwords are hashed with the least effort argon2 has: the demo prints
those it shows on its first page, a generated password of a generated teacher protects nothing, and
a quarter of a second each would be felt.
"""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any

import msgspec
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select

from demo.town import BOARD, BOARD_OFFICE, Child, Town
from warning_service.access.doors.second_factors import code_now
from warning_service.access.principals import Principal, duty_at
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.access.staff_lookup import duties_of
from warning_service.rooms import Rooms
from warning_service.roster import bulk
from warning_service.roster import tables as t
from warning_service.roster.calendar import school_year_of
from warning_service.roster.service import KeyMaker

SHOWN_CHILDREN = (("sakura", 5, "1"), ("midori", 4, "1"))
"""School, grade and room (2025) of the two children whose sign-ins the demo prints."""

_PLAIN = (Place.CLASS, Place.SCHOOL)
"""Places that stand for themselves; others cover classes or schools that have to be looked up."""

SHOWN_DUTIES = ("nurse", "counsellor", "guidance", "head", "committee", "ssw")


def seeded_keys(seed: int, what: str) -> KeyMaker:
    """A maker of random-looking keys that a rerun makes again."""
    rng = Random(f"{seed}:keys:{what}")
    return lambda: f"{rng.getrandbits(80):020x}"


class People:
    """Keys by number and login; loaded anew after each register."""

    def __init__(self, rooms: Rooms, town: Town) -> None:
        self._rooms = rooms
        self.town = town
        self.load()

    def load(self) -> None:
        """Read keys and duties."""
        s, st, d = t.students, t.staff, t.duties
        with self._rooms.database.reading() as conn:
            self.student: dict[str, str] = {
                row.number: row.student
                for row in conn.execute(select(s.c.number, s.c.student).where(s.c.board == BOARD))
            }
            self._staff: dict[str, str] = {
                row.login: row.staff
                for row in conn.execute(select(st.c.login, st.c.staff).where(st.c.board == BOARD))
            }
            self._duties = list(conn.execute(select(d).order_by(d.c.staff, d.c.role, d.c.place)))
        self._principals: dict[tuple[date, Role, str], Principal | None] = {}

    def who(self, role: Role, place: str, on: date) -> Principal | None:
        """The first person who has that duty there on that day, ready to act."""
        key = (on, role, place)
        if key not in self._principals:
            self._principals[key] = self._principal(role, place, on)
        return self._principals[key]

    def _principal(self, role: Role, place: str, on: date) -> Principal | None:
        for row in self._duties:
            if (row.role, row.place) == (role.value, place) and _in_force(row, on):
                held = [o for o in self._duties if o.staff == row.staff and _in_force(o, on)]
                if all(OFFICES[Role(other.role)].place in _PLAIN for other in held):
                    duties = tuple(duty_at(Role(other.role), other.place) for other in held)
                else:
                    with self._rooms.database.reading() as conn:
                        duties = duties_of(conn, row.staff, on)
                return Principal(kind="staff", key=row.staff, board=BOARD, csrf="", duties=duties)
        return None

    def posts(self, on: date) -> list[tuple[Role, str]]:
        """The duties in force that day, each with its place."""
        found = {(Role(row.role), row.place) for row in self._duties if _in_force(row, on)}
        return sorted(found)

    def login_of(self, principal: Principal) -> str:
        """The login of a member of staff."""
        return next(login for login, key in self._staff.items() if key == principal.key)

    def code_of(self, class_id: str) -> str:
        """The digits a tablet of that class is set to; "…" while its register has not come."""
        c = t.classes
        with self._rooms.database.reading() as conn:
            code = conn.execute(select(c.c.code).where(c.c.id == class_id)).scalar_one_or_none()
        return code or "…"

    def settle_in(self) -> None:
        """Give passwords to staff and pictures to children who have none yet."""
        self._passwords()
        self._apps()
        self._pictures()

    def _apps(self) -> None:
        """Those whose duties need a second factor have an app; the demo's page shows its code."""
        needed = self._rooms.settings.roles_with_second_factor
        holders = {row.staff for row in self._duties if row.role in needed}
        for adult in self.town.staff:
            key = self._staff.get(adult.login)
            if key and key in holders and not self._rooms.factors.of(key).any:
                self._rooms.factors.give_totp(key, app_secret(adult.login, adult.password))

    def _passwords(self) -> None:
        cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
        done = set(self._settled())
        bulk.set_staff_passwords(
            self._rooms.database,
            [
                (adult.login, cheap.hash(adult.password))
                for adult in self.town.staff
                if adult.login in self._staff and adult.login not in done
            ],
        )

    def _settled(self) -> list[str]:
        """Logins whose password fits already (looked at for one shown account: all or none)."""
        hasher = PasswordHash.recommended()
        probe = next(adult for adult in self.town.staff if adult.login == "board")
        st = t.staff
        with self._rooms.database.reading() as conn:
            held = conn.execute(
                select(st.c.password_hash).where(st.c.login == probe.login)
            ).scalar_one_or_none()
        fits = held is not None and hasher.verify(probe.password, held)
        return [adult.login for adult in self.town.staff] if fits else []

    def _pictures(self) -> None:
        p = t.seats
        with self._rooms.database.reading() as conn:
            without = set(conn.execute(select(p.c.student).where(p.c.secret_hash == "")).scalars())
        bulk.set_child_secrets(
            self._rooms.database,
            {
                key: self._rooms.sealer.mac(key, self.town.secret_of(child))
                for child in self.town.children
                if (key := self.student.get(child.number)) in without and key is not None
            },
        )


def app_secret(login: str, password: str) -> str:
    """The secret (base32) of a generated person's authenticator app, the same in every run."""
    rng = Random(f"{login}:{password}:app")
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(32))


def _in_force(row: Any, on: date) -> bool:
    return row.from_day <= on and (row.until_day is None or row.until_day > on)


def shown_children(town: Town) -> list[Child]:
    """The children the demo shows: the first in the middle of their class."""
    found = []
    for school, grade, room in SHOWN_CHILDREN:
        members = [
            child
            for child in town.children
            if (place := child.at.get(2025)) is not None
            and (place.school, place.grade, place.room, place.seat) == (school, grade, room, 7)
        ]
        found += members
    return found


def shown_logins(town: Town) -> set[str]:
    """Accounts the demo shows: those around the shown children, the board, the operator."""
    logins = {"board", "operator", *(login for login, _ in BOARD_OFFICE)}
    for child in shown_children(town):
        for year, place in child.at.items():
            logins |= {
                adult.login
                for adult in town.staff
                for duty in adult.duties
                if (duty.year, duty.school, duty.grade) == (year, place.school, place.grade)
                and duty.room in (place.room, "")
            }
            logins |= {f"{place.school}.{duty}" for duty in SHOWN_DUTIES}
    return logins


_GROUPS = {
    Place.SELF: "1child",
    Place.CLASS: "2class",
    Place.GRADE: "2class",
    Place.SCHOOL: "3school",
    Place.BOARD: "4board",
}


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A ready sign-in: for a child class code, number and pictures; else login and password.

    `code`: what the person's authenticator app shows now; '' for those who have none. `duty`: the
    role, by which the page groups them.
    """

    role: str
    role_en: str
    where: str
    address: str
    name: str
    secret: str
    number: str = ""
    code: str = ""
    duty: str = Role.CHILD.value

    @property
    def group(self) -> str:
        """The part of the page it stands in; the figure is its place there."""
        return _GROUPS[OFFICES[Role(self.duty)].place]


def sign_ins(rooms: Rooms, town: Town) -> list[SignIn]:
    """Ready sign-ins as of the installation's today, in the order of the demo's story."""
    today = rooms.clock.today()
    year = school_year_of(today)
    base = rooms.settings.public_url.rstrip("/")
    people = People(rooms, town)
    passwords = {adult.login: adult.password for adult in town.staff}
    found: list[SignIn] = []

    def add_staff(role: Role, label: str, label_en: str, place: str, where: str) -> None:
        who = people.who(role, place, today)
        if who is None:
            return
        login = people.login_of(who)
        needed = rooms.settings.roles_with_second_factor
        code = ""
        if any(duty.role in needed for duty in who.duties):
            code = code_now(app_secret(login, passwords[login]), rooms.clock.now())
        found.append(
            SignIn(
                role=label, role_en=label_en, where=where, address=f"{base}/portal/sign-in",
                name=login, secret=passwords[login], code=code, duty=role.value,
            )
        )  # fmt: skip

    for n, child in enumerate(shown_children(town)):
        place = child.at[year]
        class_id = f"{place.school}-{year % 100:02d}-{place.door_grade}-{place.room}"
        code = people.code_of(class_id)
        where = f"{place.door_grade}年{place.room}組"
        daily = n == 1
        found.append(
            SignIn(
                role="子ども(毎朝の学校)" if daily else "子ども",
                role_en="child (school that asks daily)" if daily else "child",
                where=where, address=f"{base}/child/sign-in/{code}/{place.seat}", name=code,
                number=str(place.seat), secret=town.secret_of(child),
            )
        )  # fmt: skip
        add_staff(Role.HOMEROOM, "担任", "homeroom teacher", class_id, where)
        if daily:
            continue
        grade = f"{place.school}:{place.grade}"
        add_staff(Role.GRADE_LEAD, "学年主任", "grade lead", grade, f"{place.door_grade}年")
        add_staff(Role.NURSE, "養護教諭", "school nurse", place.school, "")
        add_staff(
            Role.SOCIAL_WORKER, "スクールソーシャルワーカー", "social worker", place.school, ""
        )
        add_staff(Role.GUIDANCE, "生徒指導主任", "guidance lead", place.school, "")
        add_staff(Role.MANAGEMENT, "管理職", "school management", place.school, "")
        add_staff(Role.COMMITTEE, "校内委員会", "school committee", place.school, "")
    add_staff(Role.BOARD, "教育委員会", "education board", BOARD, "")
    add_staff(Role.BOARD_GUIDANCE, "指導主事", "board guidance officer", BOARD, "")
    add_staff(Role.WELFARE, "福祉担当", "welfare officer", BOARD, "")
    add_staff(Role.PRIVACY, "個人情報担当", "privacy officer", BOARD, "")
    add_staff(Role.ACCOUNTS, "アカウント管理者", "accounts officer", BOARD, "")
    add_staff(Role.AUDITOR, "監査担当", "auditor", BOARD, "")
    add_staff(Role.OPERATOR, "運用担当", "operator", BOARD, "")
    return found
