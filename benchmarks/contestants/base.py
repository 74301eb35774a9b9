"""
What a queue must be able to do to take part.

`prepare` runs in the conductor and makes whatever all processes share; what it returns goes to each worker, as JSON to
a script, as it is to a forked child. `sender` and `receiver` run in the workers, receivers first. They return plain
callables, the contestant's own methods wherever possible: nothing of ours stands between the clock and the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.crew import Crew


@dataclass(frozen=True)
class Plan:
    """What the contestant may know of a trial."""

    senders: int = 1
    receivers: int = 1
    capacity: int = 0
    """The bound of the queue, 0 for none."""
    size: int = 100
    """About how many bytes an object has."""


def unsupported(*_: Any) -> Any:
    raise NotImplementedError


@dataclass
class Sender:
    """One producer's end."""

    put: Callable[[Any], Any]
    put_many: Callable[[Iterable[Any]], Any] = unsupported
    join: Callable[[], Any] = unsupported
    flush: Callable[[], Any] = lambda: None
    """Sees to it that everything leaves by itself, without another call. Nobody closes an end while a trial lasts."""


@dataclass
class Receiver:
    """One consumer's end."""

    get: Callable[[], Any]
    get_many: Callable[[int], Sequence[Any]] = unsupported
    get_message: Callable[[], Any] = unsupported
    task_done: Callable[[], Any] = unsupported


class Contestant:
    """The interface; what a contestant cannot do it leaves as it is."""

    forked = False
    """Whether its processes are children forked by multiprocessing, or scripts of their own."""
    pace = 20_000.0
    """About how many small objects it moves in a second: where the search for a good count begins."""
    bandwidth = 200e6
    """About how many bytes of large objects."""

    def missing(self) -> str | None:
        """Why it cannot take part here, or None."""
        return None

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        raise NotImplementedError

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        raise NotImplementedError

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        raise NotImplementedError

    def callers(self, address: dict[str, Any], first: int, count: int) -> list[Callable[[int], int]]:
        """For `count` threads of this process: asks the responder, waits for the answer, returns it."""
        raise NotImplementedError

    def respond(self, address: dict[str, Any], opened: Callable[[], None]) -> None:
        """Answers n + 1 to every n, until it is killed; calls `opened` when callers may come."""
        raise NotImplementedError
