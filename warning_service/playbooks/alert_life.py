"""The part of a playbook about what becomes of an alert somebody has taken on.

How long an acknowledgement holds without a record, how long and why one may say "not now", within
how many minutes a mistaken tap can be taken back. The values are example values: no source
publishes any. How minutes become moments is alerts/deadlines.py's.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from warning_service.playbooks.kinds import A_YEAR, YEAR_MINUTES, Part, Urgency


class Reason(Part):
    """Why somebody says "not now", with its wording."""

    id: str
    label: str
    label_en: str


_REASONS = (
    Reason(id="absent", label="本人が休んでいる", label_en="The child is absent"),
    Reason(id="appointment", label="会う約束がある", label_en="There is an appointment"),
    Reason(
        id="family", label="家庭からの連絡を待っている", label_en="Waiting to hear from the family"
    ),
    Reason(id="colleague", label="ほかの先生に確かめている", label_en="Asking a colleague"),
)


class AlertLife(Part):
    """Deadlines and limits after an alert was raised. An urgent alert's minutes are plain ones,
    those of others run while the school is open.
    """

    record_urgent: int = Field(
        default=24 * 60, ge=1, le=YEAR_MINUTES,
        description="Minutes until an acknowledgement without record ends.",
    )  # fmt: skip
    record_today: int = Field(
        default=18 * 60, ge=1, le=YEAR_MINUTES, description="The same for what is due today."
    )
    record_routine: int = Field(
        default=45 * 60, ge=1, le=YEAR_MINUTES, description="The same for routine."
    )
    undo_minutes: int = Field(
        default=5, ge=0, le=YEAR_MINUTES,
        description="So long a mistaken acknowledgement can be taken back.",
    )  # fmt: skip
    snooze_urgent: int = Field(
        default=0, ge=0, le=24 * 60, description="Longest snooze of an urgent one; 0: none."
    )
    snooze_days: int = Field(
        default=7, ge=0, le=60, description="Longest snooze of any other, in days; 0: none."
    )
    snooze_reasons: tuple[Reason, ...] = Field(default=_REASONS, min_length=1)
    close_days: int = Field(
        default=14, ge=1, le=A_YEAR,
        description="So many days after its record an alert is closed by itself.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _reasons_once(self) -> AlertLife:
        if len({reason.id for reason in self.snooze_reasons}) != len(self.snooze_reasons):
            raise ValueError("alert_life.snooze_reasons names a reason twice")
        return self

    def record_minutes(self, urgency: Urgency | str) -> int:
        """Within how many minutes a record has to follow an acknowledgement."""
        return {"urgent": self.record_urgent, "today": self.record_today}.get(
            urgency, self.record_routine
        )
