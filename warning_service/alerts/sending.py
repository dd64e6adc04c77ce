"""Sends what was taken from a lane, and says what became of it and of its lane.

`Writer` makes the message out of what is owed; `Sender` hands it to one channel. Neither touches
the database: outcomes are stored by the deliverer, many in one transaction. A channel that asks for
a pause gets it, one address or the whole of it as it said; whatever else it throws, the message is
tried again ever more slowly, with jitter, and given up visibly after `max_tries`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

import structlog
from prometheus_client import Counter, Histogram

from warning_service.alerts import states
from warning_service.alerts.lanes import Lanes
from warning_service.alerts.messages import (
    DIGEST,
    OFFERED,
    Channel,
    Message,
    NotDelivered,
    Other,
    RateLimited,
    State,
    page_of,
)
from warning_service.alerts.outbox import FAILED, SENT, UNNEEDED, WAITING, Outcome, Owed
from warning_service.alerts.telling import ESCALATED, UPDATE
from warning_service.alerts.turns import SECOND_AFTER
from warning_service.clock import Clock

log = structlog.get_logger()

LONGEST_PAUSE = 30.0
LONGEST_BACKOFF = 60.0
UPDATE_TRIES = 10
TOO_EARLY_SECONDS = 0.5

OUTCOMES = Counter("kizashi_deliveries_total", "What became of messages", ["channel", "outcome"])
LATENCY = Histogram(
    "kizashi_delivery_seconds",
    "From the alert's commit to the channel having the message",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600),
)

_STATE_OF: dict[str, State] = {
    states.OPEN: "open",
    "acknowledged": "acknowledged",
    "snoozed": "acknowledged",  # somebody has it; when it ends, the others are told again
    "handled": "handled",
    "closed": "handled",
}


class Writer:
    """Makes messages. `public_url` begins every link; `names_class`: may one name the class."""

    def __init__(self, public_url: str, *, names_class: bool) -> None:
        self._portal = public_url.rstrip("/") + "/portal"
        self._names_class = names_class

    def of(self, owed: Sequence[Owed]) -> Message:
        """The one message that says all of `owed`, which are alike, or one change of a message."""
        first = owed[0]
        shown = [(one.alert_id, self._state(one.purpose, one.alert_state)) for one in owed]
        shown += [(alert, self._state(first.purpose, state)) for alert, state in first.with_it]
        # One that still waits goes first: the message as a whole is not done before it is.
        shown.sort(key=lambda one: one[1] not in {"open", "escalated"})
        (alert_id, state), *others = shown
        path = f"{page_of(first.kind)}/{alert_id}"
        if not alert_id:
            path = "digest" if first.kind.startswith(DIGEST) else "channels"
        return Message(
            address=first.address,
            alert_id=alert_id or first.id,  # a trial belongs to no alert
            kind=first.kind,
            urgent=first.urgency == "urgent",
            state=state,
            class_name=first.class_name if self._names_class else "",
            link=f"{self._portal}/{path if not others else page_of(first.kind)}",
            count=len(shown),
            others=tuple(Other(alert, its_state) for alert, its_state in others),
            delivery=first.id,
        )

    def _state(self, purpose: str, alert_state: str) -> State:
        if purpose == OFFERED:
            return "offered"
        if purpose == UPDATE:
            return _STATE_OF.get(alert_state, "open")
        return "escalated" if purpose == ESCALATED else "open"


class Sender:
    """One channel with its lanes. Used by several threads."""

    def __init__(
        self, channel: Channel, writer: Writer, *, senders: int, max_tries: int, wall: Clock
    ) -> None:
        self.channel = channel
        self.lanes = Lanes(senders, float(getattr(channel, "seconds_between", 0.0)))
        self._writer = writer
        self._max_tries = max_tries
        self._wall = wall

    def deal(self, taken: Sequence[Owed], good: bool) -> list[Outcome]:
        """Send what was taken from a lane, if that still makes sense, as one message."""
        owed, outcomes = [], []
        for one in taken:
            if not good:
                outcomes.append(self.given_back(one, 0.0))
            elif one.too_early:
                outcomes.append(self.given_back(one, TOO_EARLY_SECONDS))
            elif one.unneeded:
                OUTCOMES.labels(one.channel, UNNEEDED).inc()
                outcomes.append(
                    Outcome(
                        owed=one, state=UNNEEDED, attempts=one.attempts, next_at=self._wall.now()
                    )
                )
            else:
                owed.append(one)
        if not owed:
            self.lanes.passed(taken[0].lane)
            return outcomes
        return outcomes + self._sent(owed)

    def given_back(self, owed: Owed, seconds: float) -> Outcome:
        """It was not tried; `seconds` from now it may be."""
        return Outcome(
            owed=owed, state=WAITING, attempts=owed.attempts,
            next_at=self._wall.now() + timedelta(seconds=seconds),
        )  # fmt: skip

    def _sent(self, owed: Sequence[Owed]) -> list[Outcome]:
        first = owed[0]
        try:
            remote_id = self._send(owed)
        except RateLimited as error:
            OUTCOMES.labels(first.channel, "rate_limited").inc()
            return self._limited(owed, error)
        except NotDelivered as error:
            if error.refused:  # the channel works; it is this message it does not take
                self.lanes.passed(first.lane)
                return [
                    self._missed(one, error.why, self._backoff(one.attempts + 1), hurry=True)
                    for one in owed
                ]
            return self._not_delivered(owed, error.why)
        except Exception as error:
            return self._not_delivered(owed, type(error).__name__)
        self.lanes.done(first.lane, update=first.purpose == UPDATE)
        now = self._wall.now()
        for one in owed:
            OUTCOMES.labels(one.channel, SENT).inc()
            LATENCY.labels(one.channel).observe(max(0.0, (now - one.created_at).total_seconds()))
        return [
            Outcome(
                owed=one, state=SENT, attempts=one.attempts + 1, next_at=now,
                remote_id=remote_id, sent_at=now,
            )
            for one in owed
        ]  # fmt: skip

    def _send(self, owed: Sequence[Owed]) -> str:
        message = self._writer.of(owed)
        if owed[0].purpose == UPDATE:
            self.channel.update(owed[0].target_remote, message)
            return owed[0].target_remote
        return self.channel.send(message)

    # -- what did not go out -----------------------------------------------------------------------

    def _limited(self, owed: Sequence[Owed], error: RateLimited) -> list[Outcome]:
        """Nobody's fault and no try: the address keeps still, or the whole channel."""
        outcomes = self._pause(
            owed[0], error.seconds, failed=False,
            own=[
                Outcome(
                    owed=one, state=WAITING, attempts=one.attempts, error="rate_limited",
                    next_at=self._wall.now() + timedelta(seconds=error.seconds),
                    hurry=error.seconds > SECOND_AFTER.total_seconds(),
                )
                for one in owed
            ],
        )  # fmt: skip
        if error.everybody or self.lanes.limited():
            waited = self.lanes.pause_all(error.seconds)
            log.warning("whole_channel_paused", channel=owed[0].channel, seconds=error.seconds)
            outcomes += [self.given_back(one, error.seconds) for one in waited]
        return outcomes

    def _not_delivered(self, owed: Sequence[Owed], why: str) -> list[Outcome]:
        failures = self.lanes.failures(owed[0].lane) + 1
        seconds = min(self._backoff(failures), LONGEST_PAUSE)
        own = [
            self._missed(one, why, max(seconds, self._backoff(one.attempts + 1))) for one in owed
        ]
        return self._pause(owed[0], seconds, failed=True, own=own)

    def _pause(
        self, owed: Owed, seconds: float, *, failed: bool, own: list[Outcome]
    ) -> list[Outcome]:
        """Hold the whole address still, and give back what else waited for it."""
        until = self._wall.now() + timedelta(seconds=seconds)
        waited = self.lanes.pause(owed.lane, seconds, failed=failed)
        log.warning(
            "channel_paused", channel=owed.channel, seconds=round(seconds, 1), reason=own[0].error
        )
        held = Outcome(
            owed=own[0].owed, state=own[0].state, attempts=own[0].attempts,
            next_at=own[0].next_at, error=own[0].error, hurry=own[0].hurry, pause_until=until,
        )  # fmt: skip
        return [held, *own[1:], *(self.given_back(one, seconds) for one in waited)]

    def _missed(self, owed: Owed, why: str, seconds: float, *, hurry: bool = False) -> Outcome:
        """One try more has failed: later again, or given up."""
        attempts = owed.attempts + 1
        most = UPDATE_TRIES if owed.purpose == UPDATE else self._max_tries
        state = FAILED if attempts >= most else WAITING
        OUTCOMES.labels(owed.channel, FAILED if state == FAILED else "missed").inc()
        if state == FAILED:
            log.error(
                "delivery_given_up", channel=owed.channel, alert=owed.alert_id,
                delivery=owed.id, attempts=attempts, reason=why,
            )  # fmt: skip
        return Outcome(
            owed=owed, state=state, attempts=attempts, error=why, hurry=hurry,
            next_at=self._wall.now() + timedelta(seconds=seconds),
        )  # fmt: skip

    def _backoff(self, tries: int) -> float:
        """1, 2, 4 … 60 seconds, less up to half of it, so that many do not come back together."""
        longest = min(LONGEST_BACKOFF, 2.0 ** min(tries - 1, 10))
        return longest * (0.5 + secrets.randbelow(500) / 1000)
