"""How long the first process waits for an object that opens a group whose members have all been killed."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.contestants.base import Plan
from benchmarks.contestants.ours import Ours
from benchmarks.crew import Crew
from benchmarks.shapes import SHAPES
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

SHAPE = "dict"
MANY = 2000


@dataclass
class Recovery(Trial):
    """`queued` objects were flushed; every one of them must be there."""

    queued: int

    def run(self, pace: Pace) -> Sample:
        with Crew() as crew:
            address = Ours().prepare(crew, Plan())
            first = crew.start("benchmarks.trials.recovery:fill", address=address, count=self.queued)
            first.hear()
            size = sum(path.stat().st_size for path in (crew.directory / "groups").rglob("*") if path.is_file())
            first.kill()
            elapsed = crew.start("benchmarks.trials.recovery:recover", address=address, count=self.queued).hear()
        return {"time": elapsed, "bytes": size}


def fill(talk: Talk, address: dict[str, object], count: int) -> None:
    """The process that leads, puts and is killed."""
    queue = Ours().open(address)
    queue.put_many(SHAPES[SHAPE].objects(0, count))
    queue.flush()
    talk.say("flushed")
    talk.hear()


def recover(talk: Talk, address: dict[str, object], count: int) -> None:
    """The process that comes next."""
    import groupqueue  # noqa: F401  # its import is measured elsewhere

    key = SHAPES[SHAPE].key
    begun = time.monotonic()
    queue = Ours().open(address)
    ids = [key(queue.get())]
    elapsed = time.monotonic() - begun
    while len(ids) < count:
        ids.extend(map(key, queue.get_many(MANY)))
    if ids != list(range(count)):
        raise RuntimeError("what came out is not what was flushed")
    talk.say(elapsed)
    talk.hear()
