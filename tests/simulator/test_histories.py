"""
Each history is its seed. Some seconds' worth are played by default, GROUPQUEUE_SOAK times as many in a soak, and as
many as one likes by `python -m tests.simulator`. GROUPQUEUE_SEED plays one, and tells it step by step.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from groupqueue.core.departures import Departures
from groupqueue.core.recorder import Recorder
from tests.helpers import scaled, within
from tests.simulator import histories
from tests.simulator.world import World

SEED = os.environ.get("GROUPQUEUE_SEED")


def play(seed: int, moves: int, **how: Any) -> None:
    failure = histories.history(seed, moves, **how)
    if failure is not None:
        pytest.fail(str(failure))


@pytest.mark.skipif(SEED is None, reason="plays the one history of GROUPQUEUE_SEED")
def test_one_history() -> None:
    play(int(SEED or 0), 250)


@pytest.mark.parametrize("block", range(10))
@within(60)
def test_nothing_is_lost_nothing_comes_twice_and_order_is_kept(block: int) -> None:
    count = scaled(12)
    for seed in range(block * count, (block + 1) * count):
        play(seed, 250)


@within(60)
def test_the_leader_may_die_at_any_write() -> None:
    for kill_in in range(scaled(25)):
        for kill_after in (False, True):
            play(kill_in // 25, 80, kill_in=kill_in % 25, kill_after=kill_after)


def test_histories_are_eventful() -> None:
    """What the others are worth: each kind of event happens, in ordered histories too."""
    for ordered in (False, True):
        seen = " ".join(line for seed in range(90) for line in events(seed, ordered))
        for word in ("dies", "closes", "lost its leader", "leads no more", "at a write", "requeue", "fail", "withdraws",
                     "attempt 2", "attempt 3", "joins", "dies of it", "is the death of"):  # fmt: skip
            assert word in seen, f"never happens (ordered={ordered}): {word}"


def events(seed: int, ordered: bool) -> list[str]:
    world = World(1000 + seed)
    world.ordered = ordered
    world.play(range(250))
    return world.trace


def test_a_history_that_goes_wrong_is_told_by_the_moves_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: Recorder, member: int, position: int) -> None:
        self._state.apply_return(member, position)

    monkeypatch.setattr(Recorder, "returned", forget)
    failure = next(found for seed in range(100) if (found := histories.history(seed, 100)))
    assert 0 < len(failure.moves) < 30
    assert f"seed {failure.seed}" in str(failure)
    for left_out in range(len(failure.moves)):
        fewer = failure.moves[:left_out] + failure.moves[left_out + 1 :]
        assert histories.attempt(failure.seed, fewer, failure.how) is None


def test_what_dies_with_its_consumer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Departures, "depart", lambda self, member, death: None)
    assert any(histories.history(seed, 100) for seed in range(100))
