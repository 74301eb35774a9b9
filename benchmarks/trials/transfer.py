"""
Objects from producers to consumers, as many as pass in about half a second.

All processes are up and connected before the clock starts; it stops when the last object has been received. With one
consumer that is when it has its number. Several do not know what the others have, so each notes its count in a file
that all of them map, and the time; when the sum is complete the first producer sends each of them None.
"""

# ruff: noqa: ARG001, ARG002  # an interface has one signature
from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import arrivals
from benchmarks.contestants import Who
from benchmarks.contestants.base import Plan, Receiver
from benchmarks.crew import Crew, in_order
from benchmarks.shapes import SHAPES
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

MANY = 1000
NAP = 0.2
FEWEST, MOST = 100, 500_000
"""Objects of a trial: at least so many of each producer and for each consumer, at most so many of all."""


@dataclass
class Transfer(Trial):
    """`how` objects are taken: "get", "many", "message", "joinable", or "slow", which works 0.2 s on each."""

    who: Who
    shape: str = "dict"
    producers: int = 1
    consumers: int = 1
    capacity: int = 0
    how: str = "get"
    count: int = field(default=0)
    """Objects of each producer; 0 is as many as fill the time."""

    def missing(self) -> str | None:
        if self.shape.startswith("array"):
            try:
                import numpy  # noqa: F401
            except ImportError:
                return "numpy is not installed"
        return self.who.missing()

    def warm_up(self, pace: Pace) -> None:
        if self.count:
            return
        contestant, shape = self.who.make(), SHAPES[self.shape]
        guess = 1 / (1 / contestant.pace + shape.size / contestant.bandwidth)
        self.count = self._share(guess * pace.seconds / 3)
        self.count = self._share(self.run(pace)["rate"] * pace.seconds)

    def _share(self, total: float) -> int:
        fewest = FEWEST * self.producers * self.consumers
        return int(min(max(total, fewest), MOST) / self.producers) + 1

    def run(self, pace: Pace) -> Sample:
        contestant, shape = self.who.make(), SHAPES[self.shape]
        with Crew() as crew:
            total = self.count * self.producers
            address = contestant.prepare(crew, Plan(self.producers, self.consumers, self.capacity, shape.size))
            board = crew.directory / "board"
            board.write_bytes(bytes(8 * self.consumers))
            both: dict[str, Any] = {
                "forked": contestant.forked,
                "who": self.who.told(),
                "address": address,
                "shape": self.shape,
                "how": self.how,
                "board": str(board),
                "consumers": self.consumers,
            }
            consumers = [
                crew.start("benchmarks.trials.transfer:consume", index=i, count=total, **both)
                for i in range(self.consumers)
            ]
            producers = [
                crew.start("benchmarks.trials.transfer:produce", index=i, count=self.count, **both)
                for i in range(self.producers)
            ]
            in_order([*consumers, *producers])
            for hand in [*consumers, *producers]:
                hand.say("go")
            begun, sent = zip(*(hand.hear() for hand in producers), strict=True)
            if self.consumers > 1:
                _wait_for_all(crew, board, total)
                producers[0].say("stop")
            ended = [hand.hear() for hand in consumers]
            arrivals.check([_ids(board, i) for i in range(self.consumers)], shape, self.producers, self.count)
            end = max([*ended, *sent] if self.how == "joinable" else ended)
            return {"rate": total / (end - min(begun)), "count": total, "most": _most(board, self.consumers)}


def _wait_for_all(crew: Crew, board: Path, total: int) -> None:
    for _ in crew.eventually(f"not all of {total} objects arrived"):
        crew.watch()
        if sum(memoryview(board.read_bytes()).cast("q")) >= total:
            return


def _ids(board: Path, index: int) -> list[int]:
    return arrivals.read(board.with_name(f"board-{index}"))


def _most(board: Path, consumers: int) -> int:
    return max(len(_ids(board, i)) for i in range(consumers))


def produce(
    talk: Talk,
    who: dict[str, Any],
    address: dict[str, Any],
    shape: str,
    how: str,
    board: str,
    consumers: int,
    index: int,
    count: int,
) -> None:
    """A producer's process."""
    objects = SHAPES[shape].objects(index, count)
    talk.wait_for("open")
    sender = Who(**who).make().sender(address, index)
    talk.say("ready")
    talk.wait_for("go")
    begun = time.monotonic()
    if how == "many":
        sender.put_many(objects)
    else:
        put = sender.put
        for obj in objects:
            put(obj)
    sender.flush()
    if how == "joinable":
        sender.join()
    talk.say([begun, time.monotonic()])
    if talk.hear() == "stop":
        for _ in range(consumers):
            sender.put(None)
        sender.flush()
    talk.hear()


def consume(
    talk: Talk,
    who: dict[str, Any],
    address: dict[str, Any],
    shape: str,
    how: str,
    board: str,
    consumers: int,
    index: int,
    count: int,
) -> None:
    """A consumer's process."""
    key = SHAPES[shape].key
    if shape.startswith("array"):
        import numpy  # noqa: F401
    talk.wait_for("open")
    receiver = Who(**who).make().receiver(address, index)
    talk.say("ready")
    talk.wait_for("go")
    if consumers == 1:
        ids = _take_count(receiver, how, key, count)
        end = time.monotonic()
    else:
        with open(board, "r+b") as file:
            slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
        ids, end = _take_until_none(receiver, how, key, slots, index)
    arrivals.write(f"{board}-{index}", ids)
    talk.say(end)
    talk.hear()


def _take_count(receiver: Receiver, how: str, key: Callable[[Any], int], count: int) -> list[int]:
    """The loops are written out: a call more to each object would be a part of what is measured."""
    ids: list[int] = []
    add, get = ids.append, receiver.get
    if how == "get":
        for _ in range(count):
            add(key(get()))
    elif how == "many":
        while len(ids) < count:
            ids.extend(map(key, receiver.get_many(MANY)))
    elif how == "message":
        get_message = receiver.get_message
        for _ in range(count):
            message = get_message()
            add(key(message.obj))
            message.done()
    elif how == "joinable":
        task_done = receiver.task_done
        for _ in range(count):
            add(key(get()))
            task_done()
    else:
        raise ValueError(how)
    return ids


def _take_until_none(
    receiver: Receiver, how: str, key: Callable[[Any], int], slots: memoryview, index: int
) -> tuple[list[int], float]:
    ids: list[int] = []
    add, get, now = ids.append, receiver.get, time.monotonic
    end = 0.0
    count = 0
    while True:
        obj = get()
        if obj is None:
            break
        end = now()
        count += 1
        slots[index] = count
        add(key(obj))
        if how == "slow":
            time.sleep(NAP)
    return ids, end
