"""Whether an object costs more the more of them are queued: `depth` are put and flushed, then all of them taken."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.contestants.base import Plan
from benchmarks.contestants.ours import Ours
from benchmarks.crew import Crew, TrialError, in_order
from benchmarks.shapes import SHAPES
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

SHAPE = "dict"
LEAST = 20_000
"""Objects of a trial: shallow queues are filled and emptied again and again."""


@dataclass
class Depth(Trial):
    """The consumer leads. The time of an object is that of its put and of its get, one after the other."""

    depth: int

    def run(self, pace: Pace) -> Sample:
        with Crew() as crew:
            address = Ours().prepare(crew, Plan())
            consumer = crew.start("benchmarks.trials.depth:take", address=address, depth=self.depth)
            producer = crew.start("benchmarks.trials.depth:fill", address=address, depth=self.depth)
            in_order([consumer, producer])
            turns = max(1, LEAST // self.depth)
            put = get = 0.0
            for turn in range(turns):
                put += producer.ask(str(turn * self.depth))
                get += consumer.ask(str(turn * self.depth))
        micro = 1e6 / (turns * self.depth)
        return {"time": (put + get) * micro, "put": put * micro, "get": get * micro}


def fill(talk: Talk, address: dict[str, object], depth: int) -> None:
    """The producer's process."""
    talk.wait_for("open")
    queue = Ours().open(address)
    talk.say("ready")
    while True:
        first = int(talk.hear())
        begun = time.monotonic()
        for number in range(first, first + depth):
            queue.put({"id": number, "kind": "resize", "name": "picture.png", "width": 128})
        queue.flush()
        talk.say(time.monotonic() - begun)


def take(talk: Talk, address: dict[str, object], depth: int) -> None:
    """The consumer's process, which leads."""
    key = SHAPES[SHAPE].key
    talk.wait_for("open")
    get = Ours().receiver(address, 0).get
    talk.say("ready")
    while True:
        first = int(talk.hear())
        begun = time.monotonic()
        ids = [key(get()) for _ in range(depth)]
        elapsed = time.monotonic() - begun
        if ids != list(range(first, first + depth)):
            raise TrialError(f"what came out of a queue of {depth} is not what went in")
        talk.say(elapsed)


def depths(*sizes: int) -> dict[str, Trial]:
    return {f"{size:,} queued": Depth(size) for size in sizes}
