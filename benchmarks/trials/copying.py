"""How fast this machine copies: once from memory to memory, in one process. No queue between two can be faster."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.crew import Crew
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

POOL = 32 << 20
"""More than fits into a cache, as the payloads do."""


@dataclass
class Copy(Trial):
    """Copies of `size` bytes."""

    size: int

    def run(self, pace: Pace) -> Sample:
        with Crew() as crew:
            rate = crew.start("benchmarks.trials.copying:copy", size=self.size, seconds=pace.seconds / 2).hear()
        return {"rate": rate}


def copy(talk: Talk, size: int, seconds: float) -> None:
    """The process that copies."""
    source, target = memoryview(bytearray(POOL)), memoryview(bytearray(POOL))
    target[:] = source
    count = at = 0
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        target[at : at + size] = source[at : at + size]
        at = (at + size) % POOL
        count += 1
    talk.say(count / (time.monotonic() - begun))
