"""
A herd of producers and consumers, a killer among them, and the count afterwards.

What may be missing is exact: a consumer that was killed may have got one plain item that it had not yet written down;
everything else that a producer had flushed came out once. What a killed producer had put and not flushed may be there
or not, but only as a prefix of it.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groupqueue import Empty, GroupQueue
from tests.helpers import Script, eventually, lock_holder, run_script

WORKERS = Path(__file__).parent / "workers"


@dataclass
class Tally:
    """What became of all items."""

    flushed: int = 0
    received: int = 0
    lost: list[tuple[str, int]] = field(default_factory=list)
    duplicated: list[tuple[str, int]] = field(default_factory=list)
    worst_disorder: int = 0
    """How often, at most, one consumer saw one producer's numbers go back."""

    idle: list[str] = field(default_factory=list)
    """Consumers that lived to the end and got nothing."""


class Herd:
    """Producers and consumers of one group; each that is killed is replaced by a new one."""

    def __init__(self, directory: str, group: str, **options: Any) -> None:
        self.directory = directory
        self.group = group
        self.options = options
        self.logs = Path(tempfile.mkdtemp(prefix="logs-", dir=os.environ["GROUPQUEUE_TEST_SCRIPTS"]))
        self.members: dict[int, tuple[Script, str, str]] = {}
        self.killed: Counter[str] = Counter()
        self.born = 0

    def add(self, kind: str, mode: str = "dual") -> Script:
        self.born += 1
        name = f"{kind}{self.born}"
        log = self.logs / f"{name}.log"
        if kind == "producer":
            args: list[object] = [name, log, self.logs / "stop"]
        else:
            args = [log, self.logs / "drain"]
        script = run_script(WORKERS / f"{kind}.py", self.group, mode, *args, repr(self.options))
        script.label = name
        self.members[script.pid] = (script, kind, mode)
        return script

    def start(self, producers: int, consumers: int, *, consumer_mode: str = "dual") -> None:
        scripts = [self.add("producer") for _ in range(producers)]
        scripts += [self.add("consumer", consumer_mode) for _ in range(consumers)]
        for script in scripts:
            script.expect("ready")

    def leader(self, *, other_than: int | None = None) -> int:
        """The pid of the member that holds the lock now, as soon as there is one."""

        def holder() -> int | None:
            pid = lock_holder(self.directory, self.group)
            return pid if pid in self.members and pid != other_than else None

        return eventually(holder, what="somebody to take the lock")

    def kill(self, pid: int, *, replace: bool = True) -> Script | None:
        script, kind, mode = self.members.pop(pid)
        script.kill()
        self.killed[kind] += 1
        return self.add(kind, mode) if replace else None

    def kill_leaders(self, count: int) -> None:
        """Each as soon as it has the lock, or a moment later: some of them die in the middle of their recovery."""
        dice = random.Random(count)
        last = None
        for _ in range(count):
            last = self.leader(other_than=last)
            time.sleep(dice.choice((0, 0.002, 0.01, 0.03, 0.06)))
            newcomer = self.kill(last)
            assert newcomer is not None
            if dice.random() < 0.5:
                newcomer.expect("ready")

    def kill_anyone(self, count: int) -> None:
        """Now and then two at once, the leader among them."""
        dice = random.Random(count)
        done = 0
        while done < count:
            victims = dice.sample(sorted(self.members), dice.choice((1, 1, 2)))
            if dice.random() < 0.3:
                victims = list({*victims[:1], self.leader()})
            newcomers = [self.kill(pid) for pid in victims]
            done += len(victims)
            for newcomer in newcomers:
                assert newcomer is not None
                newcomer.expect("ready")
            time.sleep(dice.random() * 0.03)

    def finish(self) -> Tally:
        """Producers stop, consumers drain, one more opener takes what is left; then everything is counted."""
        (self.logs / "stop").touch()
        producers = [script for script, kind, _ in self.members.values() if kind == "producer"]
        consumers = [script for script, kind, _ in self.members.values() if kind == "consumer"]
        for script in producers:
            script.expect("done", timeout=60)
        (self.logs / "drain").touch()
        for script in consumers:
            script.expect("done", timeout=60)
        for script in producers + consumers:
            assert script.wait() == 0
        self.drain()
        return self.count({script.label for script in consumers})

    def drain(self) -> None:
        queue: GroupQueue[Any] = GroupQueue(self.group, directory=self.directory)
        with queue, open(self.logs / "consumer-last.log", "w") as log:
            assert queue.wait_for_leader(20)
            while True:
                try:
                    source, number = queue.get(timeout=0.5)
                except Empty:
                    break
                log.write(f"{source} {number}\n")
            stats = queue.stats()
            assert (stats.ready, stats.in_flight, stats.failed) == (0, 0, 0), stats

    def count(self, survivors: set[str]) -> Tally:
        tally = Tally()
        seen: Counter[tuple[str, int]] = Counter()
        for log in sorted(self.logs.glob("consumer*.log")):
            entries = whole_lines(log)
            newest: dict[str, int] = {}
            disorder: Counter[str] = Counter()
            for entry in entries:
                source, number = entry.split()
                item = source, int(number)
                seen[item] += 1
                if item[1] < newest.get(source, -1):
                    disorder[source] += 1
                newest[source] = item[1]
            tally.worst_disorder = max(tally.worst_disorder, *disorder.values(), 0)
            tally.received += len(entries)
            if not entries and log.stem in survivors:
                tally.idle.append(log.stem)
        tally.duplicated = [item for item, times in seen.items() if times > 1]
        highest: Counter[str] = Counter()
        for source, number in seen:
            highest[source] = max(highest[source], number + 1)
        for log in sorted(self.logs.glob("producer*.log")):
            lines = whole_lines(log)
            flushed = int(lines[-1]) if lines else 0
            tally.flushed += flushed
            source = log.stem
            upto = max(flushed, highest[source])
            tally.lost += [(source, number) for number in range(upto) if (source, number) not in seen]
        return tally


def whole_lines(log: Path) -> list[str]:
    return log.read_text().splitlines()
