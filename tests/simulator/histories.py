"""One history, played and judged; and what of it is enough to fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.simulator.world import World


class Failure(NamedTuple):
    """A history that went wrong: `moves` are the numbers of those without which it would not have."""

    seed: int
    how: dict[str, Any]
    moves: list[int]
    error: str
    trace: list[str]

    def __str__(self) -> str:
        told = "\n".join(self.trace)
        return f"seed {self.seed} {self.how or ''}, moves {self.moves}: {self.error}\n{told}"


def attempt(seed: int, moves: Sequence[int], how: dict[str, Any]) -> Failure | None:
    world = World(seed, **how)
    try:
        world.play(moves)
        world.end()
    except Exception as error:
        trace = [f"ordered={world.ordered} maxsize={world.maxsize}", *world.trace]
        return Failure(seed, how, list(moves), f"{type(error).__name__}: {error}", trace)
    return None


def history(seed: int, count: int, **how: Any) -> Failure | None:
    """Plays that many moves. None if all is well; else the failure, shrunk."""
    failure = attempt(seed, range(count), how)
    return failure if failure is None else shrink(failure)


def shrink(failure: Failure) -> Failure:
    """Leaves moves out, in ever smaller runs, as long as the rest still fails: delta debugging (Zeller, 1999)."""
    size = len(failure.moves) // 2
    while size:
        start = 0
        while start < len(failure.moves):
            fewer = failure.moves[:start] + failure.moves[start + size :]
            found = attempt(failure.seed, fewer, failure.how)
            if found is None:
                start += size
            else:
                failure = found
        size //= 2
    return failure
