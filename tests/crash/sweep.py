"""
All runs: every passage of every phase of every point, in every scenario, with every actor armed in turn.

A run that nobody is killed in tells which points the armed process passes. Each of them is then a task: a run for its
first passage, its second, and so on, until a run completes untouched. Printed at the end: points, passages, runs,
findings; with each finding the command that repeats the run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import groupqueue  # noqa: F401  # imported once, for all actors
from groupqueue import serializers
from groupqueue.system import locks
from tests.crash.arms import FAIL_IO, FAIL_MEMORY, INTERRUPT, KILL, ORPHAN, Plan
from tests.crash.driver import Case, Outcome, Run
from tests.crash.points import NAMES, POINTS
from tests.crash.scenarios import SCENARIOS

MOST_PASSAGES = 200
EXCEPTIONS = (INTERRUPT, FAIL_IO, FAIL_MEMORY)

RECOVERY = (
    "lock taken",
    "journal read",
    "ledgers read",
    "segment read",
    "segments adopted",
    "doubts settled",
    "note of a sync",
    "sync file",
    "record ITEMS",
    "ledger begun",
    "ledger renewed",
    "record EPOCH",
    "record RETURN",
    "record TAKEN",
    "record REQUEUE",
    "record FINISH",
    "record GONE",
    "record PRODUCERS",
    "record CHECKPOINT",
    "ledger header",
    "items header",
    "rename to spare",
    "rename to items",
    "rename to ledger",
    "segment remove",
    "segment create",
    "items begun",
    "note written",
    "member found dead",
    "member buried",
    "member remove",
    "member welcomed",
    "member expected",
    "socket made",
    "socket bind",
    "socket listen",
    "socket rename",
    "accept",
    "frame Hello",
    "frame Welcome",
    "frame Items",
    "frame Grant",
)
"""Where those die who come to lead after a leader that was killed."""

FIRST = {
    "plain": (("record ITEMS", "after", 2), ("record GRANT", "after", 2), ("frame Ack", "half", 2)),
    "put_wait": (("record REPLY", "after", 2), ("record FINISH", "before", 2)),
    "messages": (("record REQUEUE", "after", 1), ("record TAKEN", "after", 2)),
    "rolling": (("ledger header", "before", 2), ("record PRODUCERS", "after", 1), ("items header", "half", 2)),
    "bounded": (("store credited", "after", 2),),
    "durable": (("sync file", "before", 1), ("note of a sync", "after", 2), ("record GRANT", "after", 1)),
}
"""At which points the leader dies before them."""


IN_THE_HOOK = (
    "fork hook",
    "fork lets go",
    "group joined",
    "group settle",
    "group leave",
    "member create",
    "member allocate",
    "member rename",
)

RAISED = (
    ("bounded", "leading consumer", "record TAKEN", "before"),
    ("plain", "leading producer", "record ITEMS", "half"),
    ("plain", "leading consumer", "record GRANT", "after"),
    ("plain", "producer", "frame Items", "half"),
    ("plain", "consumer", "frame Grant", "received"),
    ("rolling", "leading producer", "ledger header", "half"),
    ("messages", "leading consumer", "record REQUEUE", "after"),
    ("put_wait", "leading consumer", "frame Reply", "half"),
)
"""Where the ordinary test run raises an exception instead."""

TWICE = ("record EPOCH", "segment read", "items begun", "socket bind", "member welcomed", "note written")
"""Where its leaders die that come after one that was killed."""


class Task(NamedTuple):
    """One phase of one point, in one scenario, for one actor and one action: as many runs as it has passages."""

    scenario: str
    armed: str
    point: str
    phase: str
    action: str = KILL
    most: int = MOST_PASSAGES
    first: tuple[str, str, int] | None = None
    tries: int = 1
    """Runs in which the first passage is looked for: some points a run passes or not, as time has it."""

    def case(self, passage: int) -> Case:
        plan = Plan(self.point, self.phase, passage, self.action)
        if self.first is None:
            return Case(self.scenario, self.armed, plan)
        return Case(self.scenario, self.armed, Plan(*self.first), plan)


@dataclass
class Result:
    """What a task came to."""

    task: Task
    passages: int = 0
    runs: int = 0
    kills: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    capped: bool = False
    findings: list[list[str]] = field(default_factory=list)
    """Command, what was found, history."""


def run(case: Case, audit: bool = False) -> Outcome:
    base = tempfile.mkdtemp(prefix="gqcrash-", dir="/dev/shm" if os.path.isdir("/dev/shm") else "/tmp")
    try:
        return Run(case, base, audit).execute()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def carry_out(task: Task) -> Result:
    result = Result(task)
    passage = 1
    while True:
        outcome = run(task.case(passage))
        result.runs += 1
        result.kills += outcome.fired
        result.seconds += outcome.seconds
        result.slowest = max(result.slowest, outcome.seconds)
        if outcome.findings:
            result.findings.append([outcome.case.command, "\n".join(outcome.findings), outcome.history])
        if outcome.reached < passage:
            if passage > 1 or result.runs >= task.tries:
                break
            continue
        result.passages += 1
        passage += 1
        if passage > task.most:
            result.capped = task.most > 1
            break
    if not result.passages and task.tries > 1:
        result.findings.append([outcome.case.command, "the point was never passed", outcome.history])
    return result


# Which tasks


def passed(scenario: str, armed: str, action: str, times: int = 2) -> dict[tuple[str, str], int]:
    """The points that an untouched run passes; RuntimeError if it finds anything."""
    found: dict[tuple[str, str], int] = {}
    for _ in range(times):
        outcome = run(Case(scenario, armed, Plan(action=action)))
        if outcome.findings:
            raise RuntimeError(f"{scenario}, {armed}, untouched: {outcome.findings}\n{outcome.history}")
        for key, count in outcome.counts.items():
            found[key] = max(found.get(key, 0), count)
    return found


def is_for(scenario: str, point: str, action: str) -> bool:
    """Between two stores there is no call, hence no place where an exception could come from; and what a fork hook
    raises nobody hears: the child's handle is closed then, and says so.
    """
    if action in (KILL, ORPHAN):
        return True
    return not point.startswith("store ") and not (scenario == "forking" and point in IN_THE_HOOK)


def all_tasks(scenarios: Iterable[str], armed: str, action: str, most: int) -> list[Task]:
    tasks = []
    for scenario in scenarios:
        for who in SCENARIOS[scenario].armed:
            if armed and who != armed:
                continue
            found = passed(scenario, who, action)
            tasks += [
                Task(scenario, who, point.name, phase, action, most)
                for point in POINTS
                for phase in point.phases
                if (point.name, phase) in found and is_for(scenario, point.name, action)
            ]
    return tasks


def recovery_tasks(scenarios: Iterable[str], most: int) -> list[Task]:
    return [
        Task(scenario, "leader", name, phase, KILL, most, first)
        for scenario in scenarios
        for first in FIRST.get(scenario, ())
        for name in RECOVERY
        for phase in NAMES[name].phases
    ]


def slice_tasks() -> list[Task]:
    """The first passage of every point in the scenario where it matters most, and some of the rest.

    Of a write the phases that no neighbour has: half of it, and all of it; of a frame half of it, and that it was read.
    """
    tasks = []
    for point in POINTS:
        for phase in point.phases:
            if (phase == "before" and "half" in point.phases) or (phase == "after" and "received" in point.phases):
                continue
            home = point.reader if phase == "received" else point.home
            tasks.append(Task(*home, point.name, phase, KILL, 1, tries=5))
    tasks += [Task(*where, action, 1, tries=5) for action in EXCEPTIONS for where in RAISED]
    tasks += [Task("plain", "leader", name, "after", KILL, 1, FIRST["plain"][0], tries=5) for name in TWICE]
    return tasks


# Carrying them out


def carry_out_all(tasks: list[Task], jobs: int, minutes: float, tell: Any = None, log: str = "") -> list[Result]:
    """In some processes, each of which takes the next task. What `log` has the results of is not done again."""
    logged = {tuple(key): fields for key, fields in map(json.loads, _lines(log))} if log else {}
    done = [Result(task, **logged[key]) for task in tasks if (key := task[:5]) in logged]
    tasks = [task for task in tasks if task[:5] not in logged]
    numbers, fill = os.pipe()
    readers = {}
    for _ in range(jobs):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(fill)
            os.close(reader)
            _work(tasks, numbers, writer, time.monotonic() + 60 * minutes)
        os.close(writer)
        readers[reader] = b""
    os.close(numbers)
    results: list[Result] = done
    filled = 0
    os.set_blocking(fill, False)
    while readers:
        writable: list[int] = []
        readable, writable, _ = select.select([*readers], [fill] if fill >= 0 else [], [])
        if writable:
            try:
                while filled < len(tasks):
                    os.write(fill, struct.pack("<I", filled))
                    filled += 1
            except (BlockingIOError, BrokenPipeError):
                pass
            if filled == len(tasks):
                os.close(fill)
                fill = -1
        for reader in readable:
            data = os.read(reader, 1 << 20)
            if not data:
                os.close(reader)
                del readers[reader]
                os.wait()
                continue
            *lines, readers[reader] = (readers[reader] + data).split(b"\n")
            for line in lines:
                number, fields = json.loads(line)
                if log:
                    with open(log, "a") as file:
                        file.write(json.dumps([tasks[number][:5], fields]) + "\n")
                result = Result(tasks[number], **fields)
                results.append(result)
                if tell is not None:
                    tell(result, len(results), len(tasks))
    if fill >= 0:
        os.close(fill)
    return results


def _lines(path: str) -> list[str]:
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return file.readlines()


def _work(tasks: list[Task], numbers: int, writer: int, end: float) -> None:
    try:
        while time.monotonic() < end:
            packed = os.read(numbers, 4)
            if not packed:
                break
            (number,) = struct.unpack("<I", packed)
            result = carry_out(tasks[number])
            fields = {key: value for key, value in vars(result).items() if key != "task"}
            text = json.dumps([number, fields]).encode() + b"\n"
            while text:
                text = text[os.write(writer, text) :]
    finally:
        os._exit(0)


def report(results: list[Result], tasks: list[Task], seconds: float) -> str:
    """Points, passages, runs and findings, by scenario and action and in all."""
    lines = [f"{'scenario':18} {'action':18} {'points':>6} {'passages':>8} {'runs':>6} {'findings':>8} {'slowest':>8}"]
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        action = result.task.action + (" again" if result.task.first else "")
        groups.setdefault((result.task.scenario, action), []).append(result)
    for (scenario, action), group in groups.items():
        lines.append(_line(scenario, action, group))
    lines.append(_line("all", "", results))
    points = {result.task.point for result in results if result.passages}
    phases = {(result.task.point, result.task.phase) for result in results if result.passages}
    whole = sum(len(point.phases) for point in POINTS)
    lines.append(
        f"{len(points)} of {len(POINTS)} points, {len(phases)} of {whole} phases, "
        f"{sum(result.kills for result in results)} times it struck, {seconds:.0f} s"
    )
    sought = {(task.point, task.phase) for task in tasks}
    never = sorted(f"{point} {phase}" for point, phase in sought - phases)
    if never:
        lines.append(f"never passed: {', '.join(never)}")
    capped = Counter(f"{result.task.point} {result.task.phase}" for result in results if result.capped)
    if capped:
        lines.append(f"passages beyond the cap left out: {', '.join(sorted(capped))}")
    if len(results) < len(tasks):
        lines.append(f"NOT RUN for want of time: {len(tasks) - len(results)} of {len(tasks)} tasks")
    return "\n".join(lines)


def _line(scenario: str, action: str, group: list[Result]) -> str:
    points = len({(result.task.point, result.task.phase) for result in group if result.passages})
    passages = sum(result.passages for result in group)
    runs = sum(result.runs for result in group)
    findings = sum(len(result.findings) for result in group)
    slowest = max((result.slowest for result in group), default=0.0)
    return f"{scenario:18} {action:18} {points:6} {passages:8} {runs:6} {findings:8} {slowest:7.2f}s"


def warm_up() -> None:
    """What an actor would import at first use, once for all of them."""
    serializers.default_serializer()
    fd = os.open(os.devnull, os.O_RDWR)
    try:
        locks.try_lock(fd)
    except OSError:
        pass
    os.close(fd)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--scenario", choices=[*SCENARIOS, ""], default="", help="this one only")
    parser.add_argument("--actor", default="", help="arm this one only")
    parser.add_argument("--point", choices=[*NAMES, ""], default="", help="this one only")
    parser.add_argument("--phase", default="", help="this one only")
    parser.add_argument("--passage", type=int, default=0, help="one run: this passage only")
    parser.add_argument("--action", choices=[KILL, ORPHAN, *EXCEPTIONS, "exceptions"], default=KILL)
    parser.add_argument("--again", default="", help="one run: where the leaders after the first die")
    parser.add_argument("--again-phase", default="before")
    parser.add_argument("--again-passage", type=int, default=1)
    parser.add_argument("--recovery", action="store_true", help="kill in recovery as well, three times in a row")
    parser.add_argument("--slice", action="store_true", help="the part that the ordinary test run makes")
    parser.add_argument("--untouched", action="store_true", help="a run of each scenario with nobody killed, audited")
    parser.add_argument("--times", type=int, default=1, help="repeat the one run")
    parser.add_argument("--most", type=int, default=MOST_PASSAGES, help="passages of one phase at most")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--log", default="", help="keep the results here, and go on where an earlier sweep ended")
    parser.add_argument("--verbose", action="store_true")
    asked = parser.parse_args()
    warm_up()
    if asked.passage or asked.times > 1:
        return _repeat(asked)
    if asked.untouched:
        return _audit()
    began = time.monotonic()
    tasks = _chosen(asked)
    results = carry_out_all(tasks, asked.jobs, asked.minutes, _Progress(asked.verbose), asked.log)
    for result in results:
        for command, found, history in result.findings:
            print(f"\nFINDING {found}\n  repeat: {command}\n  events:\n{history[-6000:]}")
    print(report(results, tasks, time.monotonic() - began))
    return 1 if any(result.findings for result in results) or not results else 0


def _chosen(asked: argparse.Namespace) -> list[Task]:
    scenarios = [asked.scenario] if asked.scenario else list(SCENARIOS)
    if asked.slice:
        return slice_tasks()
    if asked.recovery:
        tasks = recovery_tasks(scenarios, asked.most)
    elif asked.action == "exceptions":
        tasks = [task for kind in EXCEPTIONS for task in all_tasks(scenarios, asked.actor, kind, asked.most)]
    else:
        tasks = all_tasks(scenarios, asked.actor, asked.action, asked.most)
    # Shuffled, always in the same way: what there is no time for is then a bit of everything.
    random.Random(1).shuffle(tasks)
    return [
        task
        for task in tasks
        if (not asked.point or task.point == asked.point) and (not asked.phase or task.phase == asked.phase)
    ]


def _audit() -> int:
    """What an untouched run finds, or changes outside of every point."""
    bad = 0
    for name, scenario in SCENARIOS.items():
        for armed in scenario.armed if name == "plain" else scenario.armed[:1]:
            outcome = run(Case(name, armed, Plan()), audit=True)
            for found in (*outcome.findings, *(f"outside every point: {stray}" for stray in sorted(outcome.strays))):
                bad += 1
                print(f"{name}, {armed}: {found}")
            print(f"{name}, {armed}: {len(outcome.counts)} points, {sum(outcome.counts.values())} passages")
    return 1 if bad else 0


def _repeat(asked: argparse.Namespace) -> int:
    plan = Plan(asked.point, asked.phase, asked.passage, asked.action)
    again = Plan(asked.again, asked.again_phase, asked.again_passage) if asked.again else None
    bad = 0
    for _ in range(asked.times):
        outcome = run(Case(asked.scenario, asked.actor, plan, again))
        bad += bool(outcome.findings)
        print(f"struck {outcome.fired} of {outcome.reached} passages, {outcome.seconds:.2f} s", outcome.findings or "")
        if asked.verbose:
            print(outcome.history)
    return 1 if bad else 0


class _Progress:
    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._told = 0.0

    def __call__(self, result: Result, done: int, whole: int) -> None:
        for command, found, _ in result.findings:
            print(f"! {found.splitlines()[0]}: {command}", file=sys.stderr, flush=True)
        if self._verbose or time.monotonic() - self._told > 30:
            self._told = time.monotonic()
            print(f"{done} of {whole} {result.task} {result.runs} runs", file=sys.stderr, flush=True)
