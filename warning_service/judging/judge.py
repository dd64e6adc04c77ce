"""The judging of one board in memory: takes in events, collects what has to be written.

Nothing here touches a database or a clock, so that the running service, a rebuild and a replay all
go through exactly this. What comes out depends on the sequence of events alone: not on how they
were batched, not on when they were handled. Days are ordinals.

A refusal (不同意書) takes the child out at once: its state, and its rows in the model's memory. All
that is kept is its place on the roll and its household's key (`away`), so that a family may change
its mind. The weights it once moved are cleaned by deriving/removal.py, which plays the log
without what was before the refusal (`gone`) and puts the result in the place of this judge's state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from models.items import bounded
from models.labels import label, matures_on
from models.learner import Learner, TrainingBlock
from models.pooling import of_text
from models.student_state import Outcome, Spell, StudentState
from warning_service.clock import cpu_seconds
from warning_service.events.types import (
    AnyBody,
    CheckInSubmitted,
    DayClosed,
    EnrolmentEnded,
    EnrolmentStarted,
    Event,
    FollowUpRecorded,
    HouseholdKnown,
    ListDue,
    ObservationCorrected,
    ObservationRecorded,
    OptOutRecorded,
    OptOutWithdrawn,
    OutcomeRecorded,
    PoolTaken,
    ReviewDecided,
    UseStopped,
)
from warning_service.judging import drift, outcomes, rises
from warning_service.judging.changes import Book, Changes, Spent
from warning_service.judging.publish import Occasion, make
from warning_service.judging.sampling import block_of
from warning_service.judging.scope import alike_of, gather
from warning_service.judging.setup import Setup
from warning_service.judging.terms import terms_of


@dataclass(frozen=True)
class Gone:
    """What a judge takes as never having happened, though the log tells it.

    `students`: student -> position of the latest refusal; of what came before, only the place on
    the roll counts. `items`: student -> items whose use was stopped.
    """

    students: Mapping[str, int] = field(default_factory=dict)
    items: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Judge:
    """One board. `read_block` gives a stored training block that is not in memory any more.

    `away`: the place on the roll of those whose families refuse now. Nothing else is kept of them.
    """

    def __init__(
        self,
        board: str,
        setup: Setup,
        read_block: Callable[[int], bytes],
        gone: Gone | None = None,
    ) -> None:
        self.board, self.setup = board, setup
        self.specs = {use.spec.id: use.spec for use in setup.uses}
        self.students: dict[str, StudentState] = {}
        self.away: dict[str, StudentState] = {}
        self.learner = Learner(setup.schema.names, setup.schema.hash)
        self.book = Book()
        self.waiting: list[int] = []
        self.changes = Changes()
        self.spent = Spent()
        self.gone = gone or Gone()
        self.read_block = read_block
        self._version = ""
        self._ordered: list[str] | None = None
        self._rolls: tuple[int, dict[str, dict[str, StudentState]]] | None = None

    def collect(self) -> Changes:
        """Hand out the changes and begin anew."""
        changes, self.changes = self.changes, Changes()
        return changes

    @property
    def model_version(self) -> str:
        """A name for the model as it stands: a hash over everything it has learned."""
        if not self._version:
            kind, pool = "pooled" if self.learner.pool else "online", self.learner.pool_bytes()
            learned = hashlib.sha256(self.learner.model_bytes() + pool).hexdigest()
            self._version = f"{kind}-{learned[:12]}"
        return self._version

    # -- events ----

    def take(self, event: Event) -> None:
        """Take in one event; those that mean nothing to judging are passed over."""
        body = event.body
        if not isinstance(body, ListDue):
            self._rolls = None  # kept for all schools' lists of one morning
        if isinstance(body, DayClosed):
            self._close(event)
        elif isinstance(body, ListDue):
            self._list(event, body)
        elif isinstance(body, PoolTaken):
            self._pool(body.pool, event.position)
        elif event.actor == outcomes.ACTOR:
            return  # what judging found out itself was applied when it found it out
        elif event.student is not None and self._about(event, event.student):
            self.changes.students.add(event.student)

    def _about(self, event: Event, student: str) -> bool:
        """An event about a student; True when its state changed."""
        body, day = event.body, event.on.toordinal()
        if event.position <= self.gone.students.get(student, 0):
            return self._standing(self._away(student), body, day)
        if isinstance(body, OptOutRecorded):
            self._away(student)
            self._forget(student, event.position)
            return True
        away = self.away.get(student)
        if isinstance(body, OptOutWithdrawn):
            if away is None:
                return False
            del self.away[student]
            away.data_from = day
            self.students[student] = away
            self._ordered = None
            self.changes.moved.add(student)
            return True
        if away is not None:
            return self._standing(away, body, day)
        state = self._state(student)
        if isinstance(body, EnrolmentStarted | EnrolmentEnded | HouseholdKnown):
            return self._standing(state, body, day)
        if day < state.data_from:
            return False
        return self._fact(event, state, day)

    @staticmethod
    def _standing(state: StudentState, body: AnyBody, day: int) -> bool:
        """Follow the roll and what may not be used; True when something changed."""
        if isinstance(body, EnrolmentStarted):
            return state.enrol(Spell(day, None, body.school, body.class_id, body.grade))
        if isinstance(body, EnrolmentEnded):
            return state.leave(body.class_id, day)
        if isinstance(body, HouseholdKnown):
            return state.live_in(body.household, day)
        if isinstance(body, UseStopped):
            state.stop(body.items, day)
            return True
        return False

    def _away(self, student: str) -> StudentState:
        """What is kept of a student whose family refuses."""
        found = self.away.get(student)
        if found is None:
            held = self.students.pop(student, None) or self._new(student)
            found = self.away[student] = StudentState(
                roll=held.roll, stopped=held.stopped, homes=held.homes
            )
            self._ordered = None
            self.changes.moved.add(student)
            self.changes.students.add(student)
        return found

    def _fact(self, event: Event, state: StudentState, day: int) -> bool:
        body, today = event.body, self.book.closed + 1 if self.book.closed else 0
        if isinstance(body, UseStopped | ObservationCorrected):
            return self._asked_by_family(event, state, day)
        if isinstance(body, ObservationRecorded) and body.item not in state.stopped:
            spec, found = self.specs.get(body.item), bounded(body.value)
            if body.item == self.setup.outcome_item:
                outcomes.add_up(state, day, found)
            if spec is not None:
                state.put(spec, day, found, today)
            return spec is not None or body.item == self.setup.outcome_item
        if isinstance(body, CheckInSubmitted):
            asked = [
                (self.specs.get(f"q.{q}"), v)
                for q, v in sorted(body.answers.items())
                if f"q.{q}" not in state.stopped
            ]
            for spec, value in asked:
                if spec is not None and value is None:
                    state.put_refused(spec, day, today)
                elif spec is not None and value is not None:
                    state.put(spec, day, float(value), today)
            return any(spec is not None for spec, _ in asked)
        if isinstance(body, OutcomeRecorded) and body.outcome == self.setup.outcome:
            over = None if body.over_on is None else body.over_on.toordinal()
            return state.put_outcome(Outcome(day, body.known_on.toordinal(), over))
        judged = (
            isinstance(body, ReviewDecided)
            and body.chosen != ""
            and body.scheme in self.setup.schemes
        )
        news = judged and day > state.judged_on
        if news:
            state.judged_on = day
        supports = (
            isinstance(body, FollowUpRecorded) and body.action in self.setup.support_actions
        ) or (
            isinstance(body, ReviewDecided)
            and (body.scheme, body.chosen) in self.setup.support_classes
        )
        if supports and day > state.supported_on:
            state.supported_on = day
            news = True
        return news

    def _asked_by_family(self, event: Event, state: StudentState, day: int) -> bool:
        """A correction, or an end of use, that a family's request led to."""
        body = event.body
        if isinstance(body, UseStopped):
            news = any(item not in state.stopped for item in body.items)
            if news:
                self._forget(event.student or "", event.position)
            state.stop(body.items, day)
            if self.setup.outcome_item in body.items:
                state.year_sum = 0.0
            return True
        assert isinstance(body, ObservationCorrected)
        if body.item in state.stopped:
            return False
        spec, was = self.specs.get(body.item), bounded(body.was)
        value = None if body.value is None else bounded(body.value)
        if body.item == self.setup.outcome_item:
            outcomes.add_up(state, day, (value or 0.0) - was)
        if spec is not None:
            state.correct(spec, day, was, value)
        return spec is not None or body.item == self.setup.outcome_item

    def _forget(self, student: str, position: int) -> None:
        """Take a student's rows out of what the models keep of settled days."""
        from_memory, from_sample = self.learner.forget(student)
        if from_memory:
            self.changes.memory_at = position
        if from_sample:
            self.changes.challenger_at = position

    def _state(self, student: str) -> StudentState:
        found = self.students.get(student)
        if found is None:
            found = self.students[student] = self._new(student)
            self._ordered = None
        return found

    def _new(self, student: str) -> StudentState:
        return StudentState(stopped=dict.fromkeys(self.gone.items.get(student, ()), 0))

    def ordered(self) -> list[str]:
        """All student keys, sorted: the one order in which students are ever gone through."""
        if self._ordered is None:
            self._ordered = sorted(self.students)
        return self._ordered

    # -- the end of a day ----

    def _close(self, event: Event) -> None:
        day = event.on.toordinal()
        if day <= self.book.closed:
            return
        self.book.closed = day
        self.changes.book_at = event.position
        begins = outcomes.year_begins(day)
        for student in self.ordered():
            state = self.students[student]
            found = outcomes.detect(self.setup, state, day, begins)
            if found is not None:
                # Applied now; when the event comes by in the log, it is passed over as our own.
                state.put_outcome(found)
                self.changes.students.add(student)
                self.changes.events.append(outcomes.event(self.board, student, self.setup, found))
        began, apart = cpu_seconds(), self.learner.challenger_cpu
        for waiting in list(self.waiting):
            if matures_on(waiting, self.setup.horizon, self.setup.delay) <= day:
                self._settle(waiting, event.position)
        if self.learner.pool is not None and day > self.learner.pool.until:
            self._pool("", event.position)
        self.spent.learning += self._without_challenger(began, apart)
        if day % self.setup.sample_every == 0:
            self._sample(day)
        if self.setup.rises and self.book.by_model:
            risen = rises.find(
                self.setup, self.learner, self.by_school(day), self.book.by_model,
                board=self.board, day=day, model_version=self.model_version,
                weights=self.book.alike,
            )  # fmt: skip
            self.changes.events += risen
            self.changes.students.update(event.student for event in risen if event.student)

    def _without_challenger(self, began: float, apart: float) -> float:
        """CPU seconds since `began` but for the challenger's, which stood at `apart` then."""
        self.spent.challenger = self.learner.challenger_cpu
        return cpu_seconds() - began - (self.learner.challenger_cpu - apart)

    def _settle(self, day: int, position: int) -> None:
        data = self.changes.blocks.get(day)
        if data is None:
            data = self.read_block(day)
        block = msgspec.msgpack.decode(data, type=TrainingBlock)
        labels: list[bool | None] = []
        for student in block.students:
            state = self.students.get(student)
            gone = state is None or day < state.data_from or state.stopped_after(day)
            labels.append(None if state is None or gone else label(state, day, self.setup.horizon))
        self.learner.settle(block, labels)
        self.spent.labels += sum(1 for found in labels if found is not None)
        self.waiting.remove(day)
        self.changes.settled.append(day)
        self.changes.learned(position)
        self._version = ""

    def _sample(self, day: int) -> None:
        """Keep today's features and all judges' scores until their labels are known."""
        if self.setup.method == "none":
            return  # nobody is scored, by a model neither
        began, apart = cpu_seconds(), self.learner.challenger_cpu
        schools = self.by_school(day)
        groups = gather(self.setup, schools, schools, day, self.book.alike)
        if self.setup.similar_to is not None:
            # Weekly at the close of a day, so that all lists until the next weigh the same.
            self.book.alike = alike_of(self.setup, groups, day)
        drift.look(self.learner.watch, self.setup, groups, day, self.changes)
        block = block_of(self.setup, self.learner, groups, day)
        self.spent.scoring += self._without_challenger(began, apart)
        if block is not None:
            self.changes.blocks[day] = msgspec.msgpack.encode(block)
            self.waiting.append(day)

    def _pool(self, text: str, position: int) -> None:
        """Use what other boards told of their models, or nothing of it any more."""
        pool = of_text(text)
        if pool is not None and pool.terms != terms_of(self.setup):
            return
        if self.learner.use_pool(pool):
            self.changes.model_at = self.changes.pool_at = position
            self._version = ""

    def by_school(self, day: int) -> dict[str, dict[str, StudentState]]:
        """Students on the roll on `day` whose families did not refuse, by school, keys sorted."""
        if self._rolls is not None and self._rolls[0] == day:
            return self._rolls[1]
        found: dict[str, dict[str, StudentState]] = {}
        for student in self.ordered():
            state = self.students[student]
            spell = state.spell_on(day)
            if spell is not None:
                found.setdefault(spell.school, {})[student] = state
        self._rolls = (day, dict(sorted(found.items())))
        return self._rolls[1]

    # -- lists ----

    def _list(self, event: Event, body: ListDue) -> None:
        """Make one school's list, or those of a board whose children are picked together ('')."""
        day, book = event.on.toordinal(), self.book
        if day <= book.listed.get(body.school, 0) or self.setup.method == "none":
            return  # asked twice for one list: the first one stands
        began, apart = cpu_seconds(), self.learner.challenger_cpu
        if self.learner.fit_challenger(day):
            self.changes.challenger_at = event.position
        known_until = day if book.closed >= day else day - 1
        everyone = self.by_school(day)
        wanted = {body.school: everyone.get(body.school, {})} if body.school else everyone
        made = make(
            self.setup,
            Occasion(self.board, day, known_until, event.position, event.recorded_at, book.alike),
            self.learner,
            model_version=self.model_version,
            groups=gather(self.setup, wanted, everyone, known_until, book.alike),
            previous=book.listed,
        )
        book.listed[body.school] = day
        for published in made:
            school = published.row["school"]
            if day <= book.listed.get(school, 0) and school != body.school:
                continue  # the school had its own list of that day
            book.listed[school] = day
            book.by_model.pop(school, None)
            if published.row["judge"] == "model":
                book.by_model[school] = day
            self.changes.lists.append(published)
            self.changes.events.append(published.event)
            self.changes.students.update(row["student"] for row in published.scores)
        self.changes.book_at = event.position
        self.spent.scoring += self._without_challenger(began, apart)
