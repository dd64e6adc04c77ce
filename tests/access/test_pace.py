"""A person is never slowed down, a script is."""

from __future__ import annotations

import pytest

from warning_service.access import pace
from warning_service.access.pace import Bucket, Pace, TooFast


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_so_many_a_second() -> None:
    watch = Watch()
    slow = Pace(Bucket(3, 2), watch)
    for _ in range(3):
        slow.take("one")
    with pytest.raises(TooFast) as told:
        slow.take("one")
    assert told.value.seconds == 1
    slow.take("another")
    watch.now += 0.5
    slow.take("one")
    with pytest.raises(TooFast):
        slow.take("one")
    watch.now += 1000
    for _ in range(3):
        slow.take("one")
    with pytest.raises(TooFast):
        slow.take("one")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MOST_KEPT", 2)
    slow = Pace(Bucket(1, 1), Watch())
    for asker in "abcd":
        slow.take(asker)
    slow.take("a")  # forgotten with the others, so it may ask again
