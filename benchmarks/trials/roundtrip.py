"""
Questions and answers: how long a caller waits.

One responder answers n + 1 to n. The callers are threads of one or several processes, and ask one question after the
other for half a second; each answer must be the asker's own. On one CPU every process of the trial is confined to it:
there the sum of all work counts. On two, hand-overs between them do.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants import Who
from benchmarks.contestants.base import Plan
from benchmarks.crew import Crew, in_order
from benchmarks.trials.base import Pace, Sample, Trial
from benchmarks.worker import Talk

PROCESSES = 8
"""More callers than these are threads."""
MICRO = 1e6


@dataclass
class RoundTrip(Trial):
    """`cpus`: how many the trial may use."""

    who: Who
    callers: int = 1
    cpus: int = 2

    def missing(self) -> str | None:
        if not hasattr(os, "sched_setaffinity"):
            return "processes cannot be bound to CPUs here"
        if len(os.sched_getaffinity(0)) < self.cpus:
            return f"there are no {self.cpus} CPUs"
        return self.who.missing()

    def run(self, pace: Pace) -> Sample:
        contestant = self.who.make()
        processes = min(self.callers, PROCESSES)
        threads = self.callers // processes
        with Crew(cpus=sorted(os.sched_getaffinity(0))[: self.cpus]) as crew:
            address = contestant.prepare(crew, Plan(senders=self.callers))
            both: dict[str, Any] = {"forked": contestant.forked, "who": self.who.told(), "address": address}
            responder = crew.start("benchmarks.trials.roundtrip:respond", **both)
            files = [crew.directory / f"times-{i}" for i in range(processes)]
            callers = [
                crew.start(
                    "benchmarks.trials.roundtrip:call",
                    first=i * threads,
                    threads=threads,
                    seconds=pace.seconds,
                    file=str(file),
                    **both,
                )
                for i, file in enumerate(files)
            ]
            in_order([responder, *callers])
            for hand in callers:
                hand.say("go")
            for hand in callers:
                hand.hear()
            times = sorted(time for file in files for time in _read(file))
        return {
            "p50": times[len(times) // 2] * MICRO,
            "p99": times[len(times) * 99 // 100] * MICRO,
            "rate": len(times) / pace.seconds,
        }


def _read(file: Path) -> array[float]:
    times = array("d")
    times.frombytes(file.read_bytes())
    return times


def respond(talk: Talk, who: dict[str, Any], address: dict[str, Any]) -> None:
    """The responder's process."""
    talk.wait_for("open")
    Who(**who).make().respond(address, lambda: talk.say("ready"))


def call(
    talk: Talk, who: dict[str, Any], address: dict[str, Any], first: int, threads: int, seconds: float, file: str
) -> None:
    """A process of callers."""
    talk.wait_for("open")
    calls = Who(**who).make().callers(address, first, threads)
    for one in calls:
        one(0)
    talk.say("ready")
    talk.wait_for("go")
    end = time.monotonic() + seconds
    times = [array("d") for _ in calls]
    if threads == 1:
        _ask(calls[0], first, end, times[0])
    else:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                _ask(calls[number], first + number, end, times[number])
            except BaseException as error:
                errors.append(error)
                raise

        started = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        if errors:
            raise errors[0]
    with open(file, "wb") as out:
        for some in times:
            some.tofile(out)
    talk.say("done")
    talk.hear()


def _ask(call: Callable[[int], int], number: int, end: float, times: array[float]) -> None:
    now = time.perf_counter
    question = number << 32
    while time.monotonic() < end:
        begun = now()
        answer = call(question)
        times.append(now() - begun)
        if answer != question + 1:
            raise RuntimeError(f"caller {number} asked {question} and was answered {answer!r}")
        question += 2
