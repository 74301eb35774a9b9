"""
What a queued object takes of the memory of the process that keeps it, as the kernel tells it.

`private` is what /proc/self/smaps_rollup calls Private_Clean and Private_Dirty: also pages of the journal that only
this process has mapped, which the kernel can take back at any time. `anonymous` is without those: what the process
itself holds.
"""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants import Who
from benchmarks.contestants.base import Plan
from benchmarks.crew import Crew, in_order
from benchmarks.shapes import SHAPES
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

SHAPE = "bytes100"
COUNT = 100_000
ROLLUP = Path("/proc/self/smaps_rollup")


@dataclass
class Memory(Trial):
    """`keeper`: "receiver" if the consumer's process keeps what nobody has taken, "sender" if the producer's does."""

    who: Who
    keeper: str

    def missing(self) -> str | None:
        return self.who.missing() if ROLLUP.exists() else "there is no /proc/self/smaps_rollup"

    def run(self, pace: Pace) -> Sample:
        contestant = self.who.make()
        with Crew() as crew:
            address = contestant.prepare(crew, Plan())
            both: dict[str, Any] = {"forked": contestant.forked, "who": self.who.told(), "address": address}
            receiver = crew.start("benchmarks.trials.memory:keep", **both)
            sender = crew.start("benchmarks.trials.memory:send", **both)
            in_order([receiver, sender])
            sender.ask("put")
            keeper = receiver if self.keeper == "receiver" else sender
            before = keeper.ask("measure")
            sender.ask("put")
            after = keeper.ask("measure")
        return {name: (after[name] - before[name]) / COUNT for name in before}


def measure() -> dict[str, int]:
    """Bytes of this process's memory by kind."""
    gc.collect()
    sizes: dict[str, int] = {}
    for line in ROLLUP.read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        sizes[name] = int(value) * 1024
    return {"private": sizes["Private_Clean:"] + sizes["Private_Dirty:"], "anonymous": sizes["Anonymous:"]}


def keep(talk: Talk, who: dict[str, Any], address: dict[str, Any]) -> None:
    """A consumer that takes nothing."""
    talk.wait_for("open")
    receiver = Who(**who).make().receiver(address, 0)
    talk.say("ready")
    while talk.hear() == "measure":
        talk.say(measure())
    raise RuntimeError(f"{receiver} was asked for something else")


def send(talk: Talk, who: dict[str, Any], address: dict[str, Any]) -> None:
    """A producer; what it puts is new each time. The first hundred thousand are not measured: they warm up."""
    talk.wait_for("open")
    sender = Who(**who).make().sender(address, 0)
    talk.say("ready")
    while True:
        if talk.hear() == "measure":
            talk.say(measure())
            continue
        for obj in SHAPES[SHAPE].objects(0, COUNT):
            sender.put(obj)
        sender.flush()
        talk.say("put")
