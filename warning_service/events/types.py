"""Every kind of event there is, in one list (those of one alert are in of_alerts.py).

An event says what happened, to whom (a random student key, never a name), on which day, by whom
(a staff key, `child` or `system:…`). Bodies are small frozen structs with a tag; the log stores
them as JSON text and gives the same bytes back for ever. A change that would read old bytes
differently needs a new tag. Words a person wrote about a child are never stored open: fields named
`sealed` hold ciphertext that only `access/sealing.py` can open.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime

import msgspec
import uuid_utils

from warning_service.events.body import Body
from warning_service.events.of_alerts import (
    AlertAcknowledged,
    AlertClosed,
    AlertDelivered,
    AlertEscalated,
    AlertHandled,
    AlertOffered,
    AlertOfferEnded,
    AlertOpenedAgain,
    AlertRaised,
    AlertSeen,
    AlertSnoozed,
    AlertTakenOver,
    OfAlert,
)

# Read from here, wherever they are written down.
__all__ = [
    "AlertAcknowledged",
    "AlertClosed",
    "AlertDelivered",
    "AlertEscalated",
    "AlertHandled",
    "AlertOfferEnded",
    "AlertOffered",
    "AlertOpenedAgain",
    "AlertRaised",
    "AlertSeen",
    "AlertSnoozed",
    "AlertTakenOver",
    "Body",
    "OfAlert",
]


# --- who is where -------------------------------------------------------------------------------


class EnrolmentStarted(Body, frozen=True, tag="enrolment_started"):
    """A student is on the roll of a class from `on`."""

    school: str
    class_id: str
    grade: int  # 1-9: primary 1-6, junior high 7-9; 0 and below: years before school


class EnrolmentEnded(Body, frozen=True, tag="enrolment_ended"):
    """From `on` the student is no longer on the roll of that class."""

    class_id: str


class HouseholdKnown(Body, frozen=True, tag="household_known"):
    """From `on` the student lives in the household of that random key; '': in none that is known.

    Never a 世帯番号: that stays in the roster.
    """

    household: str


class OptOutRecorded(Body, frozen=True, tag="opt_out_recorded"):
    """不同意書: no linking, no list, no learning from now on. Asking for help still works."""


class OptOutWithdrawn(Body, frozen=True, tag="opt_out_withdrawn"):
    """The family takes the refusal back."""


# --- facts --------------------------------------------------------------------------------------


class CheckInSubmitted(Body, frozen=True, tag="check_in_submitted"):
    """A child's answers: question id -> chosen value, None = "I would rather not say"."""

    questionnaire: str
    version: int
    answers: dict[str, int | None]
    answered_at: datetime


NOT_KEPT = ""
"""In the place of sealed words that could not be sealed."""


class ConsultationRequested(Body, frozen=True, tag="consultation_requested"):
    """A child asks to talk. `whom` and `about` are choice ids; `sealed` holds its words.

    `sealed` is None when nothing was written, and NOT_KEPT when words were written that could not
    be sealed: the call for help is kept all the same.
    """

    whom: tuple[str, ...]
    about: tuple[str, ...]
    sealed: str | None
    asked_at: datetime


class ObservationRecorded(Body, frozen=True, tag="observation_recorded"):
    """One fact from a record or an extract: item (a catalogue id), value, source."""

    item: str
    value: float
    source: str


class ObservationCorrected(Body, frozen=True, tag="observation_corrected"):
    """What was recorded of `item` on `on` was not `was` but `value`; None: it never happened.

    The wrong event stays in the log, as `corrects`; whoever counts honours this one after it.
    """

    item: str
    was: float
    value: float | None
    corrects: str  # id of the event that was wrong
    request: str  # id of the family's request that was accepted


class UseStopped(Body, frozen=True, tag="use_stopped"):
    """利用停止: these items of this student are not used from here on, nor what came before."""

    items: tuple[str, ...]
    request: str


class OutcomeRecorded(Body, frozen=True, tag="outcome_recorded"):
    """What one wanted to prevent began on `on`; the end of `known_on` makes it known.

    `over_on`: from that day the student is at risk again; None while not over. A later event with
    the same outcome and `on` replaces it.
    """

    outcome: str
    known_on: date
    over_on: date | None


# --- time ---------------------------------------------------------------------------------------


class DayClosed(Body, frozen=True, tag="day_closed"):
    """The school day `on` is over: labels of that day may mature, models may learn."""


class ListDue(Body, frozen=True, tag="list_due"):
    """The slot has come to make `school`'s warning list of `on` from all that is in the log."""

    school: str


class LogShortened(Body, frozen=True, tag="log_shortened"):
    """Rows were deleted from this board's log by a retention clock (`kind`), in this transaction.

    `rows` of the days `oldest` to `newest`. `judged`: judging had read them, so that its models
    have to be derived again from what is left, and lists of before cannot be any more.
    """

    kind: str
    rows: int
    oldest: date
    newest: date
    judged: bool


