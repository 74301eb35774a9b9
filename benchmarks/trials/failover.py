"""
How long a group is without a leader: from the `kill -9` of one to the first get of the next.

The successor itself kills the leader and gets at once, so nothing else is in the time. Then it leads, and the next
successor joins and kills it. `queued` objects are there when the leader dies; what is got is the oldest of them.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from dataclasses import dataclass

from benchmarks.contestants.base import Plan
from benchmarks.contestants.ours import Ours
from benchmarks.crew import Crew, Hand
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

FULL = 10_000
"""From here on recovery has to read something."""


@dataclass
class Failover(Trial):
    """One object is there in an empty queue: without one there is nothing to get."""

    queued: int = 1

    def run(self, pace: Pace) -> Sample:
        kills = pace.kills_full if self.queued >= FULL else pace.kills
        with Crew() as crew:
            address = Ours().prepare(crew, Plan())
            hands = [crew.start("benchmarks.trials.failover:succeed", address=address) for _ in range(kills + 1)]
            leader = hands[0]
            leader.ask("open")
            leader.ask(f"put 0 {self.queued}")
            times = []
            for number, successor in enumerate(hands[1:]):
                successor.ask("open")
                times.append(self._kill(number, leader, successor))
                leader = successor
        return {"p50": statistics.median(times) * 1000, "worst": max(times) * 1000}

    def _kill(self, number: int, leader: Hand, successor: Hand) -> float:
        taken = successor.ask(f"kill {leader.pid} {number}")
        successor.ask(f"put {self.queued + number} 1")
        return float(taken)


def succeed(talk: Talk, address: dict[str, object]) -> None:
    """A process that takes over, then leads until it is killed."""
    talk.wait_for("open")
    queue = Ours().open(address)
    talk.say("ready")
    while True:
        word, first, second = talk.hear().split()
        if word == "put":
            begin, count = int(first), int(second)
            queue.put_many(range(begin, begin + count))
            queue.flush()
            talk.say("put")
            continue
        told = queue.stats().leader_pid
        if told != int(first):
            raise RuntimeError(f"process {told} leads, not {first}")
        begun = time.monotonic()
        os.kill(int(first), signal.SIGKILL)
        found = queue.get()
        elapsed = time.monotonic() - begun
        if found != int(second):
            raise RuntimeError(f"got {found!r}, not {second}")
        if not queue.is_leader:
            raise RuntimeError("somebody else leads")
        talk.say(elapsed)
