"""
Who has the leader's lock: the leader, somebody who is about to lead, or what a dead leader left.

The lock file names who led last, in the numbers of its own container. Where the system tells who took the lock that
name is not needed, and not believed: a leader writes it only once it has recovered.
"""

from __future__ import annotations

from typing import NamedTuple

from groupqueue.system import process
from groupqueue.system.holders import Holder, are_told, find_holders
from groupqueue.system.leadership import is_led, read_note
from groupqueue.system.paths import GroupPaths


class Grip(NamedTuple):
    """`pid` took the lock, 0 if that is not known, and is in `state`. `heirs` hold it in the place of a dead one that
    forked them. `is_seen`: whether whoever holds it can be seen from here; `pid` is then what the lock file says.
    """

    pid: int
    state: str
    heirs: list[int]
    is_seen: bool = True

    @property
    def is_stopped(self) -> bool:
        return self.is_seen and not self.heirs and self.state.startswith("stopped")

    def __str__(self) -> str:
        """Why nobody answers, if nobody does."""
        if not self.is_seen:
            named = f" (the lock file names process {self.pid})" if self.pid else ""
            return f"the group's lock is held by a process that cannot be seen from here{named}"
        if self.heirs or self.state == "gone":
            return f"process {self.pid}, which led, is gone, but a child that it forked still holds the group's lock"
        return f"process {self.pid}, which leads, is {self.state} and does not answer"


def find_grip(paths: GroupPaths, holders: list[Holder] | None = None) -> Grip | None:
    """None if the lock is free. `holders`, if they are known already, are those of the lock file."""
    note = read_note(paths)
    noted = note.pid if note is not None else 0
    if not holders:
        if not _is_led(paths):
            return None
        # It may have been taken between two looks.
        holders = find_holders([paths.lock])[paths.lock]
    if not holders:
        return Grip(noted, process.state_of(noted) if noted else "unknown", [], is_seen=not are_told())
    pids = [holder.pid for holder in holders]
    taken_by = holders[0].taken_by
    if taken_by in pids:
        return Grip(taken_by, process.state_of(taken_by), [])
    return Grip(taken_by or noted, "gone", pids)


def _is_led(paths: GroupPaths) -> bool:
    try:
        return is_led(paths)
    except OSError:
        # A file system that cannot lock.
        return False