class PoolTaken(Body, frozen=True, tag="pool_taken"):
    """From here on this board judges with what others told of their models; '': alone again.

    `pool`: the numbers (models/pooling.Pool) as JSON text, no record of anybody.
    """

    pool: str


# --- what followed ------------------------------------------------------------------------------


class ListPublished(Body, frozen=True, tag="list_published"):
    """A warning list was made; its entries and evidence are in judging's tables.

    `why`: what it was decided on who judges (judging/hand_over.py); none in older events.
    """

    list_id: str
    school: str
    judge: str
    model_version: str
    listed: int
    ranked: int
    why: dict[str, str | int | float | None] = msgspec.field(default_factory=dict)


class RiskRose(Body, frozen=True, tag="risk_rose"):
    """A child's probability rose sharply above that of the list of `listed_on`, says `rule`."""

    rule: str
    score: float
    before: float
    listed_on: date
    model_version: str


class ReviewDecided(Body, frozen=True, tag="review_decided"):
    """A meeting's decision on a child. `chosen` belongs to `scheme` (A means nothing alone).

    `list_id`: the list's, or the case's where a board makes no lists. '' as `chosen` takes back
    what that meeting had decided.
    """

    list_id: str
    scheme: str
    chosen: str
    directions: tuple[str, ...]
    sealed: str | None
    at: datetime | None = None


class FollowUpRecorded(Body, frozen=True, tag="follow_up_recorded"):
    """What an adult did and how the child is. `action` and `change` are playbook choice ids."""

    follow_up_id: str
    action: str
    change: str
    list_id: str | None
    alert_id: str | None
    sealed: str | None
    case_id: str | None = None  # written by the welfare office, in a case handed over to it


class SheetFilled(Body, frozen=True, tag="sheet_filled"):
    """One side filled its section of a sheet; each time is a new `version`, and none is lost.

    `about`: the list or the case the sheet is filled for; '' for the child as such. `section` '':
    somebody checked the whole and found it right. `sealed`: the values, with the child's key.
    """

    sheet: str
    section: str
    about: str
    school: str
    version: int
    sealed: str | None
    at: datetime


class OpinionGiven(Body, frozen=True, tag="opinion_given"):
    """What one adult thinks of an alert or of a list's entry for the child, with one tap.

    `of`: alert or entry; `about`: the alert's or the list's id. `verdict`: helpful, not_helpful,
    differs (my own view of the child is another); '' takes it back. The author's last one counts.
    """

    of: str
    about: str
    school: str
    verdict: str
    at: datetime


class CaseHandedOver(Body, frozen=True, tag="case_handed_over"):
    """The school gives a child's case to its board's welfare office. `ground`: support or help.

    `basis`: on what the office may look (a choice of the playbook's; '' where it asks for none),
    and the day of a consent. `items`: what of the school's the office sees; None: as the playbook
    says for every case.
    """

    case_id: str
    school: str
    ground: str
    sealed: str
    at: datetime
    basis: str = ""
    consent_on: date | None = None
    items: tuple[str, ...] | None = None


class CaseReturned(Body, frozen=True, tag="case_returned"):
    """The case is over for the office. `how`: taken_back by the school, or returned by it."""

    case_id: str
    how: str
    sealed: str | None
    at: datetime


AnyBody = (
    EnrolmentStarted
    | EnrolmentEnded
    | HouseholdKnown
    | OptOutRecorded
    | OptOutWithdrawn
    | CheckInSubmitted
    | ConsultationRequested
    | ObservationRecorded
    | ObservationCorrected
    | UseStopped
    | OutcomeRecorded
    | DayClosed
    | ListDue
    | LogShortened
    | PoolTaken
    | ListPublished
    | RiskRose
    | OfAlert
    | ReviewDecided
    | FollowUpRecorded
    | SheetFilled
    | OpinionGiven
    | CaseHandedOver
    | CaseReturned
)

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[AnyBody] = msgspec.json.Decoder(AnyBody)


def encode(body: AnyBody) -> str:
    """The body as JSON text, keys in a fixed order."""
    return _encoder.encode(body).decode()


def decode(text: str) -> AnyBody:
    """The body back from its text. Raises msgspec.ValidationError for anything else."""
    return _decoder.decode(text)


def tag_of(body: AnyBody | type[Body]) -> str:
    """The event type's name, e.g. `check_in_submitted`."""
    return str(body.__struct_config__.tag)


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event not yet in the log. `id` makes it unique: the same id is stored once."""

    id: str
    board: str
    student: str | None
    on: date
    actor: str
    body: AnyBody


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the log holds it. `position` grows with commit order; gaps mean nothing."""

    position: int
    id: str
    board: str
    student: str | None
    on: date
    recorded_at: datetime
    actor: str
    body: AnyBody


def new_id() -> str:
    """A fresh UUIDv7: sorts by time, so that inserts stay at the end of the index."""
    return str(uuid_utils.uuid7())


_NAMESPACE = uuid.UUID("6b7a7368-6900-4000-8000-000000000000")


def derived_id(*parts: str) -> str:
    """The one id for something that follows from `parts`: made again, it is the same event."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))
