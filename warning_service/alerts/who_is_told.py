"""Who would be told when: the chain walked for one place and moment, without any alert.

Goes through exactly what a real alert goes through (telling.py), so that what the page and the
command show is what would happen if nobody answered, as far as absences and duties are known
today. Nothing is stored and nothing is sent. Keys only; names are for whoever shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from warning_service.alerts.listeners import places
from warning_service.alerts.telling import Place, Reached, Telling
from warning_service.clock import day_of
from warning_service.events.log import Log
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.service import Playbooks

PORTAL = "portal"
"""The channel everybody has who can sign in."""


class Reaching(msgspec.Struct, frozen=True, kw_only=True):
    """One duty of a step. `people`: who holds it and is there; `away`: who holds it and is not.

    `channels`: where a message goes; `beside`: told besides, as the one on duty that day.
    """

    duty: str
    place: str
    how: Reached
    people: tuple[str, ...]
    away: tuple[str, ...]
    channels: tuple[str, ...]
    beside: bool = False

    @property
    def told(self) -> bool:
        """Is this duty told at all?"""
        return self.how in {"there", "route"}


class StepTold(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the walk. `at`: when it is told (None: passed over); `due_at`: until when.

    `held`: it is told later than its time, because of quiet hours. `again`: the last step, told
    again for want of an answer.
    """

    number: int
    at: datetime | None
    due_at: datetime | None
    held: bool
    duties: tuple[Reaching, ...]
    again: bool = False

    @property
    def passed_over(self) -> bool:
        """Was nobody of this step there?"""
        return self.at is None


def walk(
    conn: Connection,
    board: str,
    playbook: Playbook,
    place: Place,
    *,
    kind: str,
    urgency: str,
    at: datetime,
    duties: Sequence[str] = (),
) -> list[StepTold]:
    """The whole chain for an alert raised at `at` that nobody ever answers.

    `duties`: those a child has chosen, in place of the first step's. Ends with the last step told
    again. Reads with the connection's own rights: give it the service's, or absences of people
    outside the reader's scope would be missing.
    """
    telling = Telling(conn, board, playbook.escalation, places={place}, urgencies={urgency}, now=at)
    chain = playbook.chain(kind, urgency)
    rings = playbook.rings_at_night(kind, urgency)
    found: list[StepTold] = []
    step, moment, wanted = 0, at, tuple(duties) or chain[0].duties
    while True:
        told, _ = telling.would(
            chain, wanted, place, step=step, urgency=urgency, start=moment, rings=rings
        )
        when = told.tell_at or moment
        for number in range(step, told.step):
            passed = wanted if number == step else chain[number].duties
            found.append(
                StepTold(
                    number=number, at=None, due_at=None, held=False,
                    duties=tuple(_reaching(telling, duty, place, when) for duty in passed),
                )
            )  # fmt: skip
        named = wanted if told.step == step else chain[told.step].duties
        found.append(
            StepTold(
                number=told.step, at=when, due_at=told.due_at, held=when > moment,
                duties=(
                    *(_reaching(telling, duty, place, when) for duty in named),
                    # Those passed over, told as nobody at all is there, are not on duty (日直).
                    *(
                        _reaching(
                            telling, duty, place, when,
                            beside=telling.reachable(duty, place, when),
                        )
                        for duty in told.beside
                    ),
                ),
            )
        )  # fmt: skip
        if told.step + 1 >= len(chain):
            break
        step, moment = told.step + 1, told.due_at
        wanted = chain[step].duties
    last = telling.again(chain, place, urgency=urgency, now=told.due_at)
    found.append(
        StepTold(
            number=len(chain) - 1, at=told.due_at, due_at=last.due_at, held=False, again=True,
            duties=tuple(
                _reaching(telling, duty, place, told.due_at) for duty in chain[-1].duties
            ),
        )
    )  # fmt: skip
    return found


def _reaching(
    telling: Telling, duty: str, place: Place, moment: datetime, *, beside: bool = False
) -> Reaching:
    where = telling.where(duty, place)
    people = telling.presence.there(duty, where, moment)
    away = telling.presence.holders(duty, where, day_of(moment)) - people
    how = telling.reached(duty, place, moment)
    channels = {route.channel for route in telling.routes(duty, place, moment)}
    if how not in {"there", "route"}:
        channels = set()
    return Reaching(
        duty=duty, place=where, how=how, people=tuple(sorted(people)), away=tuple(sorted(away)),
        channels=(*((PORTAL,) if people else ()), *sorted(channels)), beside=beside,
    )  # fmt: skip


class WhoIsTold:
    """The walk for any class or child of a board. Who may ask is decided before."""

    def __init__(self, log: Log, playbooks: Playbooks) -> None:
        self._log = log
        self._playbooks = playbooks

    def of_class(
        self, board: str, place: Place, *, kind: str, at: datetime, duties: Sequence[str] = ()
    ) -> list[StepTold]:
        """What an alert about a child of that class would do, raised at `at`.

        Raises KeyError for an unknown board, AttributeError for an unknown kind,
        StorageUnavailable.
        """
        playbook = self._playbooks.for_help(board)
        urgency = playbook.kinds.of(kind).urgency
        with self._log.database.as_service().reading() as conn:
            return walk(
                conn, board, playbook, place, kind=kind, urgency=urgency, at=at, duties=duties
            )

    def place_of(self, student: str, at: datetime) -> Place:
        """Where a child is on the roll on that day, as for a real alert."""
        on = day_of(at)
        with self._log.database.as_service().reading() as conn:
            return places(conn, [(student, on)])[student, on]
