"""
Conducts the demo: kills whoever leads, replaces it, and tells what happens.

What it knows of the group it knows as a client, from `stats()`; that the next leader serves is when it answers that. It
kills only what it started, and everything it started is gone when `demo` returns.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from groupqueue.cli import Problem, say
from groupqueue.cli.demo import roles
from groupqueue.cli.demo.files import Selection, has_changed, select, standard_library
from groupqueue.cli.demo.tally import Result, Tally, tally
from groupqueue.cli.demo.troupe import ASKERS, WORKERS, Troupe
from groupqueue.exceptions import Empty
from groupqueue.queues import GroupQueue
from groupqueue.stats import Stats

NOT_THE_LIBRARY = frozenset(("site-packages", "dist-packages"))

PAUSE = 0.25
"""Seconds that a leader leads at least."""

NO_MORE_KILLS = 9.0
GIVE_UP = 60.0
"""Seconds after the first file was put."""


def demo(folder: str | None, directory: str | None) -> int:
    """The main job on real input. 0 if every file came out once and right, and something was killed."""
    began = time.monotonic()
    where = os.path.abspath(folder or standard_library())
    selection = select(where, skip=frozenset() if folder else NOT_THE_LIBRARY)
    if not selection.files:
        raise Problem(f"there are no files to hash below {where}")
    size = sum(file.size for file in selection.files)
    bounded = " (as many as there is time for)" if selection.is_bounded else ""
    say(f"{len(selection.files):,} file(s), {size / 1e6:,.1f} MB, below {where}{bounded}")
    home = directory or ("/tmp" if os.path.isdir("/tmp") else None)
    with tempfile.TemporaryDirectory(prefix="gq-demo-", dir=home, ignore_cleanup_errors=True) as place:
        conductor = Conductor(place, selection, began)
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            conductor.run()
            return conductor.summary()
        finally:
            conductor.end()
            signal.signal(signal.SIGTERM, before)


def _terminate(number: int, _: object) -> None:
    raise SystemExit(128 + number)


class Conductor:
    """One run."""

    def __init__(self, place: str, selection: Selection, began: float) -> None:
        self._place = place
        self._files = selection.files
        self._began = began
        self._troupe = Troupe(place, [file.path for file in selection.files])
        self._killed: set[int] = set()
        self._failovers: list[float] = []
        self._results: list[Result] = []
        self._seen: set[int] = set()
        self._stopped = False
        self._queue: GroupQueue[Any] = GroupQueue(roles.FILES, mode="client", directory=place, linger=0)
        self._collector = threading.Thread(target=self._collect, name="collects", daemon=True)

    def run(self) -> None:
        """Until every result is in, or it is clear that none will come."""
        self._tell("hashed in one process, to compare with")
        self._troupe.start_workers()
        self._collector.start()
        stats = self._wait(self._has_everybody, 10.0)
        self._tell(f"process {stats.leader_pid} leads; {WORKERS} work, {ASKERS} ask by put_wait, 1 feeds by put")
        self._troupe.start_users()
        start = time.monotonic()
        while not self._is_complete() and time.monotonic() < start + GIVE_UP:
            self._troupe.watch()
            time.sleep(PAUSE)
            if time.monotonic() < start + NO_MORE_KILLS:
                self._maybe_kill()
        self._wait(lambda stats: stats.ready + stats.in_flight == 0, 5.0)
        self._stopped = True
        self._collector.join()
        self._tell("all results are in" if self._is_complete() else "gave up waiting for the rest")
        self._queue.shutdown()
        self._troupe.wait(5.0)

    def summary(self) -> int:
        """Prints it; the exit status."""
        found, changed = self._compare()
        total, asked = len(self._files), len(self._troupe.asked)
        times = sorted(1000 * seconds for seconds in self._failovers)
        say()
        say(f"files          {total:>6,}   {total - asked:,} by put and get, {asked:,} by put_wait")
        say(f"lost           {len(found.lost):>6,}")
        say(f"duplicated     {len(found.duplicated):>6,}")
        say(f"wrong          {len(found.wrong):>6,}")
        say(f"leaders killed {len(times):>6,}")
        if times:
            say(f"failover       {statistics.median(times):>6.0f} ms median, {times[-1]:.0f} ms worst")
        if found.redelivered:
            again = len(found.redelivered)
            say(f"{again:,} came again, as a second attempt: the worker was killed before it could say done")
        if changed:
            say(f"{len(changed):,} changed on disk meanwhile and are not compared, as {self._files[changed[0]].path}")
        for number in (*found.lost, *found.duplicated, *found.wrong)[:10]:
            say(f"not right: {self._files[number].path}")
        for line in self._troupe.complaints:
            say(line)
        if not times:
            say("nothing was killed")
        return 0 if found.is_right and times and not self._troupe.complaints else 1

    def end(self) -> None:
        """Nothing of the demo runs after this."""
        self._stopped = True
        self._troupe.end()
        if self._collector.is_alive():
            self._collector.join()
        self._queue.close()
        self._queue.join_thread()

    def _tell(self, text: str) -> None:
        say(f"{time.monotonic() - self._began:6.1f} s  {text}")

    # Killing

    def _maybe_kill(self) -> None:
        """Kills the leader if there are enough to take over, and measures how long nobody answers."""
        stats = self._queue.stats()
        leader = self._troupe.find(stats.leader_pid)
        if leader is None or not self._has_everybody(stats) or self._is_complete():
            return
        victim = leader.pid
        self._killed.add(victim)
        start = time.monotonic()
        leader.process.kill()
        stats = self._wait(lambda stats: stats.leader_pid != victim, 10.0)
        seconds = time.monotonic() - start
        leader.restart()
        self._failovers.append(seconds)
        following = self._troupe.find(stats.leader_pid)
        self._tell(
            f"kill -9 {victim} ({leader.label}): after {1000 * seconds:4.0f} ms process {stats.leader_pid} "
            f"({following.label if following else 'unknown'}) leads, epoch {stats.epoch}; "
            f"{self._done:,} of {len(self._files):,} files"
        )

    def _has_everybody(self, stats: Stats) -> bool:
        """Whether every process that lives has joined, the newest too: there are enough to take over."""
        return self._troupe.living() <= {member.pid for member in stats.members}

    def _wait(self, ready: Callable[[Stats], bool], patience: float) -> Stats:
        """The first answer of a leader that is as wanted, or the last in time."""
        end = time.monotonic() + patience
        while True:
            stats = self._queue.stats()
            if (stats.leader_pid is not None and ready(stats)) or time.monotonic() > end:
                return stats
            if stats.leader_pid is not None:
                time.sleep(0.001)

    # Results

    def _collect(self) -> None:
        with GroupQueue[Result](roles.HASHES, mode="client", directory=self._place, linger=0) as hashes:
            while True:
                try:
                    found = hashes.get_many(256, timeout=0.2)
                except Empty:
                    if self._stopped:
                        return
                    continue
                self._results += found
                self._seen.update(result.number for result in found)

    @property
    def _done(self) -> int:
        return len(self._seen) + self._troupe.count_answers()

    def _is_complete(self) -> bool:
        return self._done >= len(self._files)

    def _compare(self) -> tuple[Tally, list[int]]:
        """The tally, and whose file has changed since it was hashed in one process."""
        expected = [file.digest for file in self._files]
        found = tally(expected, self._troupe.asked, self._results, self._troupe.answers(), self._killed)
        changed = [number for number in found.wrong if has_changed(self._files[number])]
        found.wrong = [number for number in found.wrong if number not in changed]
        return found, changed
