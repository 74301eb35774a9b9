"""
One run: a group in a folder of its own, one actor of it armed, and what became of everything.

Thousands of runs are needed. So this process imports the package, opens nothing and runs no thread, and each actor is
forked from it: a process of its own that dies by a real SIGKILL, without the 100 ms in which an interpreter starts.
An armed process changes itself only.

    python -m tests.crash --help
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.crash import actors as a
from tests.crash.actors import Actor, Shared
from tests.crash.arms import KILL, ORPHAN, Plan
from tests.crash.history import History
from tests.crash.scenarios import SCENARIOS, Job, Scenario

DEADLINE = 20.0
"""Seconds that a run may take; far more than any takes, so that only a hang meets it."""

LINGERING = 0.25
"""Seconds that the driver waits for an item that may have gone with its consumer, or may be on its way."""

SUCCESSORS = 3


class Case:
    """What is run: a scenario, who is armed and how. `again`: how those are armed who come to lead after the first."""

    def __init__(self, scenario: str, armed: str, plan: Plan, again: Plan | None = None) -> None:
        self.scenario = scenario
        self.armed = armed
        self.plan = plan
        self.again = again

    @property
    def command(self) -> str:
        """How to repeat it."""
        plan = self.plan
        text = (
            f"python -m tests.crash --scenario '{self.scenario}' --actor '{self.armed}' --point '{plan.point}' "
            f"--phase {plan.phase} --passage {plan.passage} --action {plan.action}"
        )
        if self.again is not None:
            again = self.again
            text += f" --again '{again.point}' --again-phase {again.phase} --again-passage {again.passage}"
        return text


@dataclass
class Outcome:
    """What came of a case. `reached`: how often the armed process passed the point."""

    case: Case
    findings: list[str]
    reached: int
    fired: int
    seconds: float
    history: str
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    killed: int = 0


class Hang(Exception):
    """The deadline of a run has come."""


class _Process:
    """An actor, as the driver sees it."""

    def __init__(self, name: str, job: Job, pid: int, life: int, control: int, armed: bool) -> None:
        self.name = name
        self.job = job
        self.pid = pid
        self.life = life
        self.control = control
        self.armed = armed
        self.alive = True
        self.said: set[str] = set()

    def say(self, word: bytes) -> None:
        if self.alive:
            try:
                os.write(self.control, word)
            except BrokenPipeError:
                pass


class Run:
    """See the module."""

    def __init__(self, case: Case, base: str, audit: bool = False) -> None:
        self.case = case
        self.scenario: Scenario = SCENARIOS[case.scenario]
        self.history = History(self.scenario.story())
        self.counts: dict[tuple[str, str], int] = {}
        self.strays: set[str] = set()
        self._audit = audit
        self._shared = Shared()
        self._directory = tempfile.mkdtemp(prefix="c", dir=base)
        self._trace = os.open(os.path.join(base, "stacks"), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._events, self._tell = os.pipe()
        os.set_blocking(self._events, False)
        self._buffer = b""
        self._processes: list[_Process] = []
        self._successors = 0
        self._end = 0.0
        self._failed: set[tuple[str, int]] = set()
        self._rest: dict[str, int] = {}
        self._recovering = case.again is not None
        self._clients = self._recovering or self.scenario.clients

    def execute(self) -> Outcome:
        began = time.monotonic()
        self._end = began + DEADLINE
        try:
            try:
                self._play()
                self.history.finish(self._failed, self._rest)
                self._look_at_files()
            except Hang as error:
                self.history.find(f"hang: {error}\n{self._stacks()}")
        finally:
            self._clean_up()
        shared = self._shared
        outcome = Outcome(
            self.case,
            self.history.findings,
            shared[Shared.PASSED_AGAIN if self._recovering else Shared.PASSED],
            shared[Shared.FIRED_AGAIN if self._recovering else Shared.FIRED],
            time.monotonic() - began,
            self.history.tell(),
            self.counts,
            self.strays,
            len(self.history.killed),
        )
        shared.close()
        return outcome

    # The play

    def _play(self) -> None:
        case = self.case
        for name, job in self.scenario.cast(case.armed):
            armed = name == case.armed.rpartition(" ")[2] or (case.armed == "child" and name == "producer")
            process = self._start(name, job, case.plan if armed else None)
            self._wait(lambda process=process: not process.alive or "ready" in process.said, f"{name} to open")
        for process in self._processes:
            process.say(a.GO)
        self._wait(self._is_over, "all to be put, got and finished", self._replace_the_dead)
        self._linger()
        self._shut_down()
        self._wait(
            lambda: not any(p.alive and self._is_consumer(p) for p in self._processes),
            "consumers to leave",
            self._replace_leaders,
        )
        while living := [process for process in self._processes if process.alive]:
            living.sort(key=lambda process: process.job is a.lead)
            self._close(living[0])
        last = self._start("final", a.look_at_the_end, None)
        self._wait(lambda: not last.alive, "the last look")

    def _close(self, process: _Process) -> None:
        process.say(a.CLOSE)
        self._wait(lambda: not process.alive, f"{process.name} to close", self._replace_leaders)

    def _start(self, name: str, job: Job, plan: Plan | None) -> _Process:
        life, my_life = os.pipe()
        control, my_control = os.pipe()
        options = dict(self.scenario.options)
        if self._clients and job not in (a.lead, self.scenario.ancestor, a.look_at_the_end, a.shut):
            options["mode"] = "client"
        if plan is not None and self.case.plan.action not in (KILL, ORPHAN):
            self.history.interrupted |= {name, f"{name} child"}
        pid = os.fork()
        if pid == 0:
            os.close(life)
            os.close(my_control)
            actor = Actor(
                name,
                self._directory,
                options,
                self.scenario.kind,
                self._tell,
                control,
                self._shared,
                plan,
                self.scenario.prepare,
                again=self._successors > 0,
                audit=self._audit,
            )
            actor.main(job, self._trace)
        os.close(my_life)
        os.close(control)
        process = _Process(name, job, pid, life, my_control, plan is not None)
        self._processes.append(process)
        return process

    def _is_over(self) -> bool:
        """All that had to be put is put, and all of that has come out."""
        for process in self._processes:
            if process.alive and not self._is_consumer(process) and "finished" not in process.said:
                return False
            if not process.alive and process.job is a.lead and self._clients and "replaced" not in process.said:
                return False
        missing = sum(1 for _ in self.history.missing())
        return missing <= self.history.allowed_to_miss

    def _is_consumer(self, process: _Process) -> bool:
        return "consumer" in process.name

    def _replace_the_dead(self) -> None:
        """The work of the dead goes on, by their like."""
        self._replace_leaders()
        for process in list(self._processes):
            if process.alive or process.said & {"replaced", "left"} or process.job in (a.lead, self.scenario.ancestor):
                continue
            process.said.add("replaced")
            job = process.job
            if self._is_consumer(process) and self.scenario.successor is not None:
                job = self.scenario.successor
            self._start(f"{process.name} again", job, None).say(a.GO)

    def _replace_leaders(self) -> None:
        """Where nobody else may lead, somebody comes who may, while there is anybody to be led."""
        if not self._clients:
            return
        led = any(process.alive and process.job is not a.lead for process in self._processes)
        for process in list(self._processes):
            if process.alive or process.job is not a.lead or process.said & {"replaced", "left"} or not led:
                continue
            process.said.add("replaced")
            self._successors += 1
            plan = self.case.again if self._successors <= SUCCESSORS else None
            self._start(f"leader {self._successors + 1}", a.lead, plan)

    def _linger(self) -> None:
        """What is missing may be on its way still."""
        end = min(time.monotonic() + LINGERING, self._end)
        self._listen(end, lambda: not any(self.history.missing()) and not any(self.history.doubtful()))

    def _shut_down(self) -> None:
        """By whoever lives, and the armed one first: it is to meet this too."""
        asked = 0
        while True:
            living = [process for process in self._processes if process.alive and "finished" in process.said]
            living.sort(key=lambda process: not process.armed)
            if living and asked < 2 and self._is_shut_by(living[0]):
                return
            if (not living or asked >= 2) and self._is_shut_by(self._start("closer", a.shut, None)):
                return
            asked += 1

    def _is_shut_by(self, process: _Process) -> bool:
        process.say(a.SHUT)
        self._wait(lambda: not process.alive or "shut" in process.said, "the shutdown", self._replace_leaders)
        return "shut" in process.said

    # Listening

    def _wait(self, ready: Callable[[], bool], what: str, meanwhile: Callable[[], None] | None = None) -> None:
        while True:
            if meanwhile is not None:
                meanwhile()
            if ready():
                return
            if time.monotonic() > self._end:
                raise Hang(f"waited for {what}; alive: {[p.name for p in self._processes if p.alive]}")
            self._poll(min(0.5, self._end - time.monotonic()))

    def _listen(self, end: float, ready: Callable[[], bool]) -> None:
        while not ready() and time.monotonic() < end:
            self._poll(end - time.monotonic())

    def _poll(self, timeout: float) -> None:
        lives = {process.life: process for process in self._processes if process.alive}
        readable, _, _ = select.select([self._events, *lives], [], [], max(timeout, 0.0))
        # What the dead told comes before that they are dead.
        self._hear()
        for fd in readable:
            if fd != self._events:
                self._bury(lives[fd])

    def _hear(self) -> None:
        while True:
            try:
                data = os.read(self._events, 65536)
            except BlockingIOError:
                return
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                self._on_event(*json.loads(line))

    def _note_strike(self) -> None:
        """A killed process is one from its last words on: others may tell what follows from it before it is gone."""
        armed = self._processes[[process.armed for process in self._processes].index(True)].name
        if self.case.armed == "child" and self.case.plan.action == KILL:
            armed += " child"
        if armed not in self.history.killed:
            self.history.add(armed, "killed", self._shared[Shared.GAP])

    def _on_event(self, name: str, kind: str, *rest: Any) -> None:
        if self._shared[Shared.FIRED] and self.case.plan.action in (KILL, ORPHAN):
            self._note_strike()
        if kind == "counts":
            for point, phase, count in rest[0]:
                self.counts[point, phase] = count
            return
        if kind == "strays":
            self.strays.update(rest[0])
            return
        if kind == "rest":
            self._failed = {(source, number) for source, number in rest[0]}
            self._rest = rest[1]
            return
        for process in self._processes:
            if process.name == name:
                process.said.add(kind)
        self.history.add(name, kind, *rest)

    def _bury(self, process: _Process) -> None:
        _, status = os.waitpid(process.pid, 0)
        process.alive = False
        os.close(process.life)
        os.close(process.control)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            if process.armed:
                if process.name not in self.history.killed:
                    self.history.add(process.name, "killed", self._shared[Shared.GAP])
                return
            if process.name in self.history.killed:
                return
        if status:
            self.history.find(f"{process.name} ended with status {status}")

    # The end

    def _look_at_files(self) -> None:
        """What is left on disk: nothing half made, nothing of anybody who is gone."""
        folder = os.path.join(self._directory, a.GROUP)
        for name in sorted(os.listdir(os.path.join(folder, "journal"))):
            if not name.startswith(("items-", "ledger-", "spare-")):
                self.history.find(f"left on disk: journal/{name}")
        for name in os.listdir(os.path.join(folder, "members")):
            if not name.startswith("~"):
                self.history.find(f"left on disk: members/{name}")
        if os.path.exists(os.path.join(folder, "socket~")):
            self.history.find("left on disk: socket~")

    def _stacks(self) -> str:
        for process in self._processes:
            if process.alive:
                os.kill(process.pid, signal.SIGUSR1)
                time.sleep(0.3)
                os.write(self._trace, f"--- the above is {process.name}\n".encode())
        lines = os.pread(self._trace, 40000, 0).decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if "File" not in line or "/groupqueue/" in line or "actors.py" in line)

    def _clean_up(self) -> None:
        for process in self._processes:
            if process.alive:
                os.kill(process.pid, signal.SIGKILL)
                os.waitpid(process.pid, 0)
                os.close(process.life)
                os.close(process.control)
        for fd in (self._events, self._tell, self._trace):
            os.close(fd)
        shutil.rmtree(self._directory, ignore_errors=True)
