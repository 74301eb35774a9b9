"""The demo's processes: started, watched, replaced, and none of them left in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from groupqueue.cli.demo import roles

WORKERS = 3
ASKERS = 2
ASKED = 8
"""One file in so many goes by put_wait."""

SPREAD = 4.0
"""Seconds in which the files are put, however few they are."""


class Child:
    """A process of the demo, and how to start it again."""

    def __init__(self, label: str, arguments: list[str]) -> None:
        self.label = label
        self.is_over = False
        self._command = [sys.executable, "-m", "groupqueue.cli.demo.roles", str(os.getpid()), *arguments]
        self.process = self._start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def restart(self) -> None:
        """After it was killed: another process with the same task."""
        self.process.wait()
        self.process = self._start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )


class Troupe:
    """All of them. `asked`: which files go by put_wait; `complaints`: about processes that ended as they should not."""

    def __init__(self, place: str, paths: Sequence[str]) -> None:
        self.asked = frozenset(range(0, len(paths), ASKED))
        self.complaints: list[str] = []
        self._place = place
        self._paths = paths
        self._children: list[Child] = []

    def start_workers(self) -> None:
        for number in range(WORKERS):
            self._children.append(Child(f"worker {number + 1}", ["work", self._place]))

    def start_users(self) -> None:
        """Those who ask and the one who feeds, as far as there are files for them."""
        asked = sorted(self.asked)
        for number in range(ASKERS):
            self._start_user(f"asker {number + 1}", "ask", asked[number::ASKERS], self._log(number))
        self._start_user("feeder", "feed", [number for number in range(len(self._paths)) if number not in self.asked])

    def _start_user(self, label: str, role: str, numbers: Sequence[int], *log: str) -> None:
        if numbers:
            path = os.path.join(self._place, f".{label.replace(' ', '-')}.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump([(number, self._paths[number]) for number in numbers], file)
            self._children.append(Child(label, [role, self._place, path, str(SPREAD), *log]))

    def find(self, pid: int | None) -> Child | None:
        return next((child for child in self._children if child.pid == pid), None)

    def living(self) -> set[int]:
        return {child.pid for child in self._children if not child.is_over}

    def watch(self) -> None:
        """Notices who has ended by itself."""
        for child in self._children:
            status = child.process.poll()
            if status is not None and not child.is_over:
                child.is_over = True
                if status:
                    self.complaints.append(f"{child.label}, process {child.pid}, ended with status {status}")

    def wait(self, patience: float) -> None:
        """The group is shut down, so all of them end."""
        end = time.monotonic() + patience
        for child in self._children:
            while child.process.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
            if child.process.poll() is None:
                self.complaints.append(f"{child.label}, process {child.pid}, did not end when the group was shut down")
        self.watch()

    def end(self) -> None:
        for child in self._children:
            child.end()

    # What the askers have written

    def answers(self) -> list[tuple[int, str]]:
        return [answer for number in range(ASKERS) for answer in roles.read_answers(self._log(number))]

    def count_answers(self) -> int:
        return sum(roles.count_answers(self._log(number)) for number in range(ASKERS))

    def _log(self, number: int) -> str:
        return os.path.join(self._place, f".answers-{number}")
