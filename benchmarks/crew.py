"""
The processes of one trial, from the conductor's side: started, waited for, and gone.

A `Crew` owns a temporary directory, every process that it starts and one deadline; leaving it kills what still runs and
removes the directory, whatever happened. A trial that does not get its answer in time is a `TrialError` that says who
was waited for and shows its stacks: a hang is a result, not a nuisance.

The conductor has no threads: some contestants are at their best when they are forked.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks import worker

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
TAIL = 3000


class TrialError(Exception):
    """A trial did not come to its end, or what arrived was not what was sent."""


class Hand:
    """One worker."""

    def __init__(self, crew: Crew, label: str, read: int, write: int, errors: Path) -> None:
        self._crew = crew
        self._read = read
        self._write = write
        self._errors = errors
        self._heard = b""
        self.label = label
        self.pid = -1

    def say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # then hear() tells what became of it
            os.write(self._write, line.encode() + b"\n")

    def hear(self) -> Any:
        """The worker's next answer."""
        while b"\n" not in self._heard:
            left = self._crew.deadline - time.monotonic()
            if left <= 0:
                raise self._crew.failure(self, "did not answer in time")
            if not select.select([self._read], [], [], left)[0]:
                continue
            data = os.read(self._read, 1 << 16)
            if not data:
                raise self._crew.failure(self, "ended without an answer")
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        return json.loads(line)

    def ask(self, line: str) -> Any:
        self.say(line)
        return self.hear()

    def kill(self) -> None:
        """SIGKILL, and it is dead when this returns."""
        self._crew.send_signal(self, signal.SIGKILL)
        self._crew.reap(self)

    def errors(self) -> str:
        with contextlib.suppress(OSError):
            return self._errors.read_text(errors="replace")[-TAIL:]
        return ""

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class Crew:
    """`with Crew() as crew: crew.start("module:task", argument=...)`."""

    def __init__(self, *, cpus: list[int] | None = None, patience: float = PATIENCE) -> None:
        self.deadline = time.monotonic() + patience
        self._alarm = int(patience) + 30
        self._cpus = cpus
        self._hands: dict[Hand, subprocess.Popen[bytes] | multiprocessing.process.BaseProcess] = {}
        self._servers: list[subprocess.Popen[bytes]] = []
        self.directory = Path(tempfile.mkdtemp(prefix="gqb-", dir="/tmp"))  # short: sockets live in it
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "GROUPQUEUE_DIR": str(self.directory / "groups")}

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing interrupts this, neither impatience nor a second Ctrl-C."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            for hand in self._hands:
                self.send_signal(hand, signal.SIGKILL)
            for server in self._servers:
                server.kill()
            for hand in self._hands:
                self.reap(hand)
                hand.close()
            for server in self._servers:
                server.communicate()
            shutil.rmtree(self.directory, ignore_errors=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def start(self, task: str, *, forked: bool = False, **arguments: Any) -> Hand:
        """A worker that runs the task: a script of its own, or a child that multiprocessing forks."""
        child_read, write = os.pipe()
        read, child_write = os.pipe()
        label = f"{task.partition(':')[2]} {len(self._hands)}"
        hand = Hand(self, label, read, write, self.directory / f"{len(self._hands)}.err")
        process: subprocess.Popen[bytes] | multiprocessing.process.BaseProcess
        if forked:
            rest = (str(hand._errors), child_read, child_write, task, arguments, self._alarm, self._cpus)
            process = multiprocessing.get_context("fork").Process(target=worker.run_forked, args=rest)
            process.start()
            assert process.pid is not None
            hand.pid = process.pid
        else:
            job = {"task": task, "arguments": arguments, "alarm": self._alarm, "cpus": self._cpus}
            command = [sys.executable, "-m", "benchmarks.worker", str(child_read), str(child_write), json.dumps(job)]
            with open(hand._errors, "wb") as errors:
                process = subprocess.Popen(
                    command,
                    env=self._environment,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=(child_read, child_write),
                )
            hand.pid = process.pid
        self._hands[hand] = process
        os.close(child_read)
        os.close(child_write)
        return hand

    def serve(self, command: list[str]) -> subprocess.Popen[bytes]:
        """A server that is no Python of ours; its standard output can be read."""

        def begin() -> None:
            signal.alarm(self._alarm)  # lives on through exec
            if self._cpus:
                os.sched_setaffinity(0, self._cpus)

        server = subprocess.Popen(
            command,
            env=self._environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=begin,  # noqa: PLW1509  # the conductor has no threads
        )
        self._servers.append(server)
        return server

    def eventually(self, what: str) -> Iterator[None]:
        """`for _ in crew.eventually("..."): if condition: break`, within the deadline."""
        while time.monotonic() < self.deadline:
            yield
            time.sleep(0.002)
        raise self.failure(None, what)

    def watch(self) -> None:
        """Fails if somebody has died who was not killed."""
        for hand in self._hands:
            if not self._is_alive(hand):
                raise self.failure(hand, "ended")

    def send_signal(self, hand: Hand, number: int) -> None:
        """To a worker that is still ours: the number of one that has been waited for may be anybody's."""
        if self._is_alive(hand):
            pid = self._hands[hand].pid
            assert pid is not None
            assert pid > 0
            os.kill(pid, number)

    def reap(self, hand: Hand) -> None:
        process = self._hands[hand]
        if isinstance(process, subprocess.Popen):
            process.wait(10)
        else:
            process.join(10)

    def failure(self, hand: Hand | None, what: str) -> TrialError:
        """The error, with what everybody was doing."""
        alive = [one for one in self._hands if self._is_alive(one)]
        for one in alive:
            self.send_signal(one, signal.SIGUSR1)
        time.sleep(0.3)
        text = [f"{hand.label} {what}" if hand else what]
        first = [] if hand is None else [hand]
        text += [
            f"--- {one.label}, {'alive' if one in alive else 'ended'}:\n{one.errors()}"
            for one in first + [other for other in alive if other is not hand]
        ]
        return TrialError("\n".join(text))

    def _is_alive(self, hand: Hand) -> bool:
        process = self._hands[hand]
        return process.poll() is None if isinstance(process, subprocess.Popen) else process.is_alive()


def in_order(hands: list[Hand]) -> None:
    """Opens their ends: the first alone, so that it leads, then all others at once."""
    hands[0].ask("open")
    for hand in hands[1:]:
        hand.say("open")
    for hand in hands[1:]:
        hand.hear()
