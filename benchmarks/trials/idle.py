"""
What a member costs that does nothing: CPU time and context switches in five seconds, as the kernel counts them.

Three at once: the leader, a member, and a member that waits in `get`. The numbers are the worst of the three.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants.base import Plan
from benchmarks.contestants.ours import Ours
from benchmarks.crew import Crew, in_order
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

SETTLE = 1.0
WINDOW = 5.0
"""What the numbers are told for, whatever the pace watches."""


@dataclass
class Idle(Trial):
    """Read from outside: the members notice nothing."""

    def missing(self) -> str | None:
        return None if sys.platform.startswith("linux") else "reads /proc"

    def run(self, pace: Pace) -> Sample:
        with Crew() as crew:
            address = Ours().prepare(crew, Plan())
            hands = [
                crew.start("benchmarks.trials.idle:sit", address=address, waits=waits) for waits in (False, False, True)
            ]
            in_order(hands)
            time.sleep(SETTLE)
            before = [usage(hand.pid) for hand in hands]
            time.sleep(pace.idle)
            after = [usage(hand.pid) for hand in hands]
            crew.watch()
        scale = WINDOW / pace.idle
        used = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True)]
        return {
            "cpu": max(cpu for cpu, _ in used) * scale * 1000,
            "switches": max(switches for _, switches in used) * scale,
        }


def usage(pid: int) -> tuple[float, int]:
    """(CPU seconds, context switches) of all threads of a process so far."""
    nanoseconds = switches = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            nanoseconds += int((task / "schedstat").read_text().split()[0])
            for line in (task / "status").read_text().splitlines():
                if "ctxt_switches" in line:
                    switches += int(line.split()[1])
    return nanoseconds / 1e9, switches


def sit(talk: Talk, address: dict[str, object], waits: bool) -> None:
    """A member that does nothing, or waits for an object that does not come."""
    talk.wait_for("open")
    queue = Ours().open(address)
    talk.say("ready")
    if waits:
        queue.get()
    talk.hear()
