"""One deadline, and nobody subtracts clocks."""

from __future__ import annotations

import pytest

from groupqueue.system import deadline
from groupqueue.system.deadline import Deadline


class Clock:
    """A clock that stands until it is told to go."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deadline, "now", clock)
    return clock


def test_a_deadline_expires_when_its_time_is_over(clock: Clock) -> None:
    end = Deadline(2.0)
    assert (end.expired, end.remaining()) == (False, 2.0)
    clock.time += 1.5
    assert (end.expired, end.remaining()) == (False, 0.5)
    clock.time += 0.5
    assert (end.expired, end.remaining()) == (True, 0.0)


def test_what_remains_is_never_negative(clock: Clock) -> None:
    end = Deadline(1.0)
    clock.time += 10.0
    assert end.remaining() == 0.0


def test_no_timeout_is_never(clock: Clock) -> None:
    end = Deadline(None)
    clock.time += 1e9
    assert (end.expired, end.remaining()) == (False, None)


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -1e9])
def test_no_time_at_all_is_expired_at_once(clock: Clock, timeout: float) -> None:
    assert Deadline(timeout).expired


@pytest.mark.parametrize(
    ("timeout", "seconds", "sooner"),
    [(2.0, 1.0, 1.0), (1.0, 2.0, 1.0), (None, 2.0, 2.0), (2.0, None, 2.0), (None, None, None)],
)
def test_the_sooner_of_two(clock: Clock, timeout: float | None, seconds: float | None, sooner: float | None) -> None:
    assert Deadline(timeout).sooner(seconds) == sooner


def test_the_sooner_follows_the_clock(clock: Clock) -> None:
    end = Deadline(2.0)
    clock.time += 1.9
    assert end.sooner(1.0) == pytest.approx(0.1)
