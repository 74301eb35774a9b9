"""
A herd of unrelated processes around one group, a nemesis among them, and the count afterwards.

The count is Jepsen's total-queue made stricter: what was flushed comes out once, in order, but for the one plain item
that a killed consumer had got and not yet written down, and but for the order of what a consumer held that stood still
for longer than anybody waits; what was not flushed may come out, once, as a prefix; nothing comes out that nobody put;
every question gets its own answer; in the end the queue is empty, and nobody has left anything behind.
"""

from __future__ import annotations

import os
import tempfile
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groupqueue import Empty, GroupQueue
from groupqueue.system.leadership import read_note
from groupqueue.system.paths import GroupPaths
from tests.helpers import Script, eventually, lock_holder, run_script

WORKERS = Path(__file__).parent / "workers"
END = 120.0


class Herd:
    """See the module. `members`: every process that lives, with its kind and mode; who is killed is replaced."""

    def __init__(self, home: str, group: str, **options: Any) -> None:
        self.directory = home
        self.group = group
        self.options = options
        self.paths = GroupPaths(home, group)
        self.logs = Path(tempfile.mkdtemp(prefix="logs-", dir=os.environ["GROUPQUEUE_TEST_SCRIPTS"]))
        self.members: dict[int, tuple[Script, str, str]] = {}
        self.killed: Counter[str] = Counter()
        self.stalls = 0
        self.leaders_killed: list[float] = []
        self.epochs: dict[int, int] = {}
        self.findings: list[str] = []
        self.born = 0

    # Life and death

    def add(self, kind: str, mode: str = "dual") -> Script:
        self.born += 1
        name = f"{kind}{self.born}"
        log = self.logs / f"{name}.log"
        stop, drain = self.logs / "stop", self.logs / "drain"
        source = "producer" if kind == "pulse" else kind
        arguments = {
            "pulse": [name, log, stop, 1],
            "producer": [name, log, stop, 200],
            "caller": [name, log, stop],
            "consumer": [log, drain],
        }[kind]
        script = run_script(WORKERS / f"{source}.py", self.group, mode, *arguments, repr(self.options))
        script.label = name
        self.members[script.pid] = (script, kind, mode)
        return script

    def start(self, **kinds: int) -> None:
        for script in [self.add(kind) for kind, count in kinds.items() for _ in range(count)]:
            script.expect("ready")

    def of_kind(self, *kinds: str) -> list[Script]:
        return [script for script, kind, _ in self.members.values() if kind in kinds]

    def leader(self, *, other_than: int | None = None) -> int:
        """The pid of the member that holds the lock now, as soon as there is one."""

        def holder() -> int | None:
            pid = lock_holder(self.directory, self.group)
            return pid if pid in self.members and pid != other_than else None

        pid = eventually(holder, timeout=END, what="somebody to take the lock")
        self.note_epoch()
        return pid

    def note_epoch(self) -> None:
        """One leader to an epoch."""
        note = read_note(self.paths)
        if note is not None and self.epochs.setdefault(note.epoch, note.pid) != note.pid:
            self.findings.append(f"epoch {note.epoch} is led by {self.epochs[note.epoch]} and by {note.pid}")

    def kill(self, *pids: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """All at once; after `meanwhile` a new one for each, and ready."""
        leads = lock_holder(self.directory, self.group)
        found = [self.members.pop(pid) for pid in pids]
        for script, kind, _ in found:
            script.kill()
            self.killed[kind] += 1
            if script.pid == leads:
                self.leaders_killed.append(time.monotonic())
        meanwhile()
        for newcomer in [self.add(kind, mode) for _, kind, mode in found]:
            newcomer.expect("ready", timeout=END)

    # The end

    def finish(self) -> None:
        """Who puts stops, who gets drains, one more opener takes what is left; then everything is counted."""
        (self.logs / "stop").touch()
        self._end(self.of_kind("producer", "pulse", "caller"))
        (self.logs / "drain").touch()
        self._end(self.of_kind("consumer"))
        self._drain()
        self._count()

    def _end(self, scripts: list[Script]) -> None:
        for script in scripts:
            left_behind = script.expect("done", timeout=END)
            if left_behind.strip():
                self.findings.append(f"{script.label} has left behind: {left_behind}")
            if script.wait(END) != 0:
                self.findings.append(f"{script.label} ended with {script.wait()}")

    def _drain(self) -> None:
        queue: GroupQueue[Any] = GroupQueue(self.group, directory=self.directory)
        with queue, open(self.logs / "consumer-last.log", "w") as log:
            queue.wait_for_leader(END)
            while True:
                try:
                    item = queue.get(timeout=0.5)
                except Empty:
                    break
                if item[0] != "question":
                    log.write(f"{item[0]} {item[1]}\n")
            stats = queue.stats()
            if (stats.ready, stats.in_flight, stats.failed) != (0, 0, 0):
                self.findings.append(f"in the end there is something left: {stats}")

    def _count(self) -> None:
        seen: defaultdict[str, bytearray] = defaultdict(bytearray)
        disorder = 0
        self.received = 0
        for log in self.logs.glob("consumer*.log"):
            newest: dict[str, int] = {}
            with log.open() as lines:
                for line in lines:
                    source, text = line.split()
                    number = int(text)
                    times = seen[source]
                    if number >= len(times):
                        times.extend(bytes(number + 1 - len(times)))
                    times[number] = min(times[number] + 1, 255)
                    disorder += number < newest.get(source, -1)
                    newest[source] = number
        self.flushed = 0
        lost = []
        sources = set()
        for log in [*self.logs.glob("producer*.log"), *self.logs.glob("pulse*.log")]:
            lines = log.read_text().splitlines()
            flushed = int(lines[-1].split()[0]) if lines else 0
            self.flushed += flushed
            sources.add(log.stem)
            times = seen[log.stem]
            times.extend(bytes(max(flushed - len(times), 0)))
            self.received += len(times) - times.count(0)
            lost += [(log.stem, number) for number, count in enumerate(times) if not count]
            self.findings += [
                f"duplicated: {log.stem} {n}, {count} times" for n, count in enumerate(times) if count > 1
            ]
        self.findings += [f"unexpected: {source}" for source in seen if source not in sources]
        may_be_gone = self.killed["consumer"]
        if len(lost) > may_be_gone:
            self.findings.append(f"lost: {len(lost)}, of which {may_be_gone} may be with killed consumers: {lost[:50]}")
        # Who takes over the lanes of one that stands still goes ahead of what comes back: each other consumer, at most
        # once to a source.
        excused = may_be_gone + self.stalls * len(sources) * len(self.of_kind("consumer"))
        if disorder > excused:
            self.findings.append(
                f"out of order: {disorder} times, of which {excused} by {self.stalls} that stood still"
            )
        for log in self.logs.glob("caller*.log"):
            self.findings += [f"wrong reply of {log.stem}: {line}" for line in log.read_text().splitlines()]
        self.lost = len(lost)

    def failovers(self) -> list[float]:
        """Seconds from each leader's death to the next flush of a pulse that was there before it."""
        lives = [
            [float(line.split()[1]) for line in log.read_text().splitlines()] for log in self.logs.glob("pulse*.log")
        ]
        found = []
        for killed in self.leaders_killed:
            places = [(flushes, bisect_right(flushes, killed)) for flushes in lives]
            pauses = [flushes[at] - killed for flushes, at in places if 0 < at < len(flushes)]
            if pauses:
                found.append(min(pauses))
        return found
