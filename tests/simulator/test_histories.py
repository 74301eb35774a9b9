"""
Each history is its seed. Some seconds' worth are played by default, GROUPQUEUE_SOAK times as many in a soak;
GROUPQUEUE_SEED plays one, and tells it step by step.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.helpers import scaled, within
from tests.simulator.world import World

SEED = os.environ.get("GROUPQUEUE_SEED")


def history(seed: int, moves: int, **kill: Any) -> World:
    world = World(seed, **kill)
    try:
        world.play(moves)
        world.end()
    except Exception as error:
        last = "\n".join(world.trace if SEED else world.trace[-25:])
        settings = f"ordered={world.ordered} maxsize={world.maxsize}"
        pytest.fail(f"seed {seed} {kill or ''} ({settings}): {type(error).__name__}: {error}\n{last}")
    return world


@pytest.mark.skipif(SEED is None, reason="plays the one history of GROUPQUEUE_SEED")
def test_one_history() -> None:
    history(int(SEED or 0), 250)


@pytest.mark.parametrize("block", range(10))
@within(60)
def test_nothing_is_lost_nothing_comes_twice_and_order_is_kept(block: int) -> None:
    count = scaled(12)
    for seed in range(block * count, (block + 1) * count):
        history(seed, 250)


@within(60)
def test_the_leader_may_die_at_any_write() -> None:
    for kill_in in range(scaled(25)):
        for kill_after in (False, True):
            history(kill_in // 25, 80, kill_in=kill_in % 25, kill_after=kill_after)


def test_histories_are_eventful() -> None:
    """What the others are worth: each kind of event happens, in ordered histories too."""
    for ordered in (False, True):
        seen = " ".join(line for seed in range(60) for line in events(seed, ordered))
        for word in ("dies", "closes", "lost its leader", "leads no more", "at a write", "requeue", "fail", "withdraws",
                     "attempt 2", "attempt 3", "joins", "dies of it"):  # fmt: skip
            assert word in seen, f"never happens (ordered={ordered}): {word}"


def events(seed: int, ordered: bool) -> list[str]:
    world = World(1000 + seed)
    world.ordered = ordered
    world.play(250)
    return world.trace
